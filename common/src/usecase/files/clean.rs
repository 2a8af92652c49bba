//! What is left of deleted files, of readings that came to nothing, and of uploads that nobody goes on with: passages first, a
//! piece at a time, then bytes, then the row that says so. Cut off anywhere, the next one goes on.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{
    Context, Result, clock,
    domain::ids::{FileId, UserId},
    error::Code,
    store::{
        self,
        chunks::{self, Looked},
        files::{self, Deletion},
        memory_log,
    },
};

/// Passages deleted in one transaction.
pub const PIECE: i64 = 500;
/// Deletions worked off in one go.
const BATCH: usize = 100;
/// Files whose passages are looked at in one go.
const LOOKED: usize = 100;
/// How long one go takes at most: the sweep has more to do, and whoever deletes a file waits for it.
const AT_MOST: Duration = Duration::from_secs(5);

/// How far the sweep is in its rounds: one that fails each time must not keep those behind it waiting.
#[derive(Debug, Default)]
pub struct Round {
    place: String,
    file: Option<FileId>,
}

/// Cleans up after all users. For the sweep.
pub async fn clean(ctx: &Context, round: &mut Round) -> Result<()> {
    // Durably: bytes go right after, and a row that came back after a power cut would name them.
    let mut tx = ctx.db.begin().await?;
    store::uploads::prune(&mut tx, clock::now() - ctx.settings.files.upload_kept).await?;
    tx.commit().await?;
    let until = Instant::now() + AT_MOST;
    let deletions = files::deletions(&mut ctx.db.read().await?, &round.place, BATCH as i64).await?;
    round.place = work_off(ctx, deletions, until).await;
    look_for_strays(ctx, round, until).await?;
    let left = files::left(&mut ctx.db.read().await?).await?;
    for (file, user) in left {
        if let Err(error) = give_up(ctx, user, file).await {
            tracing::warn!(%error, %file, "a file whose job is gone waits on");
        }
    }
    Ok(())
}

async fn give_up(ctx: &Context, user: UserId, file: FileId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    let why = "Reading it was cancelled, or its process died again and again.";
    files::give_up(&mut tx, user, file, why, clock::now()).await?;
    tx.commit().await
}

/// Cleans up after one user.
pub(super) async fn of_user(ctx: &Context, user: UserId) -> Result<()> {
    let deletions = files::deletions_of(&mut ctx.db.read().await?, user, BATCH as i64).await?;
    work_off(ctx, deletions, Instant::now() + AT_MOST).await;
    Ok(())
}

/// Works deletions off, each by itself. Where the next go begins: behind the last of these, or at the beginning.
async fn work_off(ctx: &Context, deletions: Vec<Deletion>, until: Instant) -> String {
    let mut next = String::new();
    let is_all = deletions.len() < BATCH;
    for deletion in deletions {
        match timeout_at(until, delete(ctx, &deletion)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, place = %deletion.place, "what is left of a deleted file stays for now");
            }
            Err(_) => return deletion.place,
        }
        next = deletion.place;
    }
    if is_all { String::new() } else { next }
}

async fn delete(ctx: &Context, deletion: &Deletion) -> Result<()> {
    if let Some(file) = deletion.file_id {
        match delete_strays(ctx, deletion.user_id, file).await {
            // Passages go with the account.
            Err(error) if error.code == Code::NotFound => {}
            done => done?,
        }
    }
    ctx.storage.delete_all(&deletion.place).await?;
    Ok(files::forget_deletion(&mut ctx.db.relaxed().await?, &deletion.place).await?)
}

/// Finds passages that no reading needs, of some files: there are none unless a reading was cut off.
async fn look_for_strays(ctx: &Context, round: &mut Round, until: Instant) -> Result<()> {
    let looked = chunks::look(&mut ctx.db.read().await?, round.file, LOOKED as i64).await?;
    round.file = looked.get(LOOKED - 1).map(|last| last.file_id);
    for Looked { file_id, user_id, .. } in looked.into_iter().filter(|one| one.has_others) {
        match timeout_at(until, delete_strays(ctx, user_id, file_id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, %file_id, "passages of no reading stay for now"),
            Err(_) => break,
        }
    }
    Ok(())
}

/// Deletes the passages of a file that are neither its own nor those of the reading under way, with their words and vectors: of a
/// deleted file, all. What is named here can never be wanted again, so nothing needs to be held meanwhile.
pub(super) async fn delete_strays(ctx: &Context, user: UserId, file: FileId) -> Result<()> {
    loop {
        let stray = chunks::stray(&mut ctx.db.read().await?, user, file).await?;
        let Some(generation) = stray else { return Ok(()) };
        let mut tx = ctx.db.begin().await?;
        memory_log::take_version(&mut tx, user).await?;
        chunks::delete(&mut tx, user, file, &generation, PIECE).await?;
        tx.commit().await?;
    }
}

/// Deletes all bytes of an account whose rows are gone.
pub async fn erase(ctx: &Context, user: UserId) -> Result<()> {
    ctx.storage.delete_all(&user.0.simple().to_string()).await?;
    Ok(files::forget_deletions_of(&mut ctx.db.relaxed().await?, user).await?)
}
