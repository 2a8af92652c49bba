//! Who is to blame when a process dies (docs/decisions/0004-quarantine.md).
//!
//! A job that a worker's process died with is a suspect: from then on it runs in a process of its own, watched by a worker.
//! When that process dies and the worker does not, the job is dead. When the worker dies of something else meanwhile, that
//! counts for nothing.

use rapport_common::{
    Error, Result, clock,
    domain::job::{Job, Lane},
    error::Code,
    store::{self, jobs::Ready, ledger::Expired},
    telemetry::metrics::METRICS,
    usecase::{cancel_job::cancel_job, end_job},
};

use crate::{Runtime, ending::tell};

/// Attempts after which a job that loses its worker again and again, though it is not to blame for any, is given up.
const MANY_ATTEMPTS: u32 = 1_000;

/// Takes a job back whose worker is gone or was cut off. `died`: its process is dead.
pub async fn take_back(runtime: &Runtime, expired: &Expired, gone: &[String], died: bool) -> Result<()> {
    let job = &expired.job;
    if job.attempt >= MANY_ATTEMPTS && !job.cancel_requested {
        let detail = format!("The job lost its worker in {} attempts.", job.attempt);
        return bury(runtime, job, gone, &Error::new(Code::JobCrashed, detail)).await;
    }
    let why = if died { "died" } else { "was cut off, or paused" };
    let error = Error::new(Code::JobCrashed, format!("The worker of attempt {} {why}.", job.attempt));
    reclaim(runtime, job, gone, died && job.crashes == 0, &error).await
}

/// Buries a job whose own process died, while this worker's lives.
pub async fn isolated_died(runtime: &Runtime, job: &Job) -> Result<()> {
    // It runs no more: in this the ledger may take its holder for gone.
    let gone = [runtime.name.clone()];
    let mut conn = runtime.ctx.db.read().await?;
    let now = store::ledger::running(&mut conn, job.id, job.attempt).await?;
    drop(conn);
    let Some(job) = now else { return Ok(()) };
    let detail = format!("A process died {} times while it ran this job.", job.crashes + 1);
    let error = Error::new(Code::JobCrashed, detail);
    if job.cancel_requested {
        return reclaim(runtime, &job, &gone, false, &error).await;
    }
    bury(runtime, &job, &gone, &error).await
}

async fn reclaim(runtime: &Runtime, job: &Job, gone: &[String], crashed: bool, error: &Error) -> Result<()> {
    let now = clock::now();
    let mut conn = runtime.ctx.db.relaxed().await?;
    let problem = error.problem(None);
    let reclaimed =
        store::ledger::reclaim(&mut conn, job.id, job.attempt, now, gone, crashed, &problem).await?;
    drop(conn);
    if !reclaimed {
        return Ok(());
    }
    METRICS.reclaimed.with_label_values(&[job.kind.as_str()]).inc();
    tracing::warn!(job_id = %job.id, kind = %job.kind, attempt = job.attempt, crashed, "taken back from a worker");
    if let (true, Some(user)) = (job.cancel_requested, job.user_id) {
        // It was to be cancelled: nobody needs it run again.
        cancel_job(&runtime.ctx, user, job.id).await?;
        return Ok(());
    }
    let lane = if crashed { Lane::quarantine(job.queue) } else { job.lane() };
    runtime.ctx.announce([Ready { id: job.id, lane, priority: 0, run_at: now }]).await;
    Ok(())
}

async fn bury(runtime: &Runtime, job: &Job, gone: &[String], error: &Error) -> Result<()> {
    if let Some((name, data)) = end_job::bury_job(&runtime.ctx, job, gone, error).await? {
        tracing::error!(job_id = %job.id, kind = %job.kind, attempts = job.attempt, "the job is dead");
        METRICS.job_attempts.with_label_values(&[job.kind.as_str(), "failed"]).inc();
        tell(&runtime.ctx, job, name, &data).await;
    }
    Ok(())
}
