//! Making, changing and deleting sessions.

use std::time::Duration;

use super::{
    cancel_job::cancel_job,
    repeat::{Repeatable, repeated},
};
use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{ProjectId, SessionId, UserId},
        session::Session,
        texts::Title,
    },
    error::{Code, Wrong},
    store::{
        self,
        sessions::{Change, Filter, Part},
        words::said,
    },
};

/// How long reading all that a user said may take.
const READING: Duration = Duration::from_secs(60);

/// A page of the user's sessions, and how many there are in all. Of who has said much, a first search reads it in the database, while
/// it is read into memory for the next.
pub async fn list(ctx: &Context, user: UserId, filter: &Filter, part: &Part) -> Result<(Vec<Session>, i64)> {
    let mut conn = ctx.db.read().await?;
    if let Some(text) = &filter.q {
        if let Some(found) = said::find(&mut conn, &ctx.words, user, filter, text, part).await? {
            return Ok(found);
        }
        read_into_memory(ctx, user, filter);
    }
    Ok(store::sessions::list(&mut conn, user, filter, part).await?)
}

fn read_into_memory(ctx: &Context, user: UserId, filter: &Filter) {
    let Some(turn) = ctx.warming.begin(user) else { return };
    let (ctx, filter) = (ctx.clone(), filter.clone());
    tokio::spawn(async move {
        let _turn = turn;
        let reading = async {
            let mut conn = ctx.db.read().await?;
            Ok::<_, Error>(said::read(&mut conn, &ctx.words, user, &filter).await?)
        };
        tokio::select! {
            () = ctx.stopping.cancelled() => {}
            read = tokio::time::timeout(READING, store::db::in_background(reading)) => {
                if !matches!(read, Ok(Ok(()))) {
                    tracing::warn!("what a user said could not be read into memory");
                }
            }
        }
    });
}

/// Makes an empty session. `true` when this answers a repeated request with the same key.
pub async fn create(
    ctx: &Context,
    user: UserId,
    title: Option<Title>,
    project: Option<ProjectId>,
    repeatable: Option<&Repeatable>,
) -> Result<(Session, bool)> {
    let now = clock::now();
    let mut id = SessionId::new();
    let mut tx = ctx.db.begin().await?;
    let first = repeated(ctx, &mut tx, user, "session", repeatable, id).await?;
    let replayed = first.is_some();
    id = first.unwrap_or(id);
    if let Some(project) = project
        && store::projects::get(&mut tx, user, project).await?.is_none()
    {
        return Err(Error::not_found("project"));
    }
    if !replayed {
        let source = if title.is_some() { "user" } else { "none" };
        let title = title.as_deref().unwrap_or_default();
        let new = store::sessions::NewSession { id, title, title_source: source, project };
        store::sessions::insert(&mut tx, user, new, now).await?;
    }
    let session =
        store::sessions::get(&mut tx, user, id).await?.ok_or_else(|| Error::not_found("session"))?;
    tx.commit().await?;
    Ok((session, replayed))
}

pub async fn change(ctx: &Context, user: UserId, id: SessionId, change: Change) -> Result<Session> {
    if let Some(status) = &change.status
        && !["active", "archived"].contains(&status.as_str())
    {
        let values = &["active", "archived"];
        let said = "active or archived (DELETE deletes)";
        return Err(Error::field("status", Wrong::Choice { values, said }));
    }
    let mut tx = ctx.db.begin().await?;
    if !store::sessions::change(&mut tx, user, id, &change).await? {
        return Err(Error::not_found("session"));
    }
    let session =
        store::sessions::get(&mut tx, user, id).await?.ok_or_else(|| Error::not_found("session"))?;
    tx.commit().await?;
    Ok(session)
}

/// Deletes a session with its messages and jobs. What runs in it is stopped first, so that its provider is not paid
/// for an answer nobody will read; a worker that comes too late finds no row to write to.
pub async fn delete(ctx: &Context, user: UserId, id: SessionId) -> Result<()> {
    let mut conn = ctx.db.read().await?;
    if store::sessions::get(&mut conn, user, id).await?.is_none() {
        return Err(Error::not_found("session"));
    }
    let open = store::jobs::open_in_session(&mut conn, user, id).await?;
    drop(conn);
    for job in open {
        let _ended = cancel_job(ctx, user, job).await;
    }
    // A job of the session that ends in this moment may wait for it, and it for the job: then it is tried again.
    for _ in 0..TRIES {
        match delete_row(ctx, user, id).await {
            Err(error) if error.code == Code::Unavailable => {}
            done => return done,
        }
    }
    delete_row(ctx, user, id).await
}

/// How often a deletion that another transaction stood in the way of is tried again.
const TRIES: usize = 3;

async fn delete_row(ctx: &Context, user: UserId, id: SessionId) -> Result<()> {
    let mut tx = ctx.db.begin_patiently().await?;
    if !store::branches::delete(&mut tx, user, id).await? {
        return Err(Error::not_found("session"));
    }
    tx.commit().await
}
