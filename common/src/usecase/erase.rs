//! Erasing an account: every row of it. What is outside the database, the job erases first.

use serde_json::json;

use super::{codes, end_job::succeed};
use crate::{
    Context, Result,
    domain::{ids::UserId, job::Job},
    jobs::Ended,
    store,
};

/// Rows deleted in one transaction: it holds up nobody for long, and a database that is asked for more rests in between.
const PIECE: i64 = 500;

/// Deletes all rows of an account. Whoever takes over goes on with what is left. `false`: this attempt has lost the job.
pub async fn account(ctx: &Context, job: &Job, user: UserId) -> Result<bool> {
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
        store::codes::delete_all(&mut tx, &codes::subject(ctx, &email)).await?;
    }
    store::erase::account(&mut tx, user, &scopes).await?;
    tx.commit().await?;
    Ok(true)
}

/// Deletes what there may be very much of, a piece at a time.
async fn in_pieces(ctx: &Context, job: &Job, user: UserId) -> Result<bool> {
    // An attempt before this one may have deleted some.
    let mut done = job.progress.as_ref().and_then(|before| before["done"].as_u64()).unwrap_or(0);
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

/// Ends the job, and takes out of it whom it was about.
pub async fn end(ctx: &Context, job: &Job) -> Result<Option<Ended>> {
    let result = json!({"erased": true});
    let mut tx = ctx.db.begin().await?;
    let Some(settled) = succeed(&mut tx, job, &result).await? else { return Ok(None) };
    store::erase::forget(&mut tx, job.id).await?;
    tx.commit().await?;
    Ok(Some(Ended::new(settled, result)))
}
