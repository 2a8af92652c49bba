//! Which part of a list is asked for, as OpenAI's clients say it.

use std::str::FromStr;

use rapport_common::{error::Wrong, problems::Problems, store::files::Part};
use serde::Deserialize;
use serde_json::Value;

use super::{body::NOT_HERE, responses::stored::ResponseItems};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PartQuery {
    /// 1-100, 20 by default; of `GET /v1/files` 1-10,000, which is the default.
    limit: Option<i64>,
    /// `desc` (the default) or `asc`, by when things were made.
    order: Option<String>,
    /// What comes after the one with this id.
    after: Option<String>,
    /// Refused: ask with the other `order`.
    before: Option<String>,
}

impl PartQuery {
    /// One more than is shown: whether there is more.
    pub fn part<T: FromStr>(&self, default: i64, most: i64, problems: &mut Problems) -> Part<T> {
        let limit = self.limit.unwrap_or(default);
        problems.unless((1..=most).contains(&limit), "limit", Wrong::Range { min: 1, max: most });
        let order = self.order.as_deref().unwrap_or("desc");
        problems.unless(matches!(order, "asc" | "desc"), "order", Wrong::Either(&["asc", "desc"]));
        problems.unless(self.before.is_none(), "before", NOT_HERE);
        let after = self.after.as_deref().map(str::parse);
        let after = after.transpose().unwrap_or_else(|_| {
            problems.add("after", Wrong::Unfit("is the id of nothing in this list"));
            None
        });
        Part { ascending: order == "asc", after, limit: limit.clamp(1, most) + 1 }
    }
}

/// What was found for a part.
pub fn listed<T>(found: Vec<Value>, part: &Part<T>) -> ResponseItems {
    ResponseItems::of(found, part.limit - 1)
}
