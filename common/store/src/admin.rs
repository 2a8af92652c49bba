//! What the admin sees of everybody: queues, dead jobs.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional};
use crate::{
    domain::ids::{JobId, UserId},
    error::Result,
};

const QUEUES: &str = "select queue,
        cast(sum(case when status = 'queued' then 1 else 0 end) as bigint),
        cast(sum(case when status = 'running' then 1 else 0 end) as bigint),
        min(case when status = 'queued' then run_at end)
    from jobs where status in ('queued', 'running') group by queue";
const ENDED: &str = "select queue,
        cast(sum(case when status = 'succeeded' then 1 else 0 end) as bigint),
        cast(sum(case when status = 'failed' then 1 else 0 end) as bigint)
    from jobs where finished_at >= $1 group by queue";
const PAUSED: &str = "select queue from queue_states where is_paused";
const PAUSE: &str = "insert into queue_states (queue, is_paused, changed_at) values ($1, $2, $3)
    on conflict (queue) do update set is_paused = $2, changed_at = $3";
const DEAD: &str = "select id, kind, queue, user_id, attempt, error, created_at, finished_at from jobs
    where status = 'failed' and id < $1 and ($2 is null or kind = $2) and ($3 is null or queue = $3) order by id desc limit $4";
const COUNT_DEAD: &str = "select count(*) from jobs
    where status = 'failed' and ($1 is null or kind = $1) and ($2 is null or queue = $2)";
const OWNER: &str = "select user_id from jobs where id = $1 and status = 'failed'";
const REVIVE: &str = "update jobs set status = 'queued', max_attempts = attempt + $2, run_at = $3, error = null, finished_at = null,
        quarantine = false, crashes = 0 where id = $1 and status = 'failed' and user_id is null";
const DISCARD: &str = "delete from jobs where id = $1 and status = 'failed' and kind <> 'chat'";
/// A chat's failed answer stays in the history: only the list of the dead forgets it.
const DISCARD_CHAT: &str =
    "update jobs set status = 'cancelled' where id = $1 and status = 'failed' and kind = 'chat'";

pub(super) const SQL: &[&str] =
    &[QUEUES, ENDED, PAUSED, PAUSE, DEAD, COUNT_DEAD, OWNER, REVIVE, DISCARD, DISCARD_CHAT];

/// (queue, queued, running, when the oldest became due)
pub async fn queues(
    q: &mut impl Querier,
) -> Result<Vec<(String, i64, i64, Option<DateTime<Utc>>)>, sqlx::Error> {
    fetch_all!((String, i64, i64, Option<DateTime<Utc>>), q, QUEUES)
}

/// (queue, done, failed) since a moment
pub async fn ended(
    q: &mut impl Querier,
    since: DateTime<Utc>,
) -> Result<Vec<(String, i64, i64)>, sqlx::Error> {
    fetch_all!((String, i64, i64), q, ENDED, since)
}

pub async fn paused(q: &mut impl Querier) -> Result<Vec<String>, sqlx::Error> {
    Ok(fetch_all!((String,), q, PAUSED)?.into_iter().map(|row| row.0).collect())
}

pub async fn pause(tx: &mut Tx, queue: &str, paused: bool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(tx, PAUSE, queue, paused, now).map(drop)
}

/// A job that failed for good, whoever's it is.
#[derive(Debug, Clone, serde::Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub struct Dead {
    #[schema(value_type = String)]
    pub id: JobId,
    pub kind: String,
    pub queue: String,
    #[schema(value_type = Option<String>)]
    pub user_id: Option<UserId>,
    pub attempt: i64,
    #[schema(value_type = Option<Object>)]
    pub error: Option<Json<serde_json::Value>>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    #[serde(serialize_with = "crate::clock::rfc3339_millis::option::serialize")]
    pub finished_at: Option<DateTime<Utc>>,
}

pub async fn dead(
    q: &mut impl Querier,
    before: Option<JobId>,
    kind: Option<&str>,
    queue: Option<&str>,
    limit: i64,
) -> Result<Vec<Dead>, sqlx::Error> {
    let before = before.unwrap_or(JobId(uuid::Uuid::from_bytes([0xff; 16])));
    fetch_all!(Dead, q, DEAD, before, kind, queue, limit)
}

pub async fn count_dead(
    q: &mut impl Querier,
    kind: Option<&str>,
    queue: Option<&str>,
) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, COUNT_DEAD, kind, queue)?.0)
}

/// A failed job, and whose it is.
#[derive(Debug, sqlx::FromRow)]
pub struct Owned {
    /// `None`: nobody's.
    pub user_id: Option<UserId>,
}

pub async fn dead_job(q: &mut impl Querier, id: JobId) -> Result<Option<Owned>, sqlx::Error> {
    fetch_optional!(Owned, q, OWNER, id)
}

/// Puts a failed job of nobody's back.
pub async fn revive(tx: &mut Tx, id: JobId, attempts: i64, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, REVIVE, id, attempts, now)? == 1)
}

/// Takes a failed job off the list.
pub async fn discard(tx: &mut Tx, id: JobId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DISCARD, id)? + execute!(tx, DISCARD_CHAT, id)? == 1)
}
