//! What the admin sees of everybody: queues, dead jobs.

use chrono::{DateTime, Utc};

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements};
use crate::{
    domain::ids::{JobId, UserId},
    error::Result,
};

statements! {
    QUEUES = "select queue,
        cast(sum(case when status = 'queued' then 1 else 0 end) as bigint) as waiting,
        cast(sum(case when status = 'running' then 1 else 0 end) as bigint) as running,
        min(case when status = 'queued' then run_at end) as oldest
    from jobs where status in ('queued', 'running') group by queue";
    ENDED = "select queue,
        cast(sum(case when status = 'succeeded' then 1 else 0 end) as bigint) as done,
        cast(sum(case when status = 'failed' then 1 else 0 end) as bigint) as failed
    from jobs where finished_at >= $1 group by queue";
    PAUSED = "select queue from queue_states where is_paused";
    PAUSE = "insert into queue_states (queue, is_paused, changed_at) values ($1, $2, $3)
    on conflict (queue) do update set is_paused = $2, changed_at = $3";
    DEAD = "select id, kind, queue, user_id, attempt, error, created_at, finished_at from jobs
    where status = 'failed' and id < $1 and ($2 is null or kind = $2) and ($3 is null or queue = $3) order by id desc limit $4";
    COUNT_DEAD = "select count(*) from jobs
    where status = 'failed' and ($1 is null or kind = $1) and ($2 is null or queue = $2)";
    OWNER = "select user_id from jobs where id = $1 and status = 'failed'";
    REVIVE = "update jobs set status = 'queued', max_attempts = attempt + $2, run_at = $3, error = null, finished_at = null,
        quarantine = false, crashes = 0 where id = $1 and status = 'failed' and user_id is null";
    DISCARD = "delete from jobs where id = $1 and status = 'failed' and kind <> 'chat'";
    /// A chat's failed answer stays in the history: only the list of the dead forgets it.
    DISCARD_CHAT = "update jobs set status = 'cancelled' where id = $1 and status = 'failed' and kind = 'chat'";
}

/// The open jobs of a queue.
#[derive(Debug)]
pub struct Open {
    pub queue: String,
    pub waiting: i64,
    pub running: i64,
    /// When the one that waits longest became due.
    pub oldest: Option<DateTime<Utc>>,
}

row!(Open: queue, waiting, running, oldest);

pub async fn queues(q: &mut impl Querier) -> Result<Vec<Open>, sqlx::Error> {
    fetch_all!(Open, q, QUEUES)
}

/// The jobs of a queue that ended.
#[derive(Debug)]
pub struct Ended {
    pub queue: String,
    pub done: i64,
    pub failed: i64,
}

row!(Ended: queue, done, failed);

/// Since a moment.
pub async fn ended(q: &mut impl Querier, since: DateTime<Utc>) -> Result<Vec<Ended>, sqlx::Error> {
    fetch_all!(Ended, q, ENDED, since)
}

pub async fn paused(q: &mut impl Querier) -> Result<Vec<String>, sqlx::Error> {
    Ok(fetch_all!((String,), q, PAUSED)?.into_iter().map(|row| row.0).collect())
}

pub async fn pause(tx: &mut Tx, queue: &str, paused: bool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(tx, PAUSE, queue, paused, now).map(drop)
}

/// A job that failed for good, whoever's it is.
#[derive(Debug, Clone)]
pub struct Dead {
    pub id: JobId,
    pub kind: String,
    pub queue: String,
    pub user_id: Option<UserId>,
    pub attempt: i64,
    pub error: Option<serde_json::Value>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

row!(Dead: id, kind, queue, user_id, attempt, error as optional_json, created_at, finished_at);

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
#[derive(Debug)]
pub struct Owned {
    /// `None`: nobody's.
    pub user_id: Option<UserId>,
}

row!(Owned: user_id);

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
