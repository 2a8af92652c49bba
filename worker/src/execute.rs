//! Runs a job's handler in this process.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use rapport_common::{Context, Error, domain::job::Job};
use tracing::Instrument;

use crate::{attempt::Attempt, ending::end, jobs, outcome::Outcome, running::StopSignal, slot::Slot};

pub fn span(job: &Job) -> tracing::Span {
    let trace_id = job.trace.as_deref().and_then(|trace| trace.split('-').nth(1)).unwrap_or_default();
    tracing::info_span!("job", job_id = %job.id, kind = %job.kind, attempt = job.attempt, trace_id)
}

/// Runs the job's handler in this process, and ends the attempt; gives the metric's word for how.
pub async fn run_here(ctx: &Context, job: &Job, signal: StopSignal, slot: &mut Slot) -> &'static str {
    let mut attempt = Attempt { ctx, job, signal, slot };
    let ran = AssertUnwindSafe(jobs::run(&mut attempt)).catch_unwind().await;
    let outcome = ran.unwrap_or_else(|_| Outcome::Retry(Error::internal("the handler panicked"), None));
    end(ctx, job, outcome).await
}

/// The same for a process that was started for this job.
pub async fn run_in_span(ctx: &Context, job: &Job, signal: StopSignal, slot: &mut Slot) -> &'static str {
    run_here(ctx, job, signal, slot).instrument(span(job)).await
}
