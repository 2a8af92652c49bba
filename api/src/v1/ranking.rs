//! How much a search is to find, as requests for one say it: alone, or as a tool.

use rapport_common::{error::Wrong, problems::Problems};
use serde_json::Value;

use super::body::{NOT_HERE, only};

/// Passages of one search at most.
const MOST: i64 = 50;

pub fn read_limit(given: Option<i64>, default: i64, field: &str, problems: &mut Problems) -> usize {
    let limit = given.unwrap_or(default);
    problems.unless((1..=MOST).contains(&limit), field, Wrong::Range { min: 1, max: MOST });
    limit.clamp(1, MOST) as usize
}

/// Only a threshold: there is one way to rank.
pub fn ranking(given: Option<&Value>, field: &str, problems: &mut Problems) -> Option<f64> {
    let given = given.filter(|given| !given.is_null())?;
    only(given, &["ranker", "score_threshold"], field, problems);
    let ranker = &given["ranker"];
    problems.unless(ranker.is_null() || *ranker == "auto", &format!("{field}.ranker"), NOT_HERE);
    let threshold = given["score_threshold"].as_f64();
    let fits =
        given["score_threshold"].is_null() || threshold.is_some_and(|least| (0.0..=1.0).contains(&least));
    problems.unless(fits, &format!("{field}.score_threshold"), Wrong::Range { min: 0, max: 1 });
    threshold
}
