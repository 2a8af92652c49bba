//! Ending a job other than by its result: failed for good, put back for later, handed back, given up for dead.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    finish_chat::{Answer, insert_answer},
    memory::extraction::give_up,
};
use crate::{
    Context, Error, Result, clock,
    domain::{
        job::{Job, JobKind, JobStatus},
        message::Usage,
    },
    jobs::payload::{self, ChatPayload, ExtractionPayload},
    store::{self, Tx, jobs::Ready},
};

/// Fails a job for good. A chat's answer is stored as `failed`, so the history tells. Gives the problem that the job
/// keeps; `None` when this attempt has lost the job.
pub async fn fail_job(ctx: &Context, job: &Job, error: &Error) -> Result<Option<Value>> {
    let mut tx = ctx.db.begin().await?;
    let problem = error.problem(None);
    let settled = store::ledger::settle(
        &mut tx,
        job.id,
        job.attempt,
        JobStatus::Failed,
        None,
        Some(&problem),
        clock::now(),
    );
    if !settled.await? {
        return Ok(None);
    }
    let next = after_failure(ctx, &mut tx, job).await?;
    tx.commit().await?;
    ctx.announce(next).await;
    Ok(Some(problem))
}

/// Fails a job whose worker died in its last attempt, unless the worker came back just now.
pub async fn bury_job(ctx: &Context, job: &Job, error: &Error, now: DateTime<Utc>) -> Result<Option<Value>> {
    let mut tx = ctx.db.begin().await?;
    let problem = error.problem(None);
    if !store::ledger::bury(&mut tx, job.id, job.attempt, now, &problem).await? {
        return Ok(None);
    }
    let next = after_failure(ctx, &mut tx, job).await?;
    tx.commit().await?;
    ctx.announce(next).await;
    Ok(Some(problem))
}

async fn after_failure(ctx: &Context, tx: &mut Tx, job: &Job) -> Result<Option<Ready>> {
    if let (JobKind::MemoryExtraction, Some(user)) = (job.kind, job.user_id)
        && let Ok(payload) = payload::read::<ExtractionPayload>(job)
    {
        store::memory_log::take_version(tx, user).await?;
        give_up(ctx, tx, job, user, &payload, "provider_error", None, None).await?;
        return Ok(None);
    }
    if job.kind != JobKind::Chat {
        return Ok(None);
    }
    // A payload nobody can read has no place for an answer.
    if let Ok(payload) = payload::read::<ChatPayload>(job)
        && !payload.again
    {
        let nothing = Answer {
            content: String::new(),
            provider: String::new(),
            model: String::new(),
            usage: Usage::default(),
            finish_reason: String::new(),
            cancelled: false,
            memories_used: 0,
            tool_calls: Vec::new(),
            cost: None,
            project: None,
        };
        insert_answer(tx, job, &payload, "failed", &nothing).await?;
    }
    match job.session_id {
        Some(session) => Ok(store::jobs::next_in_session(tx, session).await?),
        None => Ok(None),
    }
}

/// Puts a job back to run again after `wait`. `false` when this attempt has lost it.
pub async fn retry_later(ctx: &Context, job: &Job, wait: Duration, error: &Error) -> Result<bool> {
    let run_at = clock::now() + wait;
    let mut tx = ctx.db.begin().await?;
    if !store::ledger::retry_later(&mut tx, job.id, job.attempt, run_at, &error.problem(None)).await? {
        return Ok(false);
    }
    tx.commit().await?;
    let lane = crate::domain::job::Lane::normal(job.queue);
    ctx.announce([Ready { id: job.id, lane, priority: 0, run_at }]).await;
    Ok(true)
}

/// Puts a job back because this process stops: at once, and without counting the attempt.
pub async fn hand_back(ctx: &Context, job: &Job) -> Result<bool> {
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    if !store::ledger::hand_back(&mut tx, job.id, job.attempt, now).await? {
        return Ok(false);
    }
    tx.commit().await?;
    ctx.announce([Ready { id: job.id, lane: job.lane(), priority: 0, run_at: now }]).await;
    Ok(true)
}

/// Ends a job that has nothing to store: a probe. `false` when this attempt has lost it.
pub async fn succeed_job(ctx: &Context, job: &Job, result: &Value) -> Result<bool> {
    let mut tx = ctx.db.begin().await?;
    let status = JobStatus::Succeeded;
    if !store::ledger::settle(&mut tx, job.id, job.attempt, status, Some(result), None, clock::now()).await? {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}

/// Ends a running job that was stopped on request and keeps nothing.
pub async fn cancel_running(ctx: &Context, job: &Job) -> Result<bool> {
    let mut tx = ctx.db.begin().await?;
    let status = JobStatus::Cancelled;
    if !store::ledger::settle(&mut tx, job.id, job.attempt, status, None, None, clock::now()).await? {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}
