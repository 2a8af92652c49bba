//! What an attempt of a job comes to: a word in the type, chosen by the handler.

use std::time::Duration;

use rand::Rng;
use rapport_common::{Error, domain::job::Job};
use serde_json::Value;

pub enum Outcome {
    /// The handler has ended the job with its effects; this is what the final event says.
    Done(Value),
    /// Try again, after at least so long.
    Retry(Error, Option<Duration>),
    /// What it needs is away: try again after so long. The attempt does not count.
    Wait(Error, Duration),
    /// Trying again cannot help.
    Fail(Error),
    /// The handler has failed the job with its effects; this is the problem.
    Dead(Value),
    /// Stopped on request, with nothing to keep.
    Cancelled,
    /// This process stops: put it back.
    HandBack,
    /// Another worker has it.
    Lost,
}

/// How long a job rests before its next attempt: half a second, doubled each time, a minute at most, with jitter so
/// that jobs which failed together do not come back together.
pub fn backoff(job: &Job, at_least: Option<Duration>) -> Duration {
    let doubled = Duration::from_millis(500).saturating_mul(1 << job.attempt.saturating_sub(1).min(7));
    let capped = doubled.min(Duration::from_secs(60));
    let jittered = capped.mul_f64(rand::rng().random_range(0.5..=1.0));
    jittered.max(at_least.unwrap_or_default().min(Duration::from_secs(600)))
}
