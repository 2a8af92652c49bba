//! Ending a job other than by its result: failed for good, put back for later, handed back, given up for dead.

use std::time::Duration;

use serde_json::Value;

use super::{
    finish_chat::{Answer, insert_answer, reply},
    memory::extraction::{Unread, give_up},
};
use crate::{
    Context, Error, Result, clock,
    domain::{
        job::{Job, JobKind, JobStatus},
        memory::RunOutcome,
        message::MessageStatus,
    },
    jobs::{
        Ended,
        payload::{self, ChatPayload, ExtractionPayload},
    },
    last_event::{FALLBACK, final_name_and_data},
    store::{self, Tx, jobs::Ready, ledger::Settled},
};

/// The final event of a job: its name and data.
pub type Final = (&'static str, Value);

/// Fails a job for good. A chat's answer is stored as `failed`, so the history tells. Gives the final event; `None` when
/// this attempt has lost the job.
pub async fn fail_job(ctx: &Context, job: &Job, error: &Error) -> Result<Option<Final>> {
    let mut tx = ctx.db.begin().await?;
    lock_before(&mut tx, job).await?;
    let problem = error.problem(None);
    let said = instead(ctx, job, error);
    let result = said.as_ref().map(|(_, _, result)| result);
    let settled = store::ledger::settle(
        &mut tx,
        store::ledger::AttemptOf::job(job),
        JobStatus::Failed,
        result,
        Some(&problem),
        clock::now(),
    );
    if settled.await?.is_none() {
        return Ok(None);
    }
    let next = after_failure(ctx, &mut tx, job, said.as_ref()).await?;
    tx.commit().await?;
    ctx.announce(next).await;
    Ok(final_name_and_data(JobStatus::Failed, result, Some(&problem)))
}

/// Fails a job whose worker died in its last attempt (its lease ended, or it is one of the `gone`), unless the worker came
/// back just now.
pub async fn bury_job(ctx: &Context, job: &Job, gone: &[String], error: &Error) -> Result<Option<Final>> {
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    lock_before(&mut tx, job).await?;
    let problem = error.problem(None);
    let said = instead(ctx, job, error);
    let result = said.as_ref().map(|(_, _, result)| result);
    if !store::ledger::bury(
        &mut tx,
        store::ledger::AttemptOf { id: job.id, attempt: job.attempt },
        now,
        gone,
        result,
        &problem,
    )
    .await?
    {
        return Ok(None);
    }
    let next = after_failure(ctx, &mut tx, job, said.as_ref()).await?;
    tx.commit().await?;
    ctx.announce(next).await;
    Ok(final_name_and_data(JobStatus::Failed, result, Some(&problem)))
}

/// The rows that must be locked before a job's own: the user's memory, then the session (docs/jobs.md, "Locks").
async fn lock_before(tx: &mut Tx, job: &Job) -> Result<()> {
    if let (JobKind::MemoryExtraction, Some(user)) = (job.kind, job.user_id) {
        store::memory_log::take_version(tx, user).await?;
    }
    if let Some(session) = job.session_id {
        store::sessions::lock(tx, session).await?;
    }
    Ok(())
}

/// What is said instead of an error: the payload, the answer, and the result that the failed job keeps beside its
/// error.
type Said = (ChatPayload, Answer, Value);

/// The deployment's fallback message as an answer, when a provider's failure or ours ends a chat. What the user can do
/// something about (a spent budget, a template) stays an error; so does an answer again, where the old one stands.
fn instead(ctx: &Context, job: &Job, error: &Error) -> Option<Said> {
    let text = ctx.settings.chat.fallback_message.as_deref()?;
    if job.kind != JobKind::Chat || error.code.status() < 500 {
        return None;
    }
    // Who sent all of it itself, for a program to read, is told of the error.
    let payload = payload::read::<ChatPayload>(job).ok();
    let payload = payload.filter(|payload| !payload.again && job.session_id.is_some())?;
    let answer = nothing(text.to_owned(), FALLBACK.to_owned());
    let result = reply(job, &payload, &answer);
    Some((payload, answer, result))
}

/// An answer that no model gave.
fn nothing(content: String, finish_reason: String) -> Answer {
    Answer { content, finish_reason, ..Answer::default() }
}

async fn after_failure(ctx: &Context, tx: &mut Tx, job: &Job, said: Option<&Said>) -> Result<Option<Ready>> {
    if let (JobKind::MemoryExtraction, Some(user)) = (job.kind, job.user_id)
        && let Ok(payload) = payload::read::<ExtractionPayload>(job)
    {
        let (window, outcome) = (&payload, RunOutcome::ProviderError);
        give_up(ctx, tx, &Unread { job, user, window, outcome, answer: None }, None).await?;
        return Ok(None);
    }
    if job.kind != JobKind::Chat || job.session_id.is_none() {
        return Ok(None);
    }
    if let Some((payload, answer, _)) = said {
        insert_answer(tx, job, payload, MessageStatus::Failed, answer).await?;
    } else if let Ok(payload) = payload::read::<ChatPayload>(job)
        && !payload.again
    {
        // A payload nobody can read has no place for an answer.
        insert_answer(tx, job, &payload, MessageStatus::Failed, &nothing(String::new(), String::new()))
            .await?;
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
    ctx.announce([Ready::of(job, job.lane(), run_at)]).await;
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
    ctx.announce([Ready::of(job, job.lane(), now)]).await;
    Ok(true)
}

/// Puts a job back to run again after `wait`, because what it needs is away: the attempt does not count.
pub async fn wait(ctx: &Context, job: &Job, wait: Duration, error: &Error) -> Result<bool> {
    let run_at = clock::now() + wait;
    let mut tx = ctx.db.begin().await?;
    if !store::ledger::wait(&mut tx, job.id, job.attempt, run_at, &error.problem(None)).await? {
        return Ok(false);
    }
    tx.commit().await?;
    ctx.announce([Ready::of(job, job.lane(), run_at)]).await;
    Ok(true)
}

/// Ends a job with nothing but its result. `None` when this attempt has lost it.
pub async fn succeed_job(ctx: &Context, job: &Job, result: &Value) -> Result<Option<Ended>> {
    let mut tx = ctx.db.begin().await?;
    let Some(settled) = succeed(&mut tx, job, result).await? else { return Ok(None) };
    tx.commit().await?;
    Ok(Some(Ended::new(settled, result.clone())))
}

/// The same in a transaction that stores more.
pub async fn succeed(tx: &mut Tx, job: &Job, result: &Value) -> Result<Option<Settled>, sqlx::Error> {
    let status = JobStatus::Succeeded;
    store::ledger::settle(tx, store::ledger::AttemptOf::job(job), status, Some(result), None, clock::now())
        .await
}

/// Ends a running job that was stopped on request and keeps nothing.
pub async fn cancel_running(ctx: &Context, job: &Job) -> Result<bool> {
    let mut tx = ctx.db.begin().await?;
    let status = JobStatus::Cancelled;
    let settled =
        store::ledger::settle(&mut tx, store::ledger::AttemptOf::job(job), status, None, None, clock::now())
            .await?;
    if settled.is_none() {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}
