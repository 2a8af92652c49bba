//! `Idempotency-Key`s: what the first request with a key made. Kept for 24 hours.

use chrono::{DateTime, TimeDelta, Utc};
use subtle::ConstantTimeEq;

use super::db::{Conn, Querier, Tx, execute, fetch_one, fetch_optional, row, statements};
use crate::{domain::idempotency::IdempotencyKey, error::Result};

statements! {
    INSERT = "insert into idempotency_keys (owner, key, request_hash, target, created_at) values ($1, $2, $3, $4, $5)
    on conflict (owner, key) do nothing";
    FORGET_OLD = "delete from idempotency_keys where owner = $1 and key = $2 and created_at < $3";
    GET = "select request_hash, target from idempotency_keys where owner = $1 and key = $2";
    IS_KNOWN = "select count(*) from idempotency_keys where owner = $1 and key = $2 and created_at >= $3";
    PRUNE = "delete from idempotency_keys where created_at < $1";
}

/// How long a key is remembered.
pub const KEPT: TimeDelta = TimeDelta::hours(24);

pub struct First {
    pub request_hash: Vec<u8>,
    /// The id of what the first request made.
    pub target: String,
}

row!(First: request_hash, target);

impl First {
    /// Whether a request with this digest is the first one again. Takes as long wherever they differ.
    pub fn is(&self, request_hash: &[u8]) -> bool {
        self.request_hash.ct_eq(request_hash).into()
    }
}

/// Remembers that this key made `target`, or gives what the first request with it made. In the same transaction as
/// what is made, so that key and thing exist together or not at all; a concurrent request waits for its end.
pub async fn claim(
    tx: &mut Tx,
    owner: &str,
    key: &IdempotencyKey,
    request_hash: &[u8],
    target: &str,
    now: DateTime<Utc>,
) -> Result<Option<First>, sqlx::Error> {
    let key = key.as_str();
    execute!(tx, FORGET_OLD, owner, key, now - KEPT)?;
    if execute!(tx, INSERT, owner, key, request_hash, target, now)? == 1 {
        return Ok(None);
    }
    fetch_optional!(First, tx, GET, owner, key)
}

/// Whether a request with this key was accepted, and is remembered for a minute more at least.
pub async fn is_known(
    q: &mut impl Querier,
    owner: &str,
    key: &IdempotencyKey,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let since = now - KEPT + TimeDelta::minutes(1);
    Ok(fetch_one!((i64,), q, IS_KNOWN, owner, key.as_str(), since)?.0 > 0)
}

pub async fn prune(conn: &mut Conn, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    execute!(conn, PRUNE, now - KEPT)
}
