//! Worker processes that live, by their heartbeat.

use chrono::{DateTime, Utc};

use super::db::{Conn, Pair, Querier, execute, fetch_all};
use crate::error::Result;

macro_rules! beat {
    ($now:literal) => {
        concat!(
            "insert into workers (name, queues, concurrency, started_at, seen_at) values ($1, $2, $3, $4, ",
            $now,
            ") on conflict (name) do update set seen_at = excluded.seen_at"
        )
    };
}
/// By the database's own clock, as leases are.
const BEAT: Pair = Pair { pg: beat!("clock_timestamp()"), lite: beat!("$4") };
const LEAVE: &str = "delete from workers where name = $1";
const PRUNE: &str = "delete from workers where seen_at < $1";
const LIVING: &str =
    "select name, queues, concurrency, started_at, seen_at from workers where seen_at >= $1 order by name";

pub(super) const PAIRS: &[Pair] = &[BEAT];
pub(super) const SQL: &[&str] = &[LEAVE, PRUNE, LIVING];

#[derive(Debug, sqlx::FromRow)]
pub struct Worker {
    pub name: String,
    /// Names of its queues, separated by commas.
    pub queues: String,
    pub concurrency: i64,
    pub started_at: DateTime<Utc>,
    pub seen_at: DateTime<Utc>,
}

pub async fn beat(
    conn: &mut Conn,
    name: &str,
    queues: &str,
    concurrency: i64,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let sql = BEAT.of(conn);
    execute!(conn, sql, name, queues, concurrency, now).map(drop)
}

pub async fn leave(conn: &mut Conn, name: &str) -> Result<(), sqlx::Error> {
    execute!(conn, LEAVE, name).map(drop)
}

pub async fn prune(conn: &mut Conn, before: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    execute!(conn, PRUNE, before)
}

pub async fn living(q: &mut impl Querier, since: DateTime<Utc>) -> Result<Vec<Worker>, sqlx::Error> {
    fetch_all!(Worker, q, LIVING, since)
}
