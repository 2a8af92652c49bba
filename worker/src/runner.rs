//! Runs one job that was taken from the wire: claim, then here or in a process of its own.

use std::sync::{Arc, atomic::Ordering};

use rapport_common::{
    Result, clock,
    domain::job::{Job, JobKind},
    store,
    telemetry::metrics::METRICS,
};
use tracing::Instrument;

use crate::{
    Runtime,
    backend::Ticket,
    execute::{run_here, span},
    isolated,
    slot::Slot,
};

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
