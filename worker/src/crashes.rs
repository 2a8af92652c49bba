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
    let reclaimed = store::ledger::reclaim(
        &mut conn,
        store::ledger::AttemptOf { id: job.id, attempt: job.attempt },
        now,
        gone,
        crashed,
        &problem,
    )
    .await?;
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
    runtime.ctx.announce([Ready::of(job, lane, now)]).await;
    Ok(())
}

async fn bury(runtime: &Runtime, job: &Job, gone: &[String], error: &Error) -> Result<()> {
    if let Some((name, data)) = end_job::bury_job(&runtime.ctx, job, gone, error).await? {
        tracing::error!(job_id = %job.id, kind = %job.kind, attempts = job.attempt, "the job is dead");
        METRICS.job_attempts.with_label_values(&[job.kind.as_str(), "failed"]).inc();
        runtime.ctx.bells.ring_job(job.user_id, job.id);
        tell(&runtime.ctx, job, name, &data).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rapport_common::domain::job::JobStatus;

    use super::*;
    use crate::testing::House;

    /// Takes a job back from a worker that is gone; gives it as it is then.
    async fn taken_back(house: &House, job: Job, died: bool) -> Job {
        let (id, gone) = (job.id, ["another-worker".to_owned()]);
        let expired = Expired { job, worker: gone[0].clone() };
        take_back(&house.runtime, &expired, &gone, died).await.unwrap();
        house.job(id).await
    }

    #[tokio::test]
    async fn a_death_makes_a_suspect_and_is_no_try() {
        let house = House::new().await;
        let job = house.claimed("another-worker", 1).await;
        let after = taken_back(&house, job, true).await;
        assert_eq!((after.status, after.crashes, after.quarantine), (JobStatus::Queued, 1, true));
        assert_eq!((after.attempt, after.max_attempts), (1, 2));
    }

    #[tokio::test]
    async fn a_worker_that_was_only_cut_off_makes_none() {
        let house = House::new().await;
        let job = house.claimed("another-worker", 1).await;
        let after = taken_back(&house, job, false).await;
        assert_eq!((after.status, after.crashes, after.quarantine), (JobStatus::Queued, 0, false));
        assert_eq!((after.attempt, after.max_attempts), (1, 2));
    }

    /// It was watched by the worker that died: nobody can say that the job did it.
    #[tokio::test]
    async fn the_death_of_a_suspects_worker_counts_for_nothing() {
        let house = House::new().await;
        let job = house.claimed("another-worker", 1).await;
        let id = taken_back(&house, job, true).await.id;
        let again = house.claim(id, "another-worker").await;
        let after = taken_back(&house, again, true).await;
        assert_eq!((after.status, after.crashes), (JobStatus::Queued, 1));
    }

    #[tokio::test]
    async fn a_suspect_whose_own_process_dies_is_dead() {
        let house = House::new().await;
        let job = house.claimed("another-worker", 1).await;
        let id = taken_back(&house, job, true).await.id;
        let again = house.claim(id, "this-worker").await;
        isolated_died(&house.runtime, &again).await.unwrap();
        let after = house.job(id).await;
        assert_eq!((after.status, after.crashes), (JobStatus::Failed, 2));
        assert_eq!(after.error.unwrap()["code"], "job_crashed");
    }

    #[tokio::test]
    async fn a_job_that_loses_its_worker_without_end_is_given_up() {
        let house = House::new().await;
        let mut job = house.claimed("another-worker", 1).await;
        let id = job.id;
        job.attempt = MANY_ATTEMPTS;
        // The ledger has another attempt of it: burying it must be refused, and it is not put back either.
        let after = taken_back(&house, job, false).await;
        assert_eq!((after.id, after.status), (id, JobStatus::Running));
    }

    #[tokio::test]
    async fn a_lease_that_lasts_is_not_taken() {
        let house = House::new().await;
        let job = house.claimed("another-worker", 1).await;
        let expired = Expired { job, worker: "another-worker".to_owned() };
        take_back(&house.runtime, &expired, &[], true).await.unwrap();
        assert_eq!(house.job(expired.job.id).await.status, JobStatus::Running);
    }
}
