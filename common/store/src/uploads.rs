//! Bytes on their way: what has come of an upload, and where.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::db::{Conn, Querier, Tx, execute, fetch_optional, row, statements};
use crate::domain::ids::{FileId, UploadId, UserId};

macro_rules! upload {
    () => {
        "id, name, kind, length, received, place, parts, state, claim, file_id"
    };
}

statements! {
    INSERT = "insert into uploads (id, user_id, name, length, place, parts, claim, created_at, updated_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $8)";
    GET = "select ", upload!(), " from uploads where id = $1 and user_id = $2";
    CLAIM = "update uploads set claim = $3, updated_at = $4 where id = $1 and user_id = $2 and received = $5 and file_id is null";
    ADVANCE = "update uploads set kind = $4, received = $5, parts = $6, state = $7, updated_at = $8
    where id = $1 and user_id = $2 and claim = $3 and file_id is null";
    BECAME = "update uploads set file_id = $4, parts = $5, received = $7, state = null, updated_at = $6
    where id = $1 and user_id = $2 and claim = $3 and file_id is null";
    DELETE = "delete from uploads where id = $1 and user_id = $2";
    PRUNE = "delete from uploads where updated_at < $1";
    /// Bytes that another file has already: as a trigger would note them.
    DISCARD = "insert into file_deletions (place, user_id) values ($1, $2) on conflict do nothing";
}

#[derive(Debug, Clone)]
pub struct Upload {
    pub id: UploadId,
    pub name: String,
    /// What it is, once its beginning has come.
    pub kind: Option<String>,
    pub length: Option<i64>,
    pub received: i64,
    pub place: String,
    pub parts: Vec<String>,
    pub state: Option<Vec<u8>>,
    pub claim: String,
    /// What it has become.
    pub file_id: Option<FileId>,
}

row!(Upload: id, name, kind, length, received, place, parts as json, state, claim, file_id);

pub async fn insert(
    tx: &mut Tx,
    user: UserId,
    upload: &Upload,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let Upload { id, name, length, place, parts, claim, .. } = upload;
    execute!(tx, INSERT, *id, user, name, *length, place, Json(parts), claim, now).map(drop)
}

pub async fn get(q: &mut impl Querier, user: UserId, id: UploadId) -> Result<Option<Upload>, sqlx::Error> {
    fetch_optional!(Upload, q, GET, id, user)
}

/// Takes the upload over for one request, which says where it goes on. `false`: it does not go on there.
pub async fn claim(
    conn: &mut Conn,
    user: UserId,
    upload: &Upload,
    claim: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(conn, CLAIM, upload.id, user, claim, now, upload.received)? == 1)
}

/// Notes what has come. `false`: another request took over, and this one's bytes do not count.
pub async fn advance(
    tx: &mut Tx,
    user: UserId,
    upload: &Upload,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let Upload { id, kind, received, parts, state, claim, .. } = upload;
    Ok(execute!(tx, ADVANCE, *id, user, claim, kind, *received, Json(parts), state, now)? == 1)
}

/// Notes the file that it became. `false`: another request took over.
pub async fn became(
    tx: &mut Tx,
    user: UserId,
    upload: &Upload,
    file: FileId,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let none: [&str; 0] = [];
    Ok(execute!(tx, BECAME, upload.id, user, &upload.claim, file, Json(none), now, upload.received)? == 1)
}

/// Its bytes are nobody's, and go when [`super::files::deletions`] are worked off.
pub async fn discard(tx: &mut Tx, user: UserId, place: &str) -> Result<(), sqlx::Error> {
    execute!(tx, DISCARD, place, user).map(drop)
}

pub async fn delete(tx: &mut Tx, user: UserId, id: UploadId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE, id, user)? == 1)
}

/// Those that nobody has gone on with.
pub async fn prune(tx: &mut Tx, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(tx, PRUNE, before).map(drop)
}
