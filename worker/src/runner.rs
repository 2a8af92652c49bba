//! Runs one job: claim, handler, end in the ledger, final event.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::FutureExt;
use rapport_common::{
    Context, Error, Result, clock,
    domain::{
        event::{Event, EventId},
        job::{Job, JobKind, JobStatus},
    },
    error::Code,
    last_event::final_name_and_data,
    store,
    telemetry::metrics::METRICS,
    usecase::end_job,
};
use serde_json::{Value, json};
use tracing::Instrument;

use crate::{
    Runtime,
    attempt::Attempt,
    backend::Ticket,
    isolated, jobs,
    outcome::{Outcome, backoff},
    running::StopSignal,
    slot::Slot,
};

/// Attempts after which a store that is away counts as a try all the same.
const MANY: u32 = 200;
/// The longest rest of a job whose stores were away: they come back by themselves.
const LONGEST: Duration = Duration::from_secs(5);

pub async fn run_ticket(runtime: Arc<Runtime>, ticket: Ticket) {
    let job = match claim(&runtime, &ticket).await {
        Ok(Some(job)) => job,
        Ok(None) => return,
        Err(error) => {
            tracing::debug!(%error, job = %ticket.job, "not claimed, the sweeper announces it again");
            return;
        }
    };
    let span = span(&job);
    run_claimed(&runtime, ticket, job).instrument(span).await;
}

fn span(job: &Job) -> tracing::Span {
    let trace_id = job.trace.as_deref().and_then(|trace| trace.split('-').nth(1)).unwrap_or_default();
    tracing::info_span!("job", job_id = %job.id, kind = %job.kind, attempt = job.attempt, trace_id)
}

async fn claim(runtime: &Runtime, ticket: &Ticket) -> Result<Option<Job>> {
    let mut conn = runtime.ctx.db.relaxed().await?;
    Ok(store::ledger::claim(&mut conn, ticket.job, &runtime.name, runtime.lease(), clock::now()).await?)
}

async fn run_claimed(runtime: &Arc<Runtime>, ticket: Ticket, job: Job) {
    let (guard, signal) = runtime.running.enter(job.id, job.attempt);
    let queue = job.queue.as_str();
    METRICS.jobs_running.with_label_values(&[queue]).inc();
    let waited = (clock::now() - job.run_at).to_std().unwrap_or_default();
    METRICS.job_wait_seconds.with_label_values(&[job.kind.as_str()]).observe(waited.as_secs_f64());
    let started = tokio::time::Instant::now();
    let word = if job.crashes > 0 {
        let _slot = ticket;
        isolated::run(runtime, &job, signal).await
    } else {
        let mut slot = Slot::new(Some(ticket), runtime.stopping.clone());
        run_here(&runtime.ctx, &job, signal, &mut slot).await.into()
    };
    drop(guard);
    METRICS.jobs_running.with_label_values(&[queue]).dec();
    METRICS.job_seconds.with_label_values(&[job.kind.as_str()]).observe(started.elapsed().as_secs_f64());
    METRICS.job_attempts.with_label_values(&[job.kind.as_str(), &word]).inc();
    if job.kind == JobKind::Chat && word == "succeeded" {
        runtime.chats_answered.fetch_add(1, Ordering::Relaxed);
    }
    tracing::debug!(outcome = %word, millis = started.elapsed().as_millis() as u64, "attempt ended");
}

/// Runs the job's handler in this process, and ends the attempt; gives the metric's word for how.
async fn run_here(ctx: &Context, job: &Job, signal: StopSignal, slot: &mut Slot) -> &'static str {
    let mut attempt = Attempt { ctx, job, signal, slot };
    let ran = AssertUnwindSafe(jobs::run(&mut attempt)).catch_unwind().await;
    let outcome = ran.unwrap_or_else(|_| Outcome::Retry(Error::internal("the handler panicked"), None));
    end(ctx, job, outcome).await
}

/// The same for a process that was started for this job.
pub async fn run_in_span(ctx: &Context, job: &Job, signal: StopSignal, slot: &mut Slot) -> &'static str {
    run_here(ctx, job, signal, slot).instrument(span(job)).await
}

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
            if put_back == Some(true) { "waits" } else { "lost" }
        }
        Outcome::Retry(error, at_least) if job.attempt < job.max_attempts => {
            tracing::warn!(%error, "attempt failed, to be tried again");
            let wait = backoff(job, at_least);
            let put_back = persist(|| end_job::retry_later(ctx, job, wait, &error)).await;
            if put_back == Some(true) { "retried" } else { "lost" }
        }
        Outcome::Wait(error, wait) => {
            tracing::info!(%error, "what the job needs is away: it waits");
            let put_back = persist(|| end_job::wait(ctx, job, wait, &error)).await;
            if put_back == Some(true) { "waits" } else { "lost" }
        }
        Outcome::Retry(error, _) | Outcome::Fail(error) => {
            tracing::warn!(%error, "job failed");
            match persist(|| end_job::fail_job(ctx, job, &error)).await.flatten() {
                Some((name, data)) => {
                    tell(ctx, job, name, &data).await;
                    "failed"
                }
                None => "lost",
            }
        }
        Outcome::Dead(ended) => {
            tell_end(ctx, job, JobStatus::Failed, None, Some(&ended.data)).await;
            "failed"
        }
        Outcome::Cancelled => {
            if persist(|| end_job::cancel_running(ctx, job)).await == Some(true) {
                tell_end(ctx, job, JobStatus::Cancelled, None, None).await;
                "cancelled"
            } else {
                "lost"
            }
        }
        Outcome::HandBack => {
            let handed = persist(|| end_job::hand_back(ctx, job)).await;
            if handed == Some(true) { "handed_back" } else { "lost" }
        }
        Outcome::Lost => {
            tracing::info!("another worker has the job: what this one did does not count");
            "lost"
        }
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
