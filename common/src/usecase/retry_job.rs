//! Running a failed job again, on its owner's wish. A failed answer is taken away: the new one gets its place.

use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{JobId, UserId},
        job::{Job, JobKind, Lane},
    },
    error::Code,
    store::{self, Tx, jobs::Ready},
};

pub async fn retry_job(ctx: &Context, user: UserId, id: JobId) -> Result<Job> {
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    let found = store::jobs::get(&mut tx, user, id).await?;
    let job = found.ok_or_else(|| Error::not_found("job"))?;
    let mut order = None;
    if let (JobKind::Chat, Some(session)) = (job.kind, job.session_id) {
        // To the end of the session's queue: what was sent meanwhile keeps its turn.
        order = store::sessions::take_order(&mut tx, user, session, now).await?;
        let removed = store::messages::delete_failed_answer(&mut tx, user, id).await?;
        store::sessions::count_message(&mut tx, session, -(removed as i64), now).await?;
    }
    let retried = store::jobs::retry(&mut tx, user, id, ctx.settings.queue.max_attempts, order, now).await;
    if retried.as_ref().is_err_and(|error| store::violated(error).is_some()) {
        let detail = "Another job does the same work right now. Retry this one when that has ended.";
        return Err(Error::new(Code::WrongState, detail).retry_after(5));
    }
    if !retried? {
        let detail = format!("Only a failed job can be retried; this one is {}.", job.status.as_str());
        return Err(Error::new(Code::WrongState, detail));
    }
    let job = store::jobs::get(&mut tx, user, id).await?.ok_or_else(|| Error::not_found("job"))?;
    if job.kind == JobKind::Chat && job.session_id.is_none() {
        rejoin(&mut tx, user, id).await?;
    }
    tx.commit().await?;
    // Who follows it from now on is not told its old end. If this fails they are, and ask again: the job's state is the truth.
    let _told = ctx.events.erase(id).await;
    ctx.announce([Ready::of(&job, Lane::normal(job.queue), now)]).await;
    Ok(job)
}

/// A stored response goes on in its conversation, unless another does.
async fn rejoin(tx: &mut Tx, user: UserId, id: JobId) -> Result<()> {
    let Some(kept) = store::requests::get(tx, user, id).await? else { return Ok(()) };
    let conversation = kept.body["shown"]["conversation"]["id"].as_str().and_then(|id| id.parse().ok());
    let Some(conversation) = conversation else { return Ok(()) };
    let rejoined = store::requests::rejoin(tx, user, id, conversation).await;
    if rejoined.as_ref().is_err_and(|error| store::violated(error).is_some()) {
        let detail = "Another response is under way in the conversation.";
        return Err(Error::new(Code::SessionBusy, detail).retry_after(1));
    }
    Ok(rejoined?)
}
