//! What is too large for one row, in parts: uploads to import, exports to fetch. Kept for a day, and while a job may want it.

use chrono::{DateTime, Utc};

use super::db::{Conn, Querier, Tx, execute, fetch_one, fetch_optional, statements};
use crate::domain::ids::{BlobId, UserId};

statements! {
    ADD =
        "insert into blobs (id, part, user_id, data, created_at) values ($1, $2, $3, $4, $5) on conflict (id, part) do update set data = $4";
    PART = "select data from blobs where id = $1 and user_id = $2 and part = $3";
    COUNT = "select count(*) from blobs where id = $1 and user_id = $2";
    DELETE = "delete from blobs where id = $1 and user_id = $2";
    PRUNE = "delete from blobs where created_at < $1 and not exists (select 1 from jobs j where j.user_id = blobs.user_id
        and j.status in ('queued', 'running') and j.kind in ('import', 'chat_import', 'export', 'account_export'))";
}

pub async fn add(
    tx: &mut Tx,
    user: UserId,
    id: BlobId,
    part: i64,
    data: &[u8],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, ADD, id, part, user, data, now).map(drop)
}

pub async fn part(
    q: &mut impl Querier,
    user: UserId,
    id: BlobId,
    part: i64,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    Ok(fetch_optional!((Vec<u8>,), q, PART, id, user, part)?.map(|row| row.0))
}

pub async fn count(q: &mut impl Querier, user: UserId, id: BlobId) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, COUNT, id, user)?.0)
}

pub async fn delete(tx: &mut Tx, user: UserId, id: BlobId) -> Result<(), sqlx::Error> {
    execute!(tx, DELETE, id, user).map(drop)
}

pub async fn prune(conn: &mut Conn, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(conn, PRUNE, before).map(drop)
}
