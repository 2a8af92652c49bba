//! Erases an account: its vectors, events, files and mail, then every row. What is outside the database goes first, so
//! that an attempt cut off anywhere can begin again: while the account's row is there, nothing is forgotten.

use rapport_common::{
    Context, Error, clock,
    domain::{
        ids::JobId,
        job::{Job, JobStatus},
    },
    jobs::payload::{self, ErasePayload},
    store,
};
use serde_json::{Value, json};

use super::outcome_of;
use crate::{outcome::Outcome, runner::persist};

pub async fn run(ctx: &Context, job: &Job) -> Outcome {
    let payload: ErasePayload = match payload::read(job) {
        Ok(payload) => payload,
        Err(error) => return Outcome::Fail(error),
    };
    if let Err(error) = erase(ctx, &payload).await {
        return outcome_of(error);
    }
    let result = json!({"erased": true});
    let ended = persist(|| end(ctx, job, &result));
    if ended.await == Some(true) { Outcome::Done(result) } else { Outcome::Lost }
}

/// Ends the job, and takes out of it whom it was about.
async fn end(ctx: &Context, job: &Job, result: &Value) -> Result<bool, Error> {
    let mut tx = ctx.db.begin().await?;
    let (status, now) = (JobStatus::Succeeded, clock::now());
    if !store::ledger::settle(&mut tx, job.id, job.attempt, status, Some(result), None, now).await? {
        return Ok(false);
    }
    store::erase::forget(&mut tx, job.id).await?;
    tx.commit().await?;
    Ok(true)
}

async fn erase(ctx: &Context, payload: &ErasePayload) -> Result<(), Error> {
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
    // One statement a table: with a hundred thousand messages that takes a while.
    let mut tx = ctx.db.begin_patiently().await?;
    if let Some(email) = email {
        store::codes::delete_all(&mut tx, &rapport_common::usecase::codes::subject(ctx, &email)).await?;
    }
    store::erase::account(&mut tx, user, &scopes).await?;
    tx.commit().await?;
    // Last: a job that was embedding meanwhile finds no rows any more, and cannot put points back.
    ctx.vectors.delete_owner(user).await.map_err(|error| away("vector index")(error.to_string()))?;
    Ok(())
}
