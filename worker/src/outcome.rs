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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::House;

    fn range(job: &Job, at_least: Option<Duration>) -> (Duration, Duration) {
        let tries: Vec<Duration> = (0..200).map(|_| backoff(job, at_least)).collect();
        (*tries.iter().min().unwrap(), *tries.iter().max().unwrap())
    }

    #[tokio::test]
    async fn the_rest_doubles_with_each_attempt_to_a_minute_with_jitter() {
        let mut job = House::new().await.claimed("this-worker", 3).await;
        for (attempt, longest) in [(1, 500), (2, 1_000), (3, 2_000), (7, 32_000), (8, 60_000), (40, 60_000)] {
            job.attempt = attempt;
            let longest = Duration::from_millis(longest);
            let (least, most) = range(&job, None);
            assert!(longest / 2 <= least && most <= longest, "attempt {attempt}: {least:?} to {most:?}");
            assert!(most > least, "attempt {attempt} has no jitter");
        }
    }

    #[tokio::test]
    async fn a_provider_may_ask_for_a_longer_rest_of_ten_minutes_at_most() {
        let job = House::new().await.claimed("this-worker", 3).await;
        let asked = |seconds| range(&job, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(30), (Duration::from_secs(30), Duration::from_secs(30)));
        assert_eq!(asked(100_000), (Duration::from_secs(600), Duration::from_secs(600)));
        assert!(asked(0).0 >= Duration::from_millis(250), "a rest of nothing is not kept");
    }

    #[test]
    fn what_may_pass_by_itself_is_tried_again_and_the_rest_is_not() {
        for code in [Code::Unavailable, Code::StorageFull, Code::Internal, Code::ProviderTimeout] {
            assert!(matches!(Outcome::from(Error::new(code, "")), Outcome::Retry(_, None)), "{code:?}");
        }
        for code in [Code::Invalid, Code::NotFound, Code::ProviderRefused, Code::JobFailed] {
            assert!(matches!(Outcome::from(Error::new(code, "")), Outcome::Fail(_)), "{code:?}");
        }
    }
}
