//! Files that a conversation, or all of a project's, may look into.

use crate::{
    Context, Error, Result,
    domain::ids::{FileId, ProjectId, SessionId, UserId},
    error::Wrong,
    store::{self, Tx, files::Named, memory_log},
};

/// Files that one conversation or project may name.
const MOST: usize = 100;

fn checked(mut ids: Vec<FileId>) -> Result<Vec<FileId>> {
    ids.sort_unstable();
    ids.dedup();
    if ids.len() > MOST {
        return Err(Error::field("file_ids", Wrong::Unfit("must be at most 100 files")));
    }
    Ok(ids)
}

/// All of them must be there, and the user's.
fn all(named: &[Named], wanted: &[FileId]) -> Result<()> {
    if named.len() == wanted.len() { Ok(()) } else { Err(Error::not_found("file")) }
}

async fn session(tx: &mut Tx, user: UserId, id: SessionId) -> Result<()> {
    let found = store::sessions::get(tx, user, id).await?;
    found.map(drop).ok_or_else(|| Error::not_found("session"))
}

pub async fn of_session(ctx: &Context, user: UserId, id: SessionId) -> Result<Vec<Named>> {
    let mut conn = ctx.db.read().await?;
    store::sessions::get(&mut conn, user, id).await?.ok_or_else(|| Error::not_found("session"))?;
    Ok(store::files::of_session(&mut conn, user, id).await?)
}

/// All of a session's files anew.
pub async fn set_of_session(
    ctx: &Context,
    user: UserId,
    id: SessionId,
    files: Vec<FileId>,
) -> Result<Vec<Named>> {
    let mut tx = ctx.db.begin().await?;
    // One after another: of two at once, the later one's set stands.
    memory_log::take_version(&mut tx, user).await?;
    session(&mut tx, user, id).await?;
    let files = checked(files)?;
    store::files::set_of_session(&mut tx, user, id, &files).await?;
    let named = store::files::of_session(&mut tx, user, id).await?;
    all(&named, &files)?;
    tx.commit().await?;
    Ok(named)
}

pub async fn of_project(ctx: &Context, user: UserId, id: ProjectId) -> Result<Vec<Named>> {
    let mut conn = ctx.db.read().await?;
    super::super::projects::get(&mut conn, user, id).await?;
    Ok(store::files::of_project(&mut conn, user, id).await?)
}

/// All of a project's files anew.
pub async fn set_of_project(
    ctx: &Context,
    user: UserId,
    id: ProjectId,
    files: Vec<FileId>,
) -> Result<Vec<Named>> {
    let mut tx = ctx.db.begin().await?;
    memory_log::take_version(&mut tx, user).await?;
    super::super::projects::get(&mut tx, user, id).await?;
    let files = checked(files)?;
    store::files::set_of_project(&mut tx, user, id, &files).await?;
    let named = store::files::of_project(&mut tx, user, id).await?;
    all(&named, &files)?;
    tx.commit().await?;
    Ok(named)
}
