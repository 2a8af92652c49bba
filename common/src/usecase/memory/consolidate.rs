//! Putting in the jobs that look a user's memories through.

use super::{go_on, job};
use crate::{
    Context, Result,
    domain::{ids::UserId, job::Job},
    jobs::payload::ConsolidationPayload,
    store::{self, memory_log},
    usecase::repeat::{Repeatable, put_in},
};

/// Has the memories of users with enough changes reviewed: one review at a time a user. For the sweep.
pub async fn schedule(ctx: &Context) -> Result<()> {
    let users =
        memory_log::dirty_users(&mut ctx.db.read().await?, ctx.settings.memory.consolidate_after).await?;
    for user in users {
        go_on(user, schedule_one(ctx, user).await)?;
    }
    Ok(())
}

async fn schedule_one(ctx: &Context, user: UserId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    let new = job(ctx, user, &ConsolidationPayload::Review)?.once(format!("review:{user}"));
    let ready = store::jobs::enqueue(&mut tx, new).await?;
    tx.commit().await?;
    ctx.announce(ready).await;
    Ok(())
}

/// Puts in a job that the user asked for. `true`: an earlier request with the same key did.
pub async fn ask(
    ctx: &Context,
    user: UserId,
    payload: &ConsolidationPayload,
    repeatable: Option<&Repeatable>,
) -> Result<(Job, bool)> {
    let new = job(ctx, user, payload)?;
    put_in(ctx, user, new, "consolidation", repeatable).await
}
