//! How long models are silent at the longest, as the processes before have seen it.

use chrono::{DateTime, Utc};

use super::db::{Conn, Querier, execute, fetch_all, row, statements};

statements! {
    NOTE = "insert into model_pace (provider, model, slowest_ms, pause_ms, noted_at) values ($1, $2, $3, $4, $5)
    on conflict (provider, model) do update
    set slowest_ms = excluded.slowest_ms, pause_ms = excluded.pause_ms, noted_at = excluded.noted_at";
    KNOWN = "select provider, model, slowest_ms, pause_ms from model_pace
    where noted_at >= $1 order by noted_at desc limit $2";
    PRUNE = "delete from model_pace where noted_at < $1";
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub provider: String,
    pub model: String,
    /// The slowest beginning of the last 64.
    pub slowest_ms: i64,
    /// The longest silence between two words of the last 64 answers, when enough of them are known.
    pub pause_ms: Option<i64>,
}

row!(Row: provider, model, slowest_ms, pause_ms);

pub async fn note(conn: &mut Conn, row: &Row, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(conn, NOTE, row.provider.as_str(), row.model.as_str(), row.slowest_ms, row.pause_ms, now)
        .map(drop)
}

pub async fn known(q: &mut impl Querier, since: DateTime<Utc>, limit: i64) -> Result<Vec<Row>, sqlx::Error> {
    fetch_all!(Row, q, KNOWN, since, limit)
}

pub async fn prune(conn: &mut Conn, before: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    execute!(conn, PRUNE, before)
}
