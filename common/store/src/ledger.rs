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

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use super::{
    db::{
        Conn, Querier, Raw, Tx, column, execute, fetch_all, fetch_one, fetch_optional, ids, row, statements,
        within,
    },
    jobs::{Ready, columns},
};
use crate::{
    domain::{
        ids::JobId,
        job::{Job, JobStatus, Lane, Queue},
    },
    error::Result,
};

/// No earlier job of the same session is open. It is asked for by `finished_at`, as `jobs_open` has them: by `status`, PostgreSQL may
/// read all open jobs of everybody in another partial index, which was small when it was last looked at.
macro_rules! unblocked {
    () => {
        "(j.session_order is null or not exists (select 1 from jobs e where e.session_id = j.session_id \
         and e.session_order < j.session_order and e.finished_at is null and e.session_order is not null))"
    };
}

/// Leases are written and judged by the database's own clock, on PostgreSQL: no process' idea of the time, however wrong,
/// ends another's lease. A process gives how long (`until` - `now`). $1 now, $2 the names of workers that are gone: the
/// parameters of all that takes jobs back.
macro_rules! forsaken {
    ($now:literal, $gone:literal) => {
        concat!("(lease_until < ", by_clock!($now, $now), " or worker in ", texts!($gone), ")")
    };
}

statements! {
    CLAIM = "update jobs as j set status = 'running', attempt = attempt + 1, lease_until = ", by_clock!(2, 4), ",
            worker = $3, started_at = $4, partial = null, partial_n = null
        where id = $1 and coalesce(status, '') = 'queued' and run_at <= $5 and ", unblocked!(), " returning ", columns!();
    /// The same for several at once, of those that nobody else changes in this moment. Only what may be claimed is locked: others pass
    /// over what is. $6 how many (see `answers`).
    CLAIM_FREE = pg!("update jobs as j set status = 'running', attempt = attempt + 1, lease_until = ", by_clock!(2, 4), ",
            worker = $3, started_at = $4, partial = null, partial_n = null
        where id in (select j.id from jobs j where j.id in (select * from unnest($1::uuid[]) limit $6)
                and coalesce(j.status, '') = 'queued' and j.run_at <= $5 and ", unblocked!(), "
                order by j.id for no key update skip locked)
            and coalesce(status, '') = 'queued' and run_at <= $5 and ", unblocked!(), " returning ", columns!());
    /// $1 the attempts that run, $2 until, $3 now. What somebody else changes in this moment is skipped, not waited for: it ends,
    /// and statements that lock many rows never wait for one another.
    RENEW = pg!("update jobs set lease_until = ", by_clock!(2, 3), "
            where id in (select j.id from jobs j join ", rows!(1, r, id uuid, attempt bigint), " on j.id = r.id and j.attempt = r.attempt
                where coalesce(j.status, '') = 'running' order by j.id for update of j skip locked)"),
        lite!("update jobs set lease_until = $2 where status = 'running' and $3 is not null and exists (select 1
            from ", rows!(1, r, id uuid, attempt bigint), " where jobs.id = r.id and jobs.attempt = r.attempt)");
    RUNNING = "select ", columns!(), " from jobs where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
    HELD = "select id, attempt from jobs where worker = $1 and status = 'running'";
    CANCELLED = "select id, attempt from jobs where worker = $1 and status = 'running' and cancel_requested";
    SETTLE = "update jobs set status = $3, result = $4, error = $5, finished_at = $6, lease_until = null,
        worker = null, partial = null, partial_n = null, quarantine = $7
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
    RETRY_LATER = "update jobs set status = 'queued', run_at = $3, error = $4, lease_until = null, worker = null
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
    HAND_BACK = "update jobs set status = 'queued', run_at = $3, max_attempts = max_attempts + 1,
        lease_until = null, worker = null
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
    WAIT = "update jobs set status = 'queued', run_at = $3, error = $4, max_attempts = max_attempts + 1,
        lease_until = null, worker = null
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
    CHECKPOINT = "update jobs set partial = $3, partial_n = $4
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
    DUE =
        "select id, user_id, quarantine, queue, priority, run_at from jobs j where status = 'queued' and queue = $1 and run_at <= $2 and ",
        unblocked!(), " order by priority, run_at limit $3";
    DUE_IN_LANE =
        "select id, user_id, quarantine, queue, priority, run_at from jobs j where status = 'queued' and queue = $1 and run_at <= $2
      and quarantine = $4 and ", unblocked!(), " order by priority, run_at limit $3";
    EXPIRED = "select ", columns!(), ", worker from jobs where status = 'running' and ", forsaken!(1, 2),
        " order by lease_until limit 500";
    RECLAIM = "update jobs set status = 'queued', run_at = $3, lease_until = null, worker = null,
            quarantine = quarantine or $5, error = $6, crashes = crashes + case when $5 then 1 else 0 end, max_attempts = max_attempts + 1
        where id = $1 and attempt = $2 and coalesce(status, '') = 'running' and ", forsaken!(3, 4);
    BURY = "update jobs set status = 'failed', error = $5, result = $6, finished_at = $3, lease_until = null, worker = null,
            partial = null, partial_n = null, crashes = crashes + 1
        where id = $1 and attempt = $2 and coalesce(status, '') = 'running' and ", forsaken!(3, 4);
    /// The last moment that the database knows of.
    LAST_SEEN = "select max(at) from (select max(seen_at) as at from workers
        union all select created_at from (select created_at from jobs order by id desc limit 1) j) t";
    NOT_LATER = "update jobs set run_at = $1 where status = 'queued' and run_at > $1 and created_at > $1";
    END_LEASES = "update jobs set lease_until = $1 where status = 'running' and lease_until > $1";
    DEPTHS = "select queue, count(*) as count, min(run_at) as oldest from jobs where status = 'queued' group by queue";
    OPEN = "select id from jobs where id in ", ids!(1), " and finished_at is null";
}

/// What the clocks of two processes may differ by although both go by the database's: a job is not too early by so little.
const EARLY: TimeDelta = TimeDelta::milliseconds(250);

/// Takes a job for `worker`, for so long. `None`: somebody has it, it is not due, or an earlier one of its session is still
/// open.
pub async fn claim(
    conn: &mut Conn,
    id: JobId,
    worker: &str,
    lease: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Option<Job>, sqlx::Error> {
    match fetch_optional!(Job, conn, CLAIM, id, now + lease, worker, now, now + EARLY) {
        // Another job of the session was claimed in the same instant: the index let one through.
        Err(error) if super::violated(&error).is_some() => Ok(None),
        claimed => claimed,
    }
}

/// The same for several jobs at once, by one statement; PostgreSQL's alone. Those it gives are taken; of the others nothing is said, nor
/// by an error: another job of a session may have been claimed in the same instant.
pub async fn claim_free(
    conn: &mut Conn,
    ids: &[JobId],
    worker: &str,
    lease: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Vec<Job>, sqlx::Error> {
    let (deadline, is_named) = (conn.deadline(), !conn.is_pooled());
    let Raw::Pg(c) = conn.raw() else { return Ok(Vec::new()) };
    let query = sqlx::query_as::<_, Job>(CLAIM_FREE.pg()).persistent(is_named);
    let query = query.bind(column(ids, |id| id.0)).bind(now + lease).bind(worker);
    let claimed =
        within(deadline, query.bind(now).bind(now + EARLY).bind(ids.len() as i64).fetch_all(c)).await;
    conn.answered();
    claimed.inspect_err(|error| conn.note(error))
}

/// Extends the leases of attempts that run.
pub async fn renew(
    conn: &mut Conn,
    running: &[(JobId, u32)],
    lease: TimeDelta,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let attempt = |(id, attempt): &(JobId, u32)| json!({"id": id.0.simple().to_string(), "attempt": attempt});
    let running: Vec<Value> = running.iter().map(attempt).collect();
    execute!(conn, RENEW, Json(running), now + lease, now).map(drop)
}

/// A job as it is while this attempt of it runs; `None` when it does not.
pub async fn running(q: &mut impl Querier, id: JobId, attempt: u32) -> Result<Option<Job>, sqlx::Error> {
    fetch_optional!(Job, q, RUNNING, id, i64::from(attempt))
}

/// The attempts that `worker` holds, as the ledger has it.
pub async fn held(conn: &mut Conn, worker: &str) -> Result<HashMap<JobId, u32>, sqlx::Error> {
    let rows = fetch_all!((JobId, i64), conn, HELD, worker)?;
    Ok(rows.into_iter().map(|(id, attempt)| (id, attempt as u32)).collect())
}

/// Ends all leases, at the start of an embedded process: every other that had jobs is dead.
pub async fn end_leases(conn: &mut Conn, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    execute!(conn, END_LEASES, now - TimeDelta::milliseconds(1))
}

/// The last moment that anything of the ledger was written at, about.
pub async fn last_seen(conn: &mut Conn) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    Ok(fetch_one!((Option<DateTime<Utc>>,), conn, LAST_SEEN)?.0)
}

/// Lets jobs that were put in after `now`, by a clock that has been set back since, run now.
pub async fn run_none_later(conn: &mut Conn, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    execute!(conn, NOT_LATER, now)
}

/// Which of `worker`'s running jobs somebody asked to stop.
pub async fn cancelled(conn: &mut Conn, worker: &str) -> Result<Vec<(JobId, u32)>, sqlx::Error> {
    let rows = fetch_all!((JobId, i64), conn, CANCELLED, worker)?;
    Ok(rows.into_iter().map(|(id, attempt)| (id, attempt as u32)).collect())
}

/// Proof that an attempt's end stands in a transaction: nobody else has ended the job, or taken it. Only SQL that is fenced by
/// the attempt makes one.
#[must_use]
#[derive(Debug)]
pub struct Settled(pub(super) ());

/// One attempt of a job: what a fence compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptOf {
    pub id: JobId,
    pub attempt: u32,
}

impl AttemptOf {
    pub fn job(job: &Job) -> Self {
        Self { id: job.id, attempt: job.attempt }
    }
}

/// Ends a job. `None`: the attempt is not running any more, and nothing else may commit.
pub async fn settle(
    tx: &mut Tx,
    of: AttemptOf,
    status: JobStatus,
    result: Option<&Value>,
    error: Option<&Value>,
    now: DateTime<Utc>,
) -> Result<Option<Settled>, sqlx::Error> {
    let changed = execute!(
        tx,
        SETTLE,
        of.id,
        i64::from(of.attempt),
        status,
        result.map(Json),
        error.map(Json),
        now,
        false
    )?;
    Ok((changed == 1).then_some(Settled(())))
}

/// Puts a job back to run again at `run_at`, with the error of this attempt on it.
pub async fn retry_later(
    tx: &mut Tx,
    id: JobId,
    attempt: u32,
    run_at: DateTime<Utc>,
    error: &Value,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, RETRY_LATER, id, i64::from(attempt), run_at, Json(error))? == 1)
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

/// Jobs of a queue that were due before `before` and could run.
pub async fn due(
    q: &mut impl Querier,
    queue: Queue,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Ready>, sqlx::Error> {
    fetch_all!(Ready, q, DUE, queue, before, limit)
}

/// The same for one lane: how workers find work while the wire is away.
pub async fn due_in_lane(
    q: &mut impl Querier,
    lane: Lane,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Ready>, sqlx::Error> {
    fetch_all!(Ready, q, DUE_IN_LANE, lane.queue, now, limit, lane.quarantine)
}

/// A running job whose lease ended: its worker died, or was cut off.
pub struct Expired {
    pub job: Job,
    pub worker: String,
}

struct ExpiredRow {
    job: Job,
    worker: Option<String>,
}

row!(ExpiredRow: job as flat, worker);

/// Running jobs whose lease ended, or whose worker is one of the `gone`.
pub async fn expired(
    q: &mut impl Querier,
    now: DateTime<Utc>,
    gone: &[String],
) -> Result<Vec<Expired>, sqlx::Error> {
    let rows = fetch_all!(ExpiredRow, q, EXPIRED, now, Json(gone))?.into_iter();
    let expired = rows.map(|ExpiredRow { job, worker }| Expired { job, worker: worker.unwrap_or_default() });
    Ok(expired.collect())
}

/// Fails a job whose lease ended or whose worker is `gone`. `false`: the lease was renewed, or the job ended meanwhile.
pub async fn bury(
    tx: &mut Tx,
    of: AttemptOf,
    now: DateTime<Utc>,
    gone: &[String],
    result: Option<&Value>,
    error: &Value,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, BURY, of.id, i64::from(of.attempt), now, Json(gone), Json(error), result.map(Json))? == 1)
}

/// Puts a job back that its worker lost; the attempt does not count as a try. With `crashed`, it may be why its process
/// died: that is counted, and from now on it runs in a process of its own. `false`: its lease was renewed or it ended meanwhile.
pub async fn reclaim(
    conn: &mut Conn,
    of: AttemptOf,
    now: DateTime<Utc>,
    gone: &[String],
    crashed: bool,
    error: &Value,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(conn, RECLAIM, of.id, i64::from(of.attempt), now, Json(gone), crashed, Json(error))? == 1)
}

/// How much waits in a queue.
#[derive(Debug)]
pub struct Depth {
    pub queue: String,
    pub count: i64,
    /// When the one that waits longest was due.
    pub oldest: Option<DateTime<Utc>>,
}

row!(Depth: queue, count, oldest);

pub async fn depths(q: &mut impl Querier) -> Result<Vec<Depth>, sqlx::Error> {
    fetch_all!(Depth, q, DEPTHS)
}

/// Which of these jobs are queued or running; the others are final, or gone. For readers that were already shown to own
/// them.
pub async fn which_are_open(q: &mut impl Querier, jobs: &[JobId]) -> Result<Vec<JobId>, sqlx::Error> {
    let rows = fetch_all!((JobId,), q, OPEN, ids(jobs.iter().copied()))?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}
