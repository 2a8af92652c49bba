//! What an attempt of a job comes to: a word in the type, chosen by the handler.

use std::time::Duration;

use rand::Rng;
use rapport_common::{Error, domain::job::Job, error::Code, jobs::Ended};

use crate::running::Stop;

pub enum Outcome {
    /// The job is over, with its effects.
    Done(Ended),
    /// Try again, after at least so long.
    Retry(Error, Option<Duration>),
    /// What it needs is away: try again after so long. The attempt does not count.
    Wait(Error, Duration),
    /// Trying again cannot help.
    Fail(Error),
    /// The job is over and has failed, with its effects; what it says is the problem.
    Dead(Ended),
    /// Stopped on request, with nothing to keep.
    Cancelled,
    /// This process stops: put it back.
    HandBack,
    /// Another worker has it.
    Lost,
}

/// `None`: the fence refused it.
impl From<Option<Ended>> for Outcome {
    fn from(ended: Option<Ended>) -> Self {
        ended.map_or(Outcome::Lost, Outcome::Done)
    }
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Cancelled => Outcome::Cancelled,
            Stop::Lost => Outcome::Lost,
            Stop::HandBack => Outcome::HandBack,
        }
    }
}

/// An error of ours, or a provider's: tried again if it may pass by itself.
impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        match error.code {
            Code::Unavailable
            | Code::StorageFull
            | Code::Internal
            | Code::ProviderFailed
            | Code::ProviderRateLimited
            | Code::ProviderTimeout => Outcome::Retry(error, None),
            _ => Outcome::Fail(error),
        }
    }
}

/// How long a job rests before its next attempt: half a second, doubled each time, a minute at most, with jitter so
/// that jobs which failed together do not come back together.
pub fn backoff(job: &Job, at_least: Option<Duration>) -> Duration {
    let doubled = Duration::from_millis(500).saturating_mul(1 << job.attempt.saturating_sub(1).min(7));
    let capped = doubled.min(Duration::from_secs(60));
    let jittered = capped.mul_f64(rand::rng().random_range(0.5..=1.0));
    jittered.max(at_least.unwrap_or_default().min(Duration::from_secs(600)))
}
