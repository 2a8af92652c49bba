//! How slowly models begin to answer, as the processes before have seen it.

use chrono::{DateTime, Utc};

use super::db::{Conn, Querier, execute, fetch_all};

const NOTE: &str = "insert into model_pace (provider, model, slowest_ms, noted_at) values ($1, $2, $3, $4)
    on conflict (provider, model) do update set slowest_ms = excluded.slowest_ms, noted_at = excluded.noted_at";
const KNOWN: &str =
    "select provider, model, slowest_ms from model_pace where noted_at >= $1 order by noted_at desc limit $2";
const PRUNE: &str = "delete from model_pace where noted_at < $1";
pub(super) const SQL: &[&str] = &[NOTE, KNOWN, PRUNE];

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Pace {
    pub provider: String,
    pub model: String,
    /// The slowest beginning of the last 64.
    pub slowest_ms: i64,
}

pub async fn note(conn: &mut Conn, pace: &Pace, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(conn, NOTE, pace.provider.as_str(), pace.model.as_str(), pace.slowest_ms, now).map(drop)
}

pub async fn known(q: &mut impl Querier, since: DateTime<Utc>, limit: i64) -> Result<Vec<Pace>, sqlx::Error> {
    fetch_all!(Pace, q, KNOWN, since, limit)
}

pub async fn prune(conn: &mut Conn, before: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    execute!(conn, PRUNE, before)
}
