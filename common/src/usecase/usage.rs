//! What was spent.

use crate::{
    Context, Result,
    store::usage::{self, Spent},
};

/// Counts what was asked of models. It stands whatever becomes of the job.
pub async fn count(ctx: &Context, spent: Vec<Spent<'_>>) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
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
