//! The service that a lane calls for each ticket: a claim, and layers around the handler. From the outside in:
//!
//! 1. [`claim`] makes the ticket a running job, or ends there;
//! 2. apalis' `TraceLayer` gives the job its span;
//! 3. [`measure`] counts and times the attempt;
//! 4. [`place`] runs it here (`execute`, with layers of its own), or in a process of its own (`isolated`).
//!
//! The claim is no part of the backend, though apalis' own backends claim there: a process that is told to stop drops what
//! its backend was about to give, and a claim whose answer is dropped holds its job until the heartbeat finds it.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use apalis_core::{error::BoxDynError, task::Task};
use rapport_common::{
    Result, clock,
    domain::{
        ids::JobId,
        job::{Job, JobKind, Queue},
    },
    store::{self, group::Fate},
    telemetry::metrics::METRICS,
};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::{
    Runtime,
    backend::Ticket,
    execute::{Answer, Attempts, Claimed, Word, attempts, spans},
    isolated,
};

/// What a lane calls.
pub fn lane(runtime: Arc<Runtime>) -> BoxCloneSyncService<Task<Ticket>, (), BoxDynError> {
    let here = attempts();
    let within = Arc::clone(&runtime);
    let placed = Attempts::new(service_fn(move |task| place(Arc::clone(&within), here.clone(), task)));
    let measured = service_fn(move |task| measure(placed.clone(), task));
    let observed = Attempts::new(spans().layer(measured));
    BoxCloneSyncService::new(service_fn(move |task| claim(Arc::clone(&runtime), observed.clone(), task)))
}

async fn claim(runtime: Arc<Runtime>, attempts: Attempts, task: Task<Ticket>) -> Answer<()> {
    let (Ticket { job, slot }, context) = task.take();
    let job = match claimed(&runtime, job).await {
        Ok(Some(job)) => Arc::new(job),
        Ok(None) => return Ok(()),
        Err(error) => {
            tracing::debug!(%error, %job, "not claimed, the sweeper announces it again");
            return Ok(());
        }
    };
    let (_running, signal) = runtime.running.enter(job.id, job.attempt);
    // The place is kept until the attempt is ended, which may take longer than its handler.
    let _place = slot.clone();
    let is_chat = job.kind == JobKind::Chat;
    let (id, user) = (job.id, job.user_id);
    runtime.ctx.bells.ring_job(user, id);
    let claimed = Claimed { ctx: runtime.ctx.clone(), job, signal, slot };
    let word = attempts.oneshot(Task::new_with_ctx(claimed, context)).await;
    runtime.ctx.bells.ring_job(user, id);
    let word = word?;
    if is_chat && word == "succeeded" {
        runtime.chats_answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn claimed(runtime: &Arc<Runtime>, job: JobId) -> Result<Option<Job>> {
    if !runtime.ctx.db.is_grouping() {
        return claim_one(runtime, job).await;
    }
    let with = Arc::clone(runtime);
    let run = move |jobs| {
        let runtime = Arc::clone(&with);
        async move { claim_all(&runtime, jobs).await }
    };
    match runtime.ctx.groups.claims.join(job, run).await {
        None => Ok(None),
        Some(Fate::Done(claimed)) => Ok(Some(claimed)),
        Some(Fate::Alone(job)) => claim_one(runtime, job).await,
    }
}

async fn claim_one(runtime: &Runtime, job: JobId) -> Result<Option<Job>> {
    let mut conn = runtime.ctx.db.relaxed().await?;
    Ok(store::ledger::claim(&mut conn, job, &runtime.name, runtime.lease(), clock::now()).await?)
}

/// Claims jobs that came in the same moment, by one statement. What it does not take, because somebody changes it or it may not run
/// yet, is tried alone, where it is waited for.
async fn claim_all(runtime: &Runtime, jobs: Vec<JobId>) -> Vec<Fate<JobId, Job>> {
    let all = async {
        let mut conn = runtime.ctx.db.relaxed().await?;
        store::ledger::claim_free(&mut conn, &jobs, &runtime.name, runtime.lease(), clock::now()).await
    };
    match all.await {
        Ok(claimed) => {
            let mut claimed: HashMap<JobId, Job> = claimed.into_iter().map(|job| (job.id, job)).collect();
            jobs.into_iter().map(|id| claimed.remove(&id).map_or(Fate::Alone(id), Fate::Done)).collect()
        }
        Err(error) => {
            tracing::debug!(%error, "claimed one by one");
            jobs.into_iter().map(Fate::Alone).collect()
        }
    }
}

async fn measure(attempts: Attempts, task: Task<Claimed>) -> Answer<Word> {
    let job = Arc::clone(&task.args.job);
    let (queue, kind) = (job.queue.as_str(), job.kind.as_str());
    METRICS.jobs_running.with_label_values(&[queue]).inc();
    let waited = (clock::now() - job.run_at).to_std().unwrap_or_default();
    METRICS.job_wait_seconds.with_label_values(&[kind]).observe(waited.as_secs_f64());
    let started = tokio::time::Instant::now();
    let answer = attempts.oneshot(task).await;
    METRICS.jobs_running.with_label_values(&[queue]).dec();
    let word = answer?;
    METRICS.job_seconds.with_label_values(&[kind]).observe(started.elapsed().as_secs_f64());
    METRICS.job_attempts.with_label_values(&[kind, &word]).inc();
    tracing::debug!(outcome = %word, millis = started.elapsed().as_millis() as u64, "attempt ended");
    Ok(word)
}

/// A job that a process died with runs in a process of its own.
async fn place(runtime: Arc<Runtime>, here: Attempts, task: Task<Claimed>) -> Answer<Word> {
    if task.args.job.crashes == 0 {
        return match task.args.job.queue {
            Queue::Chat => here.oneshot(task).await,
            // Boxed: it goes into each attempt's future otherwise.
            _ => Box::pin(store::db::in_background(here.oneshot(task))).await,
        };
    }
    let Claimed { job, signal, .. } = task.args;
    Ok(isolated::run(&runtime, &job, signal).await)
}

#[cfg(test)]
mod tests {
    use rapport_common::{domain::job::JobStatus, jobs::payload::ProbePayload};

    use super::*;
    use crate::testing::House;

    #[tokio::test]
    async fn a_lane_claims_runs_and_settles_and_then_frees_the_place() {
        let house = House::new().await;
        let id = house.enqueue(ProbePayload::default(), 3).await;
        let (places, slot) = house.place().await;
        let ticket = Task::new(Ticket { job: id, slot });
        lane(Arc::clone(&house.runtime)).oneshot(ticket).await.unwrap();
        assert_eq!(house.job(id).await.status, JobStatus::Succeeded);
        assert_eq!((places.available_permits(), house.runtime.running.len()), (1, 0));
    }

    #[tokio::test]
    async fn a_ticket_for_a_job_that_another_has_does_nothing() {
        let house = House::new().await;
        let job = house.claimed("another-worker", 3).await;
        let (places, slot) = house.place().await;
        lane(Arc::clone(&house.runtime)).oneshot(Task::new(Ticket { job: job.id, slot })).await.unwrap();
        let after = house.job(job.id).await;
        assert_eq!((after.status, after.attempt), (JobStatus::Running, 1));
        assert_eq!(places.available_permits(), 1);
    }
}
