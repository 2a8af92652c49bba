//! Worker processes that live, by their heartbeat.

use chrono::{DateTime, Utc};

use super::db::{Conn, Querier, execute, fetch_all, row, statements};
use crate::error::Result;

statements! {
    /// By the database's own clock, as leases are.
    BEAT = "insert into workers (name, queues, concurrency, started_at, seen_at) values ($1, $2, $3, $4, ", by_clock!(4, 4), ")
    on conflict (name) do update set seen_at = excluded.seen_at";
    LEAVE = "delete from workers where name = $1";
    PRUNE = "delete from workers where seen_at < $1";
    LIVING = "select name, queues, concurrency, started_at, seen_at from workers where seen_at >= $1 order by name";
}

#[derive(Debug)]
pub struct Worker {
    pub name: String,
    /// Names of its queues, separated by commas.
    pub queues: String,
    pub concurrency: i64,
    pub started_at: DateTime<Utc>,
    pub seen_at: DateTime<Utc>,
}

row!(Worker: name, queues, concurrency, started_at, seen_at);

pub async fn beat(
    conn: &mut Conn,
    name: &str,
    queues: &str,
    concurrency: i64,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(conn, BEAT, name, queues, concurrency, now).map(drop)
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
