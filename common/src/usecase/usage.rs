//! What was spent.

use crate::{
    Context, Result,
    domain::ids::UserId,
    store::usage::{self, Spent},
};

/// Counts what was asked of models. It stands whatever becomes of the job, but for a user who is erased.
pub async fn count(ctx: &Context, user: UserId, spent: Vec<Spent<'_>>) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    if !usage::account_stays(&mut tx, user).await? {
        return Ok(());
    }
    for one in spent {
        usage::count(&mut tx, one).await?;
    }
    tx.commit().await
}

/// Moves what was logged into the sums by day.
pub async fn roll_up(ctx: &Context) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    usage::roll_up(&mut tx).await?;
    tx.commit().await
}
