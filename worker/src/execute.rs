//! One attempt of a claimed job in this process, as layers around the handler. From the outside in:
//!
//! 1. [`settle`] ends the attempt in the ledger;
//! 2. [`guarded`] makes errors of a panic and of a hang, so that such an attempt is ended at once and not by its lease;
//! 3. the handler (`jobs`).

use std::{any::Any, borrow::Cow, sync::Arc, time::Duration};

use apalis::layers::{
    catch_panic::CatchPanicLayer,
    tracing::{DefaultOnRequest, TraceLayer},
};
use apalis_core::{error::BoxDynError, task::Task};
use futures::FutureExt;
use rapport_common::{Context, Error, domain::job::Job};
use tower::{
    Service, ServiceBuilder, ServiceExt, service_fn, timeout::TimeoutLayer, util::BoxCloneSyncService,
};
use tracing::Span;

use crate::{attempt::Attempt, ending::end, jobs, outcome::Outcome, running::StopSignal, slot::Slot};

/// How long a handler may run. All that wait for others have shorter limits of their own: this one frees the place of a
/// handler that hangs.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A job that this process has claimed.
pub struct Claimed {
    pub ctx: Context,
    pub job: Arc<Job>,
    pub signal: StopSignal,
    pub slot: Slot,
}

/// The metric's word for how an attempt ended.
pub type Word = Cow<'static, str>;

pub type Answer<T> = std::result::Result<T, BoxDynError>;
type MakeSpan = fn(&Task<Claimed>) -> Span;
pub type Attempts = BoxCloneSyncService<Task<Claimed>, Word, BoxDynError>;

/// Runs the claimed job in this process, whichever it is, and ends the attempt.
pub fn attempts() -> Attempts {
    let handler = service_fn(|task: Task<Claimed>| handle(task).boxed());
    let handler = guarded(handler, LONGEST);
    Attempts::new(service_fn(move |task| settle(handler.clone(), task)))
}

/// What a process does that was started for one job. Its worker counts and times the attempt.
pub async fn alone(claimed: Claimed) -> std::result::Result<Word, String> {
    let attempts = ServiceBuilder::new().layer(spans()).service(attempts());
    attempts.oneshot(Task::new(claimed)).await.map_err(|error| error.to_string())
}

pub fn spans() -> TraceLayer<MakeSpan, DefaultOnRequest, ()> {
    TraceLayer::new().on_response(()).make_span_with(|task| {
        let job = &task.args.job;
        let trace_id = job.trace.as_deref().and_then(|trace| trace.split('-').nth(1)).unwrap_or_default();
        tracing::info_span!("job", job_id = %job.id, kind = %job.kind, attempt = job.attempt, trace_id)
    })
}

async fn settle<S>(handler: S, task: Task<Claimed>) -> Answer<Word>
where
    S: Service<Task<Claimed>, Response = Outcome, Error = BoxDynError>,
{
    let (ctx, job) = (task.args.ctx.clone(), Arc::clone(&task.args.job));
    let outcome = handler.oneshot(task).await;
    let outcome = outcome.unwrap_or_else(|error| Outcome::Retry(Error::internal(error), None));
    Ok(end(&ctx, &job, outcome).await.into())
}

/// A handler whose panics, and whose hanging for longer than `limit`, are errors.
fn guarded<A, S>(
    handler: S,
    limit: Duration,
) -> impl Service<Task<A>, Response = S::Response, Error = BoxDynError, Future: Send> + Clone
where
    S: Service<Task<A>, Error = BoxDynError, Future: Send> + Clone,
    S::Response: Send,
{
    let panicked = |_: &Box<dyn Any + Send>| BoxDynError::from("the handler panicked");
    ServiceBuilder::new()
        .layer(CatchPanicLayer::with_panic_handler(panicked))
        .layer(TimeoutLayer::new(limit))
        .service(handler)
}

async fn handle(task: Task<Claimed>) -> Answer<Outcome> {
    let Claimed { ctx, job, signal, slot } = task.args;
    Ok(jobs::run(&mut Attempt { ctx: &ctx, job: &job, signal, slot: &slot }).await)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use rapport_common::domain::job::JobStatus;
    use tokio::sync::watch;

    use super::*;
    use crate::testing::House;

    type Boxed = futures::future::BoxFuture<'static, Answer<Outcome>>;

    async fn guarded_run(handler: fn() -> Boxed) -> String {
        let handler = service_fn(move |_: Task<()>| handler());
        match guarded(handler, Duration::from_millis(5)).oneshot(Task::new(())).await {
            Ok(_) => "an outcome".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_panic_and_a_hang_are_errors() {
        assert_eq!(guarded_run(|| async { Ok(Outcome::HandBack) }.boxed()).await, "an outcome");
        assert_eq!(guarded_run(|| async { panic!("oh") }.boxed()).await, "the handler panicked");
        assert_eq!(guarded_run(|| pending().boxed()).await, "request timed out");
    }

    #[tokio::test]
    async fn a_panic_is_settled_at_once_and_counts_as_a_try() {
        let house = House::new().await;
        let job = Arc::new(house.claimed("this-worker", 3).await);
        let (_lane, slot) = house.place().await;
        let (_stop, signal) = watch::channel(None);
        let claimed = Claimed { ctx: house.runtime.ctx.clone(), job: Arc::clone(&job), signal, slot };
        let handler = service_fn(|_: Task<Claimed>| -> Boxed { async { panic!("oh") }.boxed() });
        let word = settle(guarded(handler, LONGEST), Task::new(claimed)).await.unwrap();
        assert_eq!(word, "retried");
        let after = house.job(job.id).await;
        assert_eq!((after.status, after.attempt, after.max_attempts), (JobStatus::Queued, 1, 3));
        assert_eq!(after.error.unwrap()["code"], "internal_error");
    }
}
