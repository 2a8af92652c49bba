//! Cancelling a job. A waiting one ends here; a running one is asked to stop, and ends when its worker has.

use super::finish_chat::{Answer, insert_answer, reply};
use crate::{
    Context, Error, Result, clock,
    domain::{
        event::{Event, EventId},
        ids::{JobId, UserId},
        job::{Job, JobKind},
        message::MessageStatus,
    },
    error::Code,
    jobs::payload::{self, ChatPayload},
    last_event::final_name_and_data,
    store,
};

/// Gives the job as it is after the request: `cancelled`, or `running` with the wish noted.
pub async fn cancel_job(ctx: &Context, user: UserId, id: JobId) -> Result<Job> {
    // Twice, because a waiting job may start, and a running one be put back, between looking and asking.
    for _ in 0..2 {
        let found = store::jobs::get(&mut ctx.db.read().await?, user, id).await?;
        let job = found.ok_or_else(|| Error::not_found("job"))?;
        if job.status.is_final() {
            let detail = format!("The job is {} already.", job.status.as_str());
            return Err(Error::new(Code::WrongState, detail));
        }
        // The connection goes back before the next is taken: SQLite has one writer at a time.
        let mut conn = ctx.db.relaxed().await?;
        let asked = store::jobs::request_cancel(&mut conn, user, id).await?;
        drop(conn);
        if asked || cancel_waiting(ctx, user, &job).await? {
            let now = store::jobs::get(&mut ctx.db.read().await?, user, id).await?;
            return now.ok_or_else(|| Error::not_found("job"));
        }
    }
    Err(Error::new(Code::WrongState, "The job is changing its state. Try again.").retry_after(1))
}

async fn cancel_waiting(ctx: &Context, user: UserId, job: &Job) -> Result<bool> {
    let mut tx = ctx.db.begin().await?;
    if let Some(session) = job.session_id {
        store::sessions::lock(&mut tx, session).await?;
    }
    if !store::jobs::cancel_queued(&mut tx, user, job.id, clock::now()).await? {
        return Ok(false);
    }
    let mut next = None;
    if job.kind == JobKind::Chat {
        let payload: ChatPayload = payload::read(job)?;
        let nothing = Answer { finish_reason: "cancelled".to_owned(), cancelled: true, ..Answer::default() };
        if !payload.again && job.session_id.is_some() {
            insert_answer(&mut tx, job, &payload, MessageStatus::Cancelled, &nothing).await?;
        }
        store::jobs::set_result(&mut tx, user, job.id, &reply(job, &payload, &nothing)).await?;
        if payload.request && job.session_id.is_some() {
            store::requests::delete(&mut tx, user, job.id).await?;
        } else if payload.request {
            store::requests::answered(&mut tx, user, job.id).await?;
        }
        if let Some(session) = job.session_id {
            next = store::jobs::next_in_session(&mut tx, session).await?;
        }
    }
    tx.commit().await?;
    ctx.bells.ring(user, Some(job.id));
    ctx.announce(next).await;
    let done = store::jobs::get(&mut ctx.db.read().await?, user, job.id).await?;
    if let Some((name, data)) =
        done.and_then(|job| final_name_and_data(job.status, job.result.as_ref(), job.error.as_ref()))
    {
        let event = Event::new(EventId::last_of(job.attempt), name, data);
        // Readers that miss it are told by the ledger.
        let _told = if job.kind == JobKind::Chat {
            ctx.events.append(job.id, &[event]).await
        } else {
            ctx.events.notify(job.id, &event).await
        };
    }
    Ok(true)
}
