//! Ends an attempt: in the ledger, then in a final event.

use std::time::Duration;

use rapport_common::{
    Context, Result,
    domain::{
        event::{Event, EventId},
        job::{Job, JobKind, JobStatus},
    },
    error::Code,
    last_event::final_name_and_data,
    usecase::end_job,
};
use serde_json::{Value, json};

use crate::outcome::{Outcome, backoff};

/// Attempts after which a store that is away counts as a try all the same.
const MANY: u32 = 200;
/// The longest rest of a job whose stores were away: they come back by themselves.
const LONGEST: Duration = Duration::from_secs(5);

/// Ends the attempt in the ledger as the handler chose; gives the metric's word for it.
pub async fn end(ctx: &Context, job: &Job, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done(ended) => {
            if job.kind != JobKind::Chat {
                tell(ctx, job, "done", &ended.data).await;
            }
            "succeeded"
        }
        // Our own stores were away or full: that is no try of the job's.
        Outcome::Retry(error, at_least) if error.may_pass() && job.attempt < MANY => {
            let wait = backoff(job, at_least).min(LONGEST);
            let put_back = persist(|| end_job::wait(ctx, job, wait, &error)).await;
            of_this_attempt(put_back, "waits")
        }
        Outcome::Retry(error, at_least) if job.attempt < job.max_attempts => {
            tracing::warn!(%error, "attempt failed, to be tried again");
            let wait = backoff(job, at_least);
            let put_back = persist(|| end_job::retry_later(ctx, job, wait, &error)).await;
            of_this_attempt(put_back, "retried")
        }
        Outcome::Wait(error, wait) => {
            tracing::info!(%error, "what the job needs is away: it waits");
            let put_back = persist(|| end_job::wait(ctx, job, wait, &error)).await;
            of_this_attempt(put_back, "waits")
        }
        Outcome::Retry(error, _) | Outcome::Fail(error) => {
            tracing::warn!(%error, "job failed");
            let failed = persist(|| end_job::fail_job(ctx, job, &error)).await;
            if let Some(Some((name, data))) = &failed {
                tell(ctx, job, name, data).await;
            }
            of_this_attempt(failed.map(|told| told.is_some()), "failed")
        }
        Outcome::Dead(ended) => {
            tell_end(ctx, job, JobStatus::Failed, None, Some(&ended.data)).await;
            "failed"
        }
        Outcome::Cancelled => {
            let cancelled = persist(|| end_job::cancel_running(ctx, job)).await;
            if cancelled == Some(true) {
                tell_end(ctx, job, JobStatus::Cancelled, None, None).await;
            }
            of_this_attempt(cancelled, "cancelled")
        }
        Outcome::HandBack => {
            let handed = persist(|| end_job::hand_back(ctx, job)).await;
            of_this_attempt(handed, "handed_back")
        }
        Outcome::Lost => of_this_attempt(Some(false), "lost"),
    }
}

/// The word for an end, unless the fence refused it: then the operator reads why what this worker did is nowhere. What could not
/// be stored at all was told by [`persist`].
fn of_this_attempt(ended: Option<bool>, word: &'static str) -> &'static str {
    match ended {
        Some(true) => word,
        Some(false) => {
            tracing::info!("another worker has the job: what this one did does not count");
            "lost"
        }
        None => "lost",
    }
}

/// How long finished work waits for a database that is away or full. Its lease is renewed meanwhile, as soon as it can be;
/// if another worker took the job, the work is refused by its fence.
const KEPT: Duration = Duration::from_secs(600);

/// Does something in the database, again and again while that may help: a restarting database, a full disk or a deadlock
/// must not turn finished work into lost work. Safe to repeat, because everything here is fenced.
pub async fn persist<T, F>(action: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<T>>,
{
    let deadline = tokio::time::Instant::now() + KEPT;
    loop {
        match action().await {
            Ok(done) => return Some(done),
            Err(error) if error.may_pass() && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            Err(error) if error.code == Code::NotFound => {
                tracing::info!(%error, "the attempt's end is nobody's: what it was about was deleted meanwhile");
                return None;
            }
            Err(error) => {
                tracing::error!(%error, "the attempt's end could not be stored: its lease will end");
                return None;
            }
        }
    }
}

async fn tell_end(
    ctx: &Context,
    job: &Job,
    status: JobStatus,
    result: Option<&Value>,
    error: Option<&Value>,
) {
    if let Some((name, data)) = final_name_and_data(status, result, error) {
        tell(ctx, job, name, &data).await;
    }
}

/// The final event of a job that ended without its handler's own: kept for chats, only shown for others. Readers that
/// miss it are told by the ledger.
pub async fn tell(ctx: &Context, job: &Job, name: &str, data: &Value) {
    let mut data = data.clone();
    if name == "error" {
        data["job_id"] = json!(job.id);
    }
    let event = Event::new(EventId::last_of(job.attempt), name, data);
    let told = if job.kind == JobKind::Chat {
        ctx.events.append(job.id, &[event]).await
    } else {
        ctx.events.notify(job.id, &event).await
    };
    if let Err(error) = told {
        tracing::debug!(%error, "final event not shown");
    }
}

#[cfg(test)]
mod tests {
    use rapport_common::{Error, clock};

    use super::*;
    use crate::testing::House;

    fn error(code: Code) -> Error {
        Error::new(code, "It did not work.")
    }

    /// What an attempt that ends so comes to: the word, and the job's state, attempts and attempts that it may have.
    async fn ended(attempts: u32, outcome: Outcome) -> (&'static str, JobStatus, u32, u32) {
        let house = House::new().await;
        let job = house.claimed("this-worker", attempts).await;
        let word = end(&house.runtime.ctx, &job, outcome).await;
        let after = house.job(job.id).await;
        (word, after.status, after.attempt, after.max_attempts)
    }

    #[tokio::test]
    async fn an_error_is_tried_again_until_the_attempts_are_spent() {
        let retry = || Outcome::Retry(error(Code::Internal), None);
        assert_eq!(ended(2, retry()).await, ("retried", JobStatus::Queued, 1, 2));
        assert_eq!(ended(1, retry()).await, ("failed", JobStatus::Failed, 1, 1));
        assert_eq!(ended(5, Outcome::Fail(error(Code::Invalid))).await, ("failed", JobStatus::Failed, 1, 5));
    }

    #[tokio::test]
    async fn what_is_not_the_jobs_fault_does_not_count() {
        let away = Outcome::Retry(error(Code::Unavailable), None);
        assert_eq!(ended(1, away).await, ("waits", JobStatus::Queued, 1, 2), "a store that is away");
        let wait = Outcome::Wait(error(Code::JobFailed), Duration::from_secs(1));
        assert_eq!(ended(1, wait).await, ("waits", JobStatus::Queued, 1, 2), "what it needs is away");
        assert_eq!(ended(1, Outcome::HandBack).await, ("handed_back", JobStatus::Queued, 1, 2));
    }

    #[tokio::test]
    async fn a_store_that_is_away_again_and_again_counts_in_the_end() {
        let house = House::new().await;
        let mut job = house.claimed("this-worker", 1).await;
        // The fence goes by the attempt that the ledger has, so this end is refused: the word says which one it chose.
        job.attempt = MANY;
        let away = || Outcome::Retry(error(Code::Unavailable), None);
        assert_eq!(end(&house.runtime.ctx, &job, away()).await, "lost");
        assert_eq!(house.job(job.id).await.status, JobStatus::Running);
    }

    #[tokio::test]
    async fn a_job_rests_before_it_is_tried_again_and_is_back_at_once_when_handed_back() {
        let house = House::new().await;
        let job = house.claimed("this-worker", 3).await;
        let rest = Some(Duration::from_secs(100));
        end(&house.runtime.ctx, &job, Outcome::Retry(error(Code::Internal), rest)).await;
        let after = house.job(job.id).await;
        assert!((after.run_at - clock::now()).num_seconds() >= 90, "{}", after.run_at);
        let job = house.claimed("this-worker", 3).await;
        end(&house.runtime.ctx, &job, Outcome::HandBack).await;
        assert!(house.job(job.id).await.run_at <= clock::now());
    }

    #[tokio::test]
    async fn an_attempt_that_lost_its_job_ends_nothing() {
        let house = House::new().await;
        let mut job = house.claimed("this-worker", 3).await;
        job.attempt = 7;
        let outcomes = [
            Outcome::Retry(error(Code::Internal), None),
            Outcome::Wait(error(Code::Internal), Duration::ZERO),
            Outcome::Fail(error(Code::Invalid)),
            Outcome::Cancelled,
            Outcome::HandBack,
            Outcome::Lost,
        ];
        for outcome in outcomes {
            assert_eq!(end(&house.runtime.ctx, &job, outcome).await, "lost");
            assert_eq!(house.job(job.id).await.status, JobStatus::Running);
        }
    }

    #[tokio::test]
    async fn a_cancelled_job_is_final() {
        assert_eq!(ended(3, Outcome::Cancelled).await, ("cancelled", JobStatus::Cancelled, 1, 3));
    }
}
