//! Erases an account: its vectors, events, files and mail, then every row. What is outside the database goes first, so
//! that an attempt cut off anywhere can begin again: while the account's row is there, nothing is forgotten.

use rapport_common::{
    Context, Error, Result,
    domain::{ids::JobId, job::Job},
    jobs::payload::ErasePayload,
    store,
    usecase::{erase, files},
};

use super::Work;
use crate::{attempt::Attempt, outcome::Outcome};

impl Work for ErasePayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        if !erase_all(attempt.ctx, attempt.job, &self).await? {
            return Ok(Outcome::Lost);
        }
        Ok(attempt.commit(|| erase::end(attempt.ctx, attempt.job)).await)
    }
}

/// `false`: this attempt has lost the job.
async fn erase_all(ctx: &Context, job: &Job, payload: &ErasePayload) -> Result<bool> {
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
    if !erase::account(ctx, job, user).await? {
        return Ok(false);
    }
    ctx.words.forget(user);
    files::erase(ctx, user).await?;
    // Last: a job that was embedding meanwhile finds no rows any more, and cannot put points back.
    ctx.vectors.delete_owner(user).await.map_err(|error| away("vector index")(error.to_string()))?;
    Ok(true)
}
