//! What workers do to jobs: claim, renew, settle, sweep.
//!
//! Every statement that ends an attempt is fenced: it names the job, the attempt and `status = 'running'`. A worker
//! that lost its lease finds no such row, and its transaction is dropped with everything in it. So a job may run
//! twice, but it takes effect once.
//!
//! Where a statement names a job by its id it says `coalesce(status, '')` instead of `status`. It means the same (status
//! is never null), but keeps PostgreSQL from proving that a partial index applies: right after a burst its planner takes
//! such an index, holding thousands of dead entries, for smaller than the primary key, and a claim then reads them all
//! (measured: 1,500 jobs a second collapsed after ten seconds).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::{
    db::{Conn, Querier, Tx, execute, fetch_all, fetch_optional},
    jobs::{Ready, Row, columns},
};
use crate::{
    domain::{
        ids::JobId,
        job::{Job, JobStatus, Lane, Queue},
    },
    error::Result,
};

/// No earlier job of the same session is open.
macro_rules! unblocked {
    () => {
        "(j.session_order is null or not exists (select 1 from jobs e where e.session_id = j.session_id \
         and e.session_order < j.session_order and e.status in ('queued', 'running') and e.session_order is not null))"
    };
}

const CLAIM: &str = concat!(
    "update jobs as j set status = 'running', attempt = attempt + 1, lease_until = $2, worker = $3, started_at = $4, \
     partial = null, partial_n = null, shared_lane = false where id = $1 and coalesce(status, '') = 'queued' and run_at <= $4 and ",
    unblocked!(),
    " returning ",
    columns!()
);
const RENEW: &str =
    "update jobs set lease_until = $2 where worker = $1 and status = 'running' returning id, attempt";
const CANCELLED: &str =
    "select id, attempt from jobs where worker = $1 and status = 'running' and cancel_requested";
const SETTLE: &str =
    "update jobs set status = $3, result = $4, error = $5, finished_at = $6, lease_until = null,
        worker = null, partial = null, partial_n = null, quarantine = $7
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
const RETRY_LATER: &str =
    "update jobs set status = 'queued', run_at = $3, error = $4, lease_until = null, worker = null,
        quarantine = $5
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
const HAND_BACK: &str = "update jobs set status = 'queued', run_at = $3, max_attempts = max_attempts + 1,
        lease_until = null, worker = null
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
const WAIT: &str =
    "update jobs set status = 'queued', run_at = $3, error = $4, max_attempts = max_attempts + 1,
        lease_until = null, worker = null
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
const CHECKPOINT: &str = "update jobs set partial = $3, partial_n = $4
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
const DUE: &str = concat!(
    "select id, quarantine, queue, priority, run_at from jobs j where status = 'queued' and queue = $1 and run_at <= $2 and ",
    unblocked!(),
    " order by priority, run_at limit $3"
);
const DUE_IN_LANE: &str = concat!(
    "select id, quarantine, queue, priority, run_at from jobs j where status = 'queued' and queue = $1 and run_at <= $2
      and quarantine = $4 and ",
    unblocked!(),
    " order by priority, run_at limit $3"
);
const EXPIRED: &str = concat!(
    "select ",
    columns!(),
    ", worker, crashed_on, shared_lane from jobs where status = 'running' and lease_until < $1 order by lease_until limit 500"
);
const RECLAIM: &str =
    "update jobs set status = 'queued', run_at = $3, lease_until = null, worker = null, crashed_on = worker, quarantine = $5,
        error = $6, crashes = crashes + 1, max_attempts = max_attempts + 1
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running' and lease_until < $4";
const BURY: &str =
    "update jobs set status = 'failed', error = $3, result = $5, finished_at = $4, lease_until = null, worker = null,
        partial = null, partial_n = null, crashes = crashes + 1
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running' and lease_until < $4";
const SHARES_LANE: &str = "update jobs set shared_lane = $3
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
const DEPTHS: &str = "select queue, count(*), min(run_at) from jobs where status = 'queued' group by queue";
const OPEN_PG: &str = "select id from jobs where id = any($1) and status in ('queued', 'running')";
const OPEN_LITE: &str = "select id from jobs where id in (select unhex(value) from json_each($1))
    and status in ('queued', 'running')";

/// All but the two texts of one query that cannot be the same on both databases.
pub(super) const SQL: &[&str] = &[
    CLAIM,
    RENEW,
    CANCELLED,
    SETTLE,
    RETRY_LATER,
    HAND_BACK,
    WAIT,
    CHECKPOINT,
    DUE,
    DUE_IN_LANE,
    EXPIRED,
    RECLAIM,
    BURY,
    SHARES_LANE,
    DEPTHS,
];
/// The only query with a text for each database: a list of ids as a value.
pub const OPEN_SQL: (&str, &str) = (OPEN_PG, OPEN_LITE);

/// Takes a job for `worker` until `lease_until`. `None`: somebody has it, it is not due, or an earlier one of its session
/// is still open.
pub async fn claim(
    conn: &mut Conn,
    id: JobId,
    worker: &str,
    lease_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<Job>, sqlx::Error> {
    match fetch_optional!(Row, conn, CLAIM, id, lease_until, worker, now) {
        Ok(row) => row.map(Row::job).transpose(),
        // Another job of the session was claimed in the same instant: the index let one through.
        Err(error) if super::violated(&error).is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Extends the leases of all that `worker` runs; gives what it still has.
pub async fn renew(
    conn: &mut Conn,
    worker: &str,
    lease_until: DateTime<Utc>,
) -> Result<HashMap<JobId, u32>, sqlx::Error> {
    let rows = fetch_all!((JobId, i64), conn, RENEW, worker, lease_until)?;
    Ok(rows.into_iter().map(|(id, attempt)| (id, attempt as u32)).collect())
}

/// Which of `worker`'s running jobs somebody asked to stop.
pub async fn cancelled(conn: &mut Conn, worker: &str) -> Result<Vec<(JobId, u32)>, sqlx::Error> {
    let rows = fetch_all!((JobId, i64), conn, CANCELLED, worker)?;
    Ok(rows.into_iter().map(|(id, attempt)| (id, attempt as u32)).collect())
}

/// Ends a job. `false`: the attempt is not running any more, and nothing else may commit.
pub async fn settle(
    tx: &mut Tx,
    id: JobId,
    attempt: u32,
    status: JobStatus,
    result: Option<&Value>,
    error: Option<&Value>,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let changed = execute!(
        tx,
        SETTLE,
        id,
        i64::from(attempt),
        status.as_str(),
        result.map(Json),
        error.map(Json),
        now,
        false
    )?;
    Ok(changed == 1)
}

/// Puts a job back to run again at `run_at`, with the error of this attempt on it.
pub async fn retry_later(
    tx: &mut Tx,
    id: JobId,
    attempt: u32,
    run_at: DateTime<Utc>,
    error: &Value,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, RETRY_LATER, id, i64::from(attempt), run_at, Json(error), false)? == 1)
}

/// Puts a job back because its worker is stopping: the attempt does not count.
pub async fn hand_back(
    tx: &mut Tx,
    id: JobId,
    attempt: u32,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, HAND_BACK, id, i64::from(attempt), now)? == 1)
}

/// Puts a job back to run again at `run_at`, because what it needs is away: the attempt does not count.
pub async fn wait(
    tx: &mut Tx,
    id: JobId,
    attempt: u32,
    run_at: DateTime<Utc>,
    error: &Value,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, WAIT, id, i64::from(attempt), run_at, Json(error))? == 1)
}

/// The same as [`hand_back`] for a job that its worker holds without running it; outside a transaction, since nothing goes with it.
pub async fn release(
    conn: &mut Conn,
    id: JobId,
    attempt: u32,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(conn, HAND_BACK, id, i64::from(attempt), now)? == 1)
}

/// Writes the answer so far down. `false`: the attempt is not running any more.
pub async fn checkpoint(
    conn: &mut Conn,
    id: JobId,
    attempt: u32,
    text: &str,
    n: u32,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(conn, CHECKPOINT, id, i64::from(attempt), text, i64::from(n))? == 1)
}

type ReadyColumns = (JobId, bool, String, i64, DateTime<Utc>);

fn ready((id, quarantine, queue, priority, run_at): ReadyColumns) -> Option<Ready> {
    Some(Ready { id, lane: Lane { queue: queue.parse().ok()?, quarantine }, priority, run_at })
}

/// Jobs of a queue that were due before `before` and could run.
pub async fn due(
    q: &mut impl Querier,
    queue: Queue,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Ready>, sqlx::Error> {
    let rows = fetch_all!(ReadyColumns, q, DUE, queue.as_str(), before, limit)?;
    Ok(rows.into_iter().filter_map(ready).collect())
}

/// The same for one lane: how workers find work while the wire is away.
pub async fn due_in_lane(
    q: &mut impl Querier,
    lane: Lane,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Ready>, sqlx::Error> {
    let rows = fetch_all!(ReadyColumns, q, DUE_IN_LANE, lane.queue.as_str(), now, limit, lane.quarantine)?;
    Ok(rows.into_iter().filter_map(ready).collect())
}

/// A running job whose lease ended: its worker died, or was cut off.
pub struct Expired {
    pub job: Job,
    pub worker: String,
    /// The worker that died with it before this one.
    pub crashed_on: Option<String>,
    /// Others ran beside it in the quarantine lane.
    pub shared_lane: bool,
}

#[derive(sqlx::FromRow)]
struct ExpiredRow {
    #[sqlx(flatten)]
    job: Row,
    worker: Option<String>,
    crashed_on: Option<String>,
    shared_lane: bool,
}

/// Running jobs whose lease ended.
pub async fn expired(q: &mut impl Querier, now: DateTime<Utc>) -> Result<Vec<Expired>, sqlx::Error> {
    let rows = fetch_all!(ExpiredRow, q, EXPIRED, now)?.into_iter();
    let expired = rows.map(|ExpiredRow { job, worker, crashed_on, shared_lane }| {
        Ok(Expired { job: job.job()?, worker: worker.unwrap_or_default(), crashed_on, shared_lane })
    });
    expired.collect()
}

/// Notes that a job is not alone in its quarantine lane.
pub async fn shares_lane(conn: &mut Conn, id: JobId, attempt: u32) -> Result<(), sqlx::Error> {
    execute!(conn, SHARES_LANE, id, i64::from(attempt), true).map(drop)
}

/// Fails a job whose lease ended. `false`: the lease was renewed, or the job ended meanwhile.
pub async fn bury(
    tx: &mut Tx,
    id: JobId,
    attempt: u32,
    now: DateTime<Utc>,
    result: Option<&Value>,
    error: &Value,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, BURY, id, i64::from(attempt), Json(error), now, result.map(Json))? == 1)
}

/// Puts a job whose worker died back, into quarantine; the attempt does not count as a try. `false`: its lease was renewed or it ended meanwhile.
pub async fn reclaim(
    conn: &mut Conn,
    id: JobId,
    attempt: u32,
    now: DateTime<Utc>,
    error: &Value,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(conn, RECLAIM, id, i64::from(attempt), now, now, true, Json(error))? == 1)
}

/// How much waits: queue, number of jobs, when the oldest was due.
pub async fn depths(q: &mut impl Querier) -> Result<Vec<(String, i64, Option<DateTime<Utc>>)>, sqlx::Error> {
    fetch_all!((String, i64, Option<DateTime<Utc>>), q, DEPTHS)
}

/// Which of these jobs are queued or running; the others are final, or gone. For readers that were already shown to own
/// them.
pub async fn which_are_open(q: &mut impl Querier, ids: &[JobId]) -> Result<Vec<JobId>, sqlx::Error> {
    use super::db::Raw;
    let rows: Vec<(JobId,)> = match q.raw() {
        Raw::Pg(c) => {
            let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
            sqlx::query_as(OPEN_PG).bind(ids).fetch_all(c).await?
        }
        Raw::Lite(c) => {
            let ids: Vec<String> = ids.iter().map(|id| id.0.simple().to_string()).collect();
            sqlx::query_as(OPEN_LITE).bind(Json(ids)).fetch_all(c).await?
        }
    };
    Ok(rows.into_iter().map(|row| row.0).collect())
}
