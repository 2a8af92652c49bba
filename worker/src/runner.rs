//! Runs one job: claim, handler, end in the ledger, final event.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use futures::FutureExt;
use rapport_common::{
    Error, Result, clock,
    domain::{
        event::{Event, EventId},
        ids::JobId,
        job::{Job, JobKind, JobStatus},
    },
    error::Code,
    events::follow::final_name_and_data,
    store,
    telemetry::metrics::METRICS,
    usecase::end_job,
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::Instrument;

use crate::{
    Runtime,
    backend::Ticket,
    jobs,
    outcome::{Outcome, backoff},
    slot::Slot,
};

/// A quarantined job that has not killed the process within this lets the next one start; but after two crashes a job
/// keeps the lane to itself to the end (docs/decisions/0004-quarantine.md).
const PROBATION: Duration = Duration::from_secs(1);
/// Each survivor halves the probation of the next, down to a sixteenth: where many jobs of one killed process wait, most of
/// them are innocent. It is whole again when none has come by for a while.
const HALVINGS: u32 = 4;
const FORGOTTEN: Duration = Duration::from_secs(10);
/// How often it is looked whether one has ended before its probation.
const LOOK: Duration = Duration::from_millis(25);

/// How many quarantined jobs survived in a row here, and when the last did.
#[derive(Default)]
pub struct Survivors(Mutex<(u32, Option<Instant>)>);

impl Survivors {
    fn probation(&self) -> Duration {
        let survived = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = survived.1.is_some_and(|last| last.elapsed() < FORGOTTEN);
        PROBATION / if lately { 1 << survived.0.min(HALVINGS) } else { 1 }
    }

    fn add(&self) {
        let mut survived = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = survived.1.is_some_and(|last| last.elapsed() < FORGOTTEN);
        *survived = (if lately { survived.0 + 1 } else { 1 }, Some(Instant::now()));
    }
}

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
    let trace_id =
        job.trace.as_deref().and_then(|trace| trace.split('-').nth(1)).unwrap_or_default().to_owned();
    let span =
        tracing::info_span!("job", job_id = %job.id, kind = %job.kind, attempt = job.attempt, trace_id);
    run_claimed(&runtime, ticket, job).instrument(span).await;
}

async fn claim(runtime: &Runtime, ticket: &Ticket) -> Result<Option<Job>> {
    let mut conn = runtime.ctx.db.relaxed().await?;
    Ok(store::ledger::claim(&mut conn, ticket.job, &runtime.name, runtime.lease(), clock::now()).await?)
}

async fn run_claimed(runtime: &Arc<Runtime>, ticket: Ticket, job: Job) {
    let (guard, signal) = runtime.running.enter(job.id, job.attempt, ticket.lane.quarantine);
    let queue = job.queue.as_str();
    METRICS.jobs_running.with_label_values(&[queue]).inc();
    let waited = (clock::now() - job.run_at).to_std().unwrap_or_default();
    METRICS.job_wait_seconds.with_label_values(&[job.kind.as_str()]).observe(waited.as_secs_f64());
    let ticket = if ticket.lane.quarantine { quarantined(runtime, ticket, &job).await } else { Some(ticket) };
    let mut slot = Slot::new(ticket, runtime.stopping.clone());
    let started = tokio::time::Instant::now();
    let ran = AssertUnwindSafe(jobs::run(&runtime.ctx, &job, signal, &mut slot)).catch_unwind().await;
    let outcome = ran.unwrap_or_else(|_| Outcome::Retry(Error::internal("the handler panicked"), None));
    let word = end(runtime, &job, outcome).await;
    drop(guard);
    METRICS.jobs_running.with_label_values(&[queue]).dec();
    METRICS.job_seconds.with_label_values(&[job.kind.as_str()]).observe(started.elapsed().as_secs_f64());
    METRICS.job_attempts.with_label_values(&[job.kind.as_str(), word]).inc();
    if job.kind == JobKind::Chat && word == "succeeded" {
        runtime.chats_answered.fetch_add(1, Ordering::Relaxed);
    }
    tracing::debug!(outcome = word, millis = started.elapsed().as_millis() as u64, "attempt ended");
}

/// Lets the next quarantined job start when this one has passed its probation, and notes that it is not alone any more:
/// who is alone when its process dies has done it. Gives the ticket of one that stays alone to its end.
async fn quarantined(runtime: &Arc<Runtime>, ticket: Ticket, job: &Job) -> Option<Ticket> {
    let together = runtime.running.quarantined();
    if together.len() > 1 {
        // Another queue's, or one that has passed its probation: each of them may be the one.
        for (id, attempt) in together {
            note_company(runtime, id, attempt).await;
        }
    }
    if job.crashes >= 2 {
        return Some(ticket);
    }
    let (runtime, id, attempt) = (Arc::clone(runtime), job.id, job.attempt);
    tokio::spawn(async move {
        let until = Instant::now() + runtime.survivors.probation();
        while runtime.running.has(id, attempt) {
            tokio::time::sleep(LOOK).await;
            if Instant::now() >= until && note_company(&runtime, id, attempt).await {
                break;
            }
        }
        runtime.survivors.add();
        drop(ticket);
    });
    None
}

/// `false`: it could not be noted.
async fn note_company(runtime: &Runtime, id: JobId, attempt: u32) -> bool {
    let noted = async {
        let mut conn = runtime.ctx.db.relaxed().await?;
        Ok::<_, Error>(store::ledger::shares_lane(&mut conn, id, attempt).await?)
    };
    noted.await.is_ok()
}

/// Ends the attempt in the ledger as the handler chose; gives the metric's word for it.
async fn end(runtime: &Runtime, job: &Job, outcome: Outcome) -> &'static str {
    let ctx = &runtime.ctx;
    match outcome {
        Outcome::Done(data) => {
            if job.kind != JobKind::Chat {
                tell_waiting(runtime, job, "done", &data).await;
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
        Outcome::Dead(problem) => {
            tell_end(runtime, job, JobStatus::Failed, None, Some(&problem)).await;
            "failed"
        }
        Outcome::Cancelled => {
            if persist(|| end_job::cancel_running(ctx, job)).await == Some(true) {
                tell_end(runtime, job, JobStatus::Cancelled, None, None).await;
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
    runtime: &Runtime,
    job: &Job,
    status: JobStatus,
    result: Option<&Value>,
    error: Option<&Value>,
) {
    if let Some((name, data)) = final_name_and_data(status, result, error) {
        tell(&runtime.ctx, job, name, &data).await;
    }
}

async fn tell_waiting(runtime: &Runtime, job: &Job, name: &str, data: &Value) {
    tell(&runtime.ctx, job, name, data).await;
}

/// The final event of a job that ended without its handler's own: kept for chats, only shown for others. Readers that
/// miss it are told by the ledger.
pub async fn tell(ctx: &rapport_common::Context, job: &Job, name: &str, data: &Value) {
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
