//! Erases an account: its vectors, events, files and mail, then every row. What is outside the database goes first, so
//! that an attempt cut off anywhere can begin again: while the account's row is there, nothing is forgotten.

use rapport_common::{
    Context, Error, Result,
    domain::{
        ids::{JobId, UserId},
        job::Job,
    },
    jobs::{Ended, payload::ErasePayload},
    store,
    usecase::end_job::succeed,
};
use serde_json::json;

use super::Work;
use crate::{attempt::Attempt, outcome::Outcome};

impl Work for ErasePayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        if !erase(attempt.ctx, attempt.job, &self).await? {
            return Ok(Outcome::Lost);
        }
        Ok(attempt.commit(|| end(attempt.ctx, attempt.job)).await)
    }
}

/// Ends the job, and takes out of it whom it was about.
async fn end(ctx: &Context, job: &Job) -> Result<Option<Ended>> {
    let result = json!({"erased": true});
    let mut tx = ctx.db.begin().await?;
    let Some(settled) = succeed(&mut tx, job, &result).await? else { return Ok(None) };
    store::erase::forget(&mut tx, job.id).await?;
    tx.commit().await?;
    Ok(Some(Ended::new(settled, result)))
}

/// Rows deleted in one transaction: it holds up nobody for long, and a database that is asked for more rests in between.
const PIECE: i64 = 500;

/// Deletes what there may be very much of, a piece at a time. Whoever takes over goes on with what is left. `false`: somebody
/// has.
async fn in_pieces(ctx: &Context, job: &Job, user: UserId) -> Result<bool> {
    let mut done = 0;
    loop {
        let mut tx = ctx.db.begin().await?;
        let Some((what, count)) = store::erase::some(&mut tx, user, PIECE).await? else { return Ok(true) };
        done += count;
        let progress = json!({"done": done, "note": what});
        if !store::extraction::set_progress_in(&mut tx, job.id, job.attempt, &progress).await? {
            return Ok(false);
        }
        tx.commit().await?;
    }
}

/// `false`: this attempt has lost the job.
async fn erase(ctx: &Context, job: &Job, payload: &ErasePayload) -> Result<bool> {
    let user = payload.user_id;
    let away = |what: &'static str| move |error: String| Error::unavailable(what, error);
    let mut after = JobId(uuid::Uuid::nil());
    loop {
        let jobs = store::erase::jobs(&mut ctx.db.read().await?, user, after).await?;
        let Some(last) = jobs.last().copied() else { break };
        for job in jobs {
            ctx.events.erase(job).await.map_err(|error| away("event log")(error.to_string()))?;
        }
        after = last;
    }
    ctx.mailer.erase(user).await.map_err(|error| away("outbox")(error.to_string()))?;
    let mut conn = ctx.db.read().await?;
    let email = store::users::get(&mut conn, user).await?.and_then(|user| user.email);
    let mut scopes = vec![user.to_string()];
    scopes.extend(store::projects::ids(&mut conn, user).await?.iter().map(ToString::to_string));
    scopes.extend(store::keys::list(&mut conn, user).await?.iter().map(|key| key.id.to_string()));
    drop(conn);
    if !in_pieces(ctx, job, user).await? {
        return Ok(false);
    }
    // What is left: little, but nobody knows how little.
    let mut tx = ctx.db.begin_patiently().await?;
    if let Some(email) = email {
        store::codes::delete_all(&mut tx, &rapport_common::usecase::codes::subject(ctx, &email)).await?;
    }
    store::erase::account(&mut tx, user, &scopes).await?;
    tx.commit().await?;
    // Last: a job that was embedding meanwhile finds no rows any more, and cannot put points back.
    ctx.vectors.delete_owner(user).await.map_err(|error| away("vector index")(error.to_string()))?;
    Ok(true)
}
