//! Codes that were sent by mail: their nonces, never the codes.

use chrono::{DateTime, Utc};

use super::db::{Querier, Tx, execute, fetch_optional, row, statements};

statements! {
    PUT = "insert into one_time_codes (subject, purpose, nonce, tries, expires_at) values ($1, $2, $3, 0, $4)
    on conflict (subject, purpose) do update set nonce = $3, tries = 0, expires_at = $4";
    /// Counts the try in the statement that reads the code: many at once cannot have more tries than there are.
    TRY = "update one_time_codes set tries = tries + 1 where subject = $1 and purpose = $2 and expires_at > $3
    and tries < $4 returning nonce";
    GET = "select nonce, expires_at from one_time_codes where subject = $1 and purpose = $2 and expires_at > $3";
    DELETE = "delete from one_time_codes where subject = $1 and purpose = $2";
    DELETE_ALL = "delete from one_time_codes where subject = $1";
    PRUNE = "delete from one_time_codes where expires_at < $1";
}

pub async fn put(
    tx: &mut Tx,
    subject: &[u8],
    purpose: &str,
    nonce: &str,
    expires_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, PUT, subject, purpose, nonce, expires_at).map(drop)
}

/// Takes one of the tries; `None` when there is no code, or no try left.
pub async fn take_try(
    tx: &mut Tx,
    subject: &[u8],
    purpose: &str,
    now: DateTime<Utc>,
    most: i64,
) -> Result<Option<String>, sqlx::Error> {
    Ok(fetch_optional!((String,), tx, TRY, subject, purpose, now, most)?.map(|row| row.0))
}

pub struct Code {
    pub nonce: String,
    pub expires_at: DateTime<Utc>,
}

row!(Code: nonce, expires_at);

pub async fn get(
    q: &mut impl Querier,
    subject: &[u8],
    purpose: &str,
    now: DateTime<Utc>,
) -> Result<Option<Code>, sqlx::Error> {
    fetch_optional!(Code, q, GET, subject, purpose, now)
}

/// `false`: it was gone already.
pub async fn delete(tx: &mut Tx, subject: &[u8], purpose: &str) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE, subject, purpose)? == 1)
}

pub async fn delete_all(tx: &mut Tx, subject: &[u8]) -> Result<(), sqlx::Error> {
    execute!(tx, DELETE_ALL, subject).map(drop)
}

pub async fn prune(q: &mut impl Querier, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    execute!(q, PRUNE, now)
}
