//! What is left of deleted files and of uploads that nobody goes on with: passages first, a piece at a time, then bytes, then the
//! row that says so. Cut off anywhere, the next one goes on.

use crate::{
    Context, Result, clock,
    domain::ids::UserId,
    store::{
        self, chunks,
        files::{self, Deletion},
        memory_log,
    },
};

/// Passages deleted in one transaction.
pub const PIECE: i64 = 500;
/// Files cleaned up after in one go.
const BATCH: i64 = 100;

/// Cleans up after all users. For the sweep.
pub async fn clean(ctx: &Context) -> Result<()> {
    store::uploads::prune(&mut ctx.db.relaxed().await?, clock::now() - ctx.settings.files.upload_kept)
        .await?;
    work_off(ctx, files::deletions(&mut ctx.db.read().await?, None, BATCH).await?).await?;
    for (file, user) in files::left(&mut ctx.db.read().await?).await? {
        let mut tx = ctx.db.begin().await?;
        let why = "Reading it was cancelled, or its process died again and again.";
        files::give_up(&mut tx, user, file, why, clock::now()).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Cleans up after one user.
pub(super) async fn of_user(ctx: &Context, user: UserId) -> Result<()> {
    work_off(ctx, files::deletions(&mut ctx.db.read().await?, Some(user), BATCH).await?).await
}

async fn work_off(ctx: &Context, deletions: Vec<Deletion>) -> Result<()> {
    for Deletion { place, file_id, user_id } in deletions {
        if let Some(file) = file_id {
            delete_passages(ctx, user_id, file, "").await?;
        }
        ctx.storage.delete_all(&place).await?;
        files::forget_deletion(&mut ctx.db.relaxed().await?, &place).await?;
    }
    Ok(())
}

/// Deletes the passages of a file but those of one reading, with their words and vectors.
pub(super) async fn delete_passages(
    ctx: &Context,
    user: UserId,
    file: crate::domain::ids::FileId,
    but: &str,
) -> Result<()> {
    loop {
        let mut tx = ctx.db.begin().await?;
        memory_log::take_version(&mut tx, user).await?;
        let deleted = chunks::delete_others(&mut tx, user, file, but, PIECE).await?;
        tx.commit().await?;
        if deleted < PIECE as u64 {
            return Ok(());
        }
    }
}

/// Deletes all bytes of an account whose rows are gone.
pub async fn erase(ctx: &Context, user: UserId) -> Result<()> {
    ctx.storage.delete_all(&user.0.simple().to_string()).await?;
    Ok(files::forget_deletions_of(&mut ctx.db.relaxed().await?, user).await?)
}
