//! Files that users send: one row a content. Their passages are in [`super::chunks`], their bytes outside of the database.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::db::{Conn, Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, ids, row, statements};
use crate::domain::{
    file::{File, FileStatus},
    ids::{FileId, JobId, ProjectId, SessionId, UserId},
};

macro_rules! file_columns {
    () => {
        "f.id, f.name, f.kind, f.bytes, f.sha256, f.place, f.parts, f.status, f.error, f.job_id, f.generation, f.pages,
        f.chunks, f.words, f.purpose, f.created_at, f.updated_at"
    };
}
pub(crate) use file_columns;

statements! {
    INSERT = "insert into files (id, user_id, name, kind, bytes, sha256, place, parts, status, job_id, purpose, created_at, updated_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12) on conflict (user_id, sha256) do nothing";
    GET = "select ", file_columns!(), " from files f where f.id = $1 and f.user_id = $2";
    BY_CONTENT = "select ", file_columns!(), " from files f where f.sha256 = $1 and f.user_id = $2";
    LIST = "select ", file_columns!(), " from files f where f.user_id = $1 and ($2 is null or f.status = $2) and ($3 is null or f.id < $3)
    order by f.id desc limit $4 offset $5";
    /// Those for one purpose, or all; what was sent without one is the user's data.
    FORWARD = "select ", file_columns!(), " from files f where f.user_id = $1 and ($2 is null or coalesce(f.purpose, 'user_data') = $2)
    and ($3 is null or f.id > $3) order by f.id limit $4";
    BACKWARD = "select ", file_columns!(), " from files f where f.user_id = $1 and ($2 is null or coalesce(f.purpose, 'user_data') = $2)
    and ($3 is null or f.id < $3) order by f.id desc limit $4";
    SET_PURPOSE = "update files set purpose = $3 where id = $1 and user_id = $2";
    COUNT = "select count(*) from files where user_id = $1 and ($2 is null or status = $2)";
    /// What is kept, and what is on its way, of which nobody may know how much it will be.
    USED = "select (select count(*) from files where user_id = $1)
        + (select count(*) from uploads where user_id = $1 and file_id is null and id <> $2),
    (select cast(coalesce(sum(bytes), 0) as bigint) from files where user_id = $1)
        + (select cast(coalesce(sum(case when coalesce(length, 0) > received then length else received end), 0) as bigint)
            from uploads where user_id = $1 and file_id is null and id <> $2)";
    RENAME = "update files set name = $3, updated_at = $4 where id = $1 and user_id = $2";
    DELETE = "delete from files where id = $1 and user_id = $2";
    /// The job that reads it from now on; not while another does.
    QUEUE = "update files set status = 'queued', error = null, job_id = $3, updated_at = $4
    where id = $1 and user_id = $2 and status in ('failed', 'indexed')";
    READING = "update files set status = 'reading', error = null, updated_at = $4
    where id = $1 and user_id = $2 and job_id = $3 and status in ('queued', 'reading', 'failed')";
    /// Until the transaction ends, nobody deletes it or has another job read it.
    HOLD = "select 1 from files where id = $1 and user_id = $2 and job_id = $3", pg!(" for share");
    INDEXED = "update files set status = 'indexed', error = null, generation = $4, pages = $5, chunks = $6, words = $7, updated_at = $8
    where id = $1 and user_id = $2 and job_id = $3";
    FAILED = "update files set status = 'failed', error = $4, updated_at = $5 where id = $1 and user_id = $2 and job_id = $3";
    /// Of jobs that ended without a word of their file: cancelled, or dead.
    LEFT = "select f.id, f.user_id from files f where f.status in ('queued', 'reading') and not exists
        (select 1 from jobs j where j.id = f.job_id and j.finished_at is null) limit 100";
    GIVE_UP = "update files set status = 'failed', error = $3, updated_at = $4 where id = $1 and user_id = $2 and status in ('queued', 'reading')
    and not exists (select 1 from jobs j where j.id = files.job_id and j.finished_at is null)";
    OF_SESSION = "select f.id, f.name from files f join session_files l on l.file_id = f.id
    where l.session_id = $1 and l.user_id = $2 order by f.id";
    OF_PROJECT = "select f.id, f.name from files f join project_files l on l.file_id = f.id
    where l.project_id = $1 and l.user_id = $2 order by f.id";
    CLEAR_SESSION = "delete from session_files where session_id = $1 and user_id = $2";
    CLEAR_PROJECT = "delete from project_files where project_id = $1 and user_id = $2";
    ADD_TO_SESSION = "insert into session_files (session_id, file_id, user_id) select $1, f.id, f.user_id from files f
    where f.user_id = $2 and f.id in ", ids!(3), " on conflict do nothing";
    ADD_TO_PROJECT = "insert into project_files (project_id, file_id, user_id) select $1, f.id, f.user_id from files f
    where f.user_id = $2 and f.id in ", ids!(3), " on conflict do nothing";
    COPY_SESSION = "insert into session_files (session_id, file_id, user_id) select $1, file_id, user_id from session_files
    where session_id = $2 and user_id = $3 on conflict do nothing";
    FOR_CHAT = "select ", file_columns!(), " from files f where f.user_id = $1 and f.generation is not null and (
        f.id in (select file_id from session_files where session_id = $2 and user_id = $1)
        or f.id in (select file_id from project_files where project_id = $3 and user_id = $1))";
    NAMED = "select ", file_columns!(), " from files f where f.user_id = $1 and f.id in ", ids!(2);
    READABLE = "select ", file_columns!(), " from files f where f.user_id = $1 and f.generation is not null order by f.id desc limit 1000";
    DELETIONS = "select place, file_id, user_id from file_deletions where place > $1 order by place limit $2";
    DELETIONS_OF = "select place, file_id, user_id from file_deletions where user_id = $1 order by place limit $2";
    FORGET_DELETION = "delete from file_deletions where place = $1";
    FORGET_DELETIONS_OF = "delete from file_deletions where user_id = $1";
}

pub async fn insert(tx: &mut Tx, user: UserId, file: &File) -> Result<bool, sqlx::Error> {
    let inserted = execute!(
        tx,
        INSERT,
        file.id,
        user,
        &file.name,
        &file.kind,
        file.bytes,
        &file.sha256,
        &file.place,
        Json(&file.parts),
        file.status,
        file.job_id,
        file.purpose.as_deref(),
        file.created_at
    )?;
    Ok(inserted == 1)
}

pub async fn get(q: &mut impl Querier, user: UserId, id: FileId) -> Result<Option<File>, sqlx::Error> {
    fetch_optional!(File, q, GET, id, user)
}

/// The user's file of this content.
pub async fn by_content(
    q: &mut impl Querier,
    user: UserId,
    sha256: &str,
) -> Result<Option<File>, sqlx::Error> {
    fetch_optional!(File, q, BY_CONTENT, sha256, user)
}

/// The newest first, and how many there are.
pub async fn list(
    q: &mut impl Querier,
    user: UserId,
    status: Option<FileStatus>,
    before: Option<FileId>,
    limit: i64,
    skip: i64,
) -> Result<(Vec<File>, i64), sqlx::Error> {
    let total = fetch_one!((i64,), q, COUNT, user, status)?.0;
    Ok((fetch_all!(File, q, LIST, user, status, before, limit, skip)?, total))
}

/// A part of a list in the order in which things were made.
#[derive(Debug, Clone, Copy)]
pub struct Part<T> {
    pub ascending: bool,
    /// Only what comes behind this one.
    pub after: Option<T>,
    pub limit: i64,
}

pub async fn of_purpose(
    q: &mut impl Querier,
    user: UserId,
    purpose: Option<&str>,
    part: Part<FileId>,
) -> Result<Vec<File>, sqlx::Error> {
    let Part { ascending, after, limit } = part;
    let sql = if ascending { FORWARD } else { BACKWARD };
    fetch_all!(File, q, sql, user, purpose, after, limit)
}

/// What a file is for from now on.
pub async fn set_purpose(tx: &mut Tx, user: UserId, id: FileId, purpose: &str) -> Result<(), sqlx::Error> {
    execute!(tx, SET_PURPOSE, id, user, purpose).map(drop)
}

/// Files and bytes of a user, one upload left out.
pub async fn used(
    q: &mut impl Querier,
    user: UserId,
    without: crate::domain::ids::UploadId,
) -> Result<(i64, i64), sqlx::Error> {
    fetch_one!((i64, i64), q, USED, user, without)
}

pub async fn rename(
    tx: &mut Tx,
    user: UserId,
    id: FileId,
    name: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, RENAME, id, user, name, now)? == 1)
}

/// Its bytes and passages are nobody's from now on, and go when [`deletions`] are worked off.
pub async fn delete(tx: &mut Tx, user: UserId, id: FileId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE, id, user)? == 1)
}

/// `false`: it is being read, or has no text.
pub async fn queue(
    tx: &mut Tx,
    user: UserId,
    id: FileId,
    job: JobId,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, QUEUE, id, user, job, now)? == 1)
}

/// `false`: it is gone, or another job's.
pub async fn reading(
    tx: &mut Tx,
    user: UserId,
    id: FileId,
    job: JobId,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, READING, id, user, job, now)? == 1)
}

/// Keeps the file as it is until the transaction ends. `false`: it is gone, or another job's.
pub async fn hold(tx: &mut Tx, user: UserId, (id, job): (FileId, JobId)) -> Result<bool, sqlx::Error> {
    Ok(fetch_optional!((i32,), tx, HOLD, id, user, job)?.is_some())
}

/// What a reading came to.
pub struct Indexed<'a> {
    pub generation: &'a str,
    pub pages: Option<i64>,
    pub chunks: i64,
    pub words: i64,
}

/// From now on the passages of this reading count, and no others. `false`: the file is gone, or another job's.
pub async fn indexed(
    tx: &mut Tx,
    user: UserId,
    (id, job): (FileId, JobId),
    new: Indexed<'_>,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let Indexed { generation, pages, chunks, words } = new;
    Ok(execute!(tx, INDEXED, id, user, job, generation, pages, chunks, words, now)? == 1)
}

pub async fn failed(
    tx: &mut Tx,
    user: UserId,
    (id, job): (FileId, JobId),
    why: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, FAILED, id, user, job, why, now)? == 1)
}

/// Files that wait for a job which is not there any more. For the sweep, over all users.
pub async fn left(q: &mut impl Querier) -> Result<Vec<(FileId, UserId)>, sqlx::Error> {
    fetch_all!((FileId, UserId), q, LEFT)
}

pub async fn give_up(
    tx: &mut Tx,
    user: UserId,
    id: FileId,
    why: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, GIVE_UP, id, user, why, now).map(drop)
}

/// A file that is named somewhere.
#[derive(Debug, Clone)]
pub struct Named {
    pub id: FileId,
    pub name: String,
}

row!(Named: id, name);

pub async fn of_session(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
) -> Result<Vec<Named>, sqlx::Error> {
    fetch_all!(Named, q, OF_SESSION, session, user)
}

pub async fn of_project(
    q: &mut impl Querier,
    user: UserId,
    project: ProjectId,
) -> Result<Vec<Named>, sqlx::Error> {
    fetch_all!(Named, q, OF_PROJECT, project, user)
}

/// All of a session's files anew; those that are not the user's are left out.
pub async fn set_of_session(
    tx: &mut Tx,
    user: UserId,
    session: SessionId,
    files: &[FileId],
) -> Result<(), sqlx::Error> {
    execute!(tx, CLEAR_SESSION, session, user)?;
    execute!(tx, ADD_TO_SESSION, session, user, ids(files.iter().copied())).map(drop)
}

/// The same of a project's.
pub async fn set_of_project(
    tx: &mut Tx,
    user: UserId,
    project: ProjectId,
    files: &[FileId],
) -> Result<(), sqlx::Error> {
    execute!(tx, CLEAR_PROJECT, project, user)?;
    execute!(tx, ADD_TO_PROJECT, project, user, ids(files.iter().copied())).map(drop)
}

/// Gives a branch what its session has.
pub async fn copy_of_session(
    tx: &mut Tx,
    user: UserId,
    from: SessionId,
    to: SessionId,
) -> Result<(), sqlx::Error> {
    execute!(tx, COPY_SESSION, to, from, user).map(drop)
}

/// Those with passages that a conversation may look into.
pub async fn for_chat(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
    project: Option<ProjectId>,
) -> Result<Vec<File>, sqlx::Error> {
    fetch_all!(File, q, FOR_CHAT, user, session, project)
}

pub async fn named(q: &mut impl Querier, user: UserId, files: &[FileId]) -> Result<Vec<File>, sqlx::Error> {
    fetch_all!(File, q, NAMED, user, ids(files.iter().copied()))
}

/// The newest of all that have passages.
pub async fn readable(q: &mut impl Querier, user: UserId) -> Result<Vec<File>, sqlx::Error> {
    fetch_all!(File, q, READABLE, user)
}

/// Bytes, and passages, that are nobody's.
#[derive(Debug, Clone)]
pub struct Deletion {
    pub place: String,
    pub file_id: Option<FileId>,
    pub user_id: UserId,
}

row!(Deletion: place, file_id, user_id);

/// In order, after a place. For the sweep, over all users.
pub async fn deletions(q: &mut impl Querier, after: &str, limit: i64) -> Result<Vec<Deletion>, sqlx::Error> {
    fetch_all!(Deletion, q, DELETIONS, after, limit)
}

pub async fn deletions_of(
    q: &mut impl Querier,
    user: UserId,
    limit: i64,
) -> Result<Vec<Deletion>, sqlx::Error> {
    fetch_all!(Deletion, q, DELETIONS_OF, user, limit)
}

pub async fn forget_deletion(conn: &mut Conn, place: &str) -> Result<(), sqlx::Error> {
    execute!(conn, FORGET_DELETION, place).map(drop)
}

/// When all that was the user's is gone from the store.
pub async fn forget_deletions_of(conn: &mut Conn, user: UserId) -> Result<(), sqlx::Error> {
    execute!(conn, FORGET_DELETIONS_OF, user).map(drop)
}
