//! Jobs as their owners see them, and putting new ones in. What workers do to them is in [`super::ledger`].

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;

use super::db::{Conn, Querier, Tx, execute, fetch_all, fetch_optional, ids, row, statements};
use crate::{
    Error, Result, clock,
    domain::{
        ids::{JobId, SessionId, UserId},
        job::{Job, JobKind, JobStatus, Lane, Queue},
    },
    first_id,
    payload::Payload,
};

macro_rules! columns {
    () => {
        "id, kind, queue, user_id, session_id, payload, status, attempt, max_attempts, quarantine, crashes, cancel_requested, run_at, \
         progress, result, error, trace, created_at, started_at, finished_at"
    };
}
pub(super) use columns;

/// Users with an open job of these kinds. For `not in`, which PostgreSQL looks up in a hash: what it makes of `not exists` goes through all
/// those jobs again for each user, when it last looked at the table before they were there (20,000 of each: 16.7 s). It makes a hash of no
/// more than it takes for what fits its `work_mem`: so of the first 50,000. Where more are open, who has one may be given again, and
/// no second one is put in.
macro_rules! users_with_open {
    ($kinds:literal) => {
        concat!(
            "(select j.user_id from jobs j where j.user_id is not null and j.status in ('queued', 'running') and j.kind in (",
            $kinds,
            ") limit 50000)"
        )
    };
}
pub(super) use users_with_open;

/// $2 status, $3 kind, $4 older than this one
macro_rules! listed {
    ($of:literal) => {
        concat!(" from jobs where user_id = $1 and ($2 is null or status = $2) and ($3 is null or kind = $3) and id < $4", $of,
            " order by id desc limit $5 offset $6")
    };
}

/// What is told of a job whose state changed; of a title's also what it made.
macro_rules! state {
    () => {
        "id, kind, status, session_id, case when kind = 'title' and status = 'succeeded' then result end as title"
    };
}

statements! {
    INSERT = "insert into jobs
    (id, kind, queue, user_id, session_id, session_order, payload, status, max_attempts, priority, run_at, dedupe_key, trace,
     created_at)
    values ($1, $2, $3, $4, $5, $6, $7, 'queued', $8, $9, $10, $11, $12, $13)
    on conflict (dedupe_key) where status in ('queued', 'running') do nothing";
    GET = "select ", columns!(), " from jobs where id = $1 and user_id = $2";
    LIST = "select ", columns!(), listed!("");
    /// By indexes of their own (`jobs_unwell`, `jobs_rare`): a user has few of them among very many others.
    LIST_UNWELL = "select ", columns!(), listed!(" and status in ('failed', 'cancelled')");
    LIST_RARE = "select ", columns!(), " from jobs where user_id = $1 and ($2 is null or status = $2) and kind = $3 and id < $4
      and kind not in ('chat', 'title', 'memory_extraction', 'embedding') order by id desc limit $5 offset $6";
    REQUEST_CANCEL =
        "update jobs set cancel_requested = $3 where id = $1 and user_id = $2 and coalesce(status, '') = 'running'";
    CANCEL_QUEUED = "update jobs set status = 'cancelled', finished_at = $3, cancel_requested = $4
    where id = $1 and user_id = $2 and coalesce(status, '') = 'queued'";
    SET_RESULT = "update jobs set result = $3 where id = $1 and user_id = $2";
    RETRY =
        "update jobs set status = 'queued', run_at = $3, result = null, error = null, finished_at = null, quarantine = $5,
        cancel_requested = $5, crashes = 0, max_attempts = attempt + $4, session_order = coalesce($6, session_order)
    where id = $1 and user_id = $2 and coalesce(status, '') = 'failed'";
    OPEN_CHAT = "select id from jobs where session_id = $1 and user_id = $2 and kind = 'chat'
      and finished_at is null and session_order is not null order by session_order limit 1";
    PARTIAL = "select coalesce(partial, '') as partial, coalesce(partial_n, 0) as partial_n, attempt, status from jobs where id = $1";
    NEXT_IN_SESSION = "select id, user_id, quarantine, queue, priority, run_at from jobs where session_id = $1
      and coalesce(status, '') = 'queued' and finished_at is null and session_order is not null order by session_order limit 1";
    OPEN_IN_SESSION = "select id from jobs where session_id = $1 and user_id = $2
      and finished_at is null and session_order is not null order by session_order";
    OPEN_BY_KEY = "select id from jobs where dedupe_key = $1 and user_id = $2 and status in ('queued', 'running')";
    ANY_BY_KEY = "select ", columns!(),
        " from jobs where dedupe_key = $1 and user_id is null and status in ('queued', 'running')";
    /// Of those put in since $3, an id: who has a hundred thousand is answered as soon as who has one.
    CHANGED = "select ", state!(), " from jobs where user_id = $1 and id >= $3
      and (created_at >= $2 or started_at >= $2 or finished_at >= $2 or status in ('queued', 'running')) order by id desc limit 500";
    /// Of the newest 500.
    CHANGED_LATELY = "select ", state!(), " from (select * from jobs where user_id = $1 order by id desc limit 500) j
      where created_at >= $2 or started_at >= $2 or finished_at >= $2 or status in ('queued', 'running') order by id desc";
    STATES = "select ", state!(), " from jobs where id in ", ids!(2), " and ", checked!("user_id = $1"), " order by id";
}

/// A job about to be put into the ledger: its kind is its payload's.
pub struct NewJob {
    pub id: JobId,
    pub(super) kind: JobKind,
    pub(super) payload: Value,
    pub user: Option<UserId>,
    pub session: Option<SessionId>,
    /// Its place among the session's jobs that run one at a time; `None` for one that waits for no other.
    pub session_order: Option<i64>,
    pub max_attempts: u32,
    /// Lower runs first; 0 is ordinary.
    pub priority: i64,
    pub run_at: DateTime<Utc>,
    /// While a job with this key is queued or running, another is not put in.
    pub dedupe_key: Option<String>,
    /// W3C `traceparent` of what made it.
    pub trace: Option<String>,
    pub created_at: DateTime<Utc>,
}

impl NewJob {
    /// A job of nobody's, to run now. `attempts`: how often it may be tried, unless its kind wants more.
    pub fn new<P: Payload>(payload: &P, attempts: u32) -> Result<Self> {
        let now = clock::now();
        Ok(Self {
            id: JobId::new(),
            kind: P::KIND,
            payload: serde_json::to_value(payload).map_err(Error::internal)?,
            user: None,
            session: None,
            session_order: None,
            max_attempts: attempts.max(P::LEAST_ATTEMPTS),
            priority: 0,
            run_at: now,
            dedupe_key: None,
            trace: None,
            created_at: now,
        })
    }

    pub fn queue(&self) -> Queue {
        self.kind.queue()
    }

    pub fn of_user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// About a session, at its place among those of the session that run one at a time.
    pub fn in_session(mut self, session: SessionId, order: Option<i64>) -> Self {
        (self.session, self.session_order) = (Some(session), order);
        self
    }

    /// Not put in while another with this key is queued or running.
    pub fn once(mut self, key: String) -> Self {
        self.dedupe_key = Some(key);
        self
    }
}

/// What the wire needs to know of a job that became ready.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    pub id: JobId,
    /// Whose turn it takes.
    pub user_id: Option<UserId>,
    pub lane: Lane,
    pub priority: i64,
    pub run_at: DateTime<Utc>,
}

row!(Ready: id, user_id, lane as flat, priority, run_at);

impl Ready {
    /// A job that is in the ledger, ready at `run_at`.
    pub fn of(job: &Job, lane: Lane, run_at: DateTime<Utc>) -> Self {
        Self { id: job.id, user_id: job.user_id, lane, priority: 0, run_at }
    }
}

pub(super) fn ready(job: &NewJob) -> Ready {
    let lane = Lane::normal(job.kind.queue());
    Ready { id: job.id, user_id: job.user, lane, priority: job.priority, run_at: job.run_at }
}

/// Puts a job in; `None` when its `dedupe_key` is taken. Announce what it gives after the commit.
pub async fn enqueue(tx: &mut Tx, job: NewJob) -> Result<Option<Ready>, sqlx::Error> {
    let ready = ready(&job);
    let inserted = execute!(
        tx,
        INSERT,
        job.id,
        job.kind,
        job.kind.queue(),
        job.user,
        job.session,
        job.session_order,
        Json(&job.payload),
        i64::from(job.max_attempts),
        job.priority,
        job.run_at,
        &job.dedupe_key,
        &job.trace,
        job.created_at
    )?;
    if inserted == 1 {
        crate::telemetry::metrics::METRICS.jobs_enqueued.with_label_values(&[job.kind.as_str()]).inc();
    }
    Ok((inserted == 1).then_some(ready))
}

pub async fn get(q: &mut impl Querier, user: UserId, id: JobId) -> Result<Option<Job>, sqlx::Error> {
    fetch_optional!(Job, q, GET, id, user)
}

/// Which jobs are listed. What is `None` does not matter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    pub status: Option<JobStatus>,
    pub kind: Option<JobKind>,
    /// Older than this one.
    pub before: Option<JobId>,
}

pub async fn list(
    q: &mut impl Querier,
    user: UserId,
    wanted: Wanted,
    limit: i64,
    skip: i64,
) -> Result<Vec<Job>, sqlx::Error> {
    let Wanted { status, kind, before } = wanted;
    let before = before.unwrap_or(JobId(uuid::Uuid::from_bytes([0xff; 16])));
    // Kinds that a user has many jobs of are found soon among all.
    let is_rare = |kind| {
        !matches!(kind, JobKind::Chat | JobKind::Title | JobKind::MemoryExtraction | JobKind::Embedding)
    };
    let sql = match (status, kind) {
        (_, Some(kind)) if is_rare(kind) => LIST_RARE,
        (Some(JobStatus::Failed | JobStatus::Cancelled), _) => LIST_UNWELL,
        _ => LIST,
    };
    fetch_all!(Job, q, sql, user, status, kind, before, limit, skip)
}

/// Asks the worker of a running job to stop. `false` when it is not running.
pub async fn request_cancel(conn: &mut Conn, user: UserId, id: JobId) -> Result<bool, sqlx::Error> {
    Ok(execute!(conn, REQUEST_CANCEL, id, user, true)? == 1)
}

/// Ends a job that no worker has. `false` when it is not queued.
pub async fn cancel_queued(
    tx: &mut Tx,
    user: UserId,
    id: JobId,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, CANCEL_QUEUED, id, user, now, true)? == 1)
}

pub async fn set_result(tx: &mut Tx, user: UserId, id: JobId, result: &Value) -> Result<(), sqlx::Error> {
    execute!(tx, SET_RESULT, id, user, Json(result)).map(drop)
}

/// Puts a failed job back, with `attempts` more attempts and a new place in its session. `false` when it is not failed.
pub async fn retry(
    tx: &mut Tx,
    user: UserId,
    id: JobId,
    attempts: u32,
    order: Option<i64>,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, RETRY, id, user, now, i64::from(attempts), false, order)? == 1)
}

/// The answer so far, as last written down.
pub struct Partial {
    pub partial: String,
    /// The number of the last event in it.
    pub partial_n: u32,
    pub attempt: u32,
    pub status: JobStatus,
}

row!(Partial: partial, partial_n as number, attempt as number, status);

/// For readers that were already shown to own the job.
pub async fn partial(q: &mut impl Querier, id: JobId) -> Result<Option<Partial>, sqlx::Error> {
    fetch_optional!(Partial, q, PARTIAL, id)
}

/// The next job of a session that waits for its turn.
pub async fn next_in_session(q: &mut impl Querier, session: SessionId) -> Result<Option<Ready>, sqlx::Error> {
    fetch_optional!(Ready, q, NEXT_IN_SESSION, session)
}

/// The jobs that answer, or wait to answer, in a session.
pub async fn open_in_session(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
) -> Result<Vec<JobId>, sqlx::Error> {
    Ok(fetch_all!((JobId,), q, OPEN_IN_SESSION, session, user)?.into_iter().map(|row| row.0).collect())
}

/// The open job that holds a `dedupe_key`.
pub async fn open_by_key(
    q: &mut impl Querier,
    user: UserId,
    key: &str,
) -> Result<Option<JobId>, sqlx::Error> {
    Ok(fetch_optional!((JobId,), q, OPEN_BY_KEY, key, user)?.map(|row| row.0))
}

/// An open job of nobody's, by its key.
pub async fn any_by_key(q: &mut impl Querier, key: &str) -> Result<Option<Job>, sqlx::Error> {
    fetch_optional!(Job, q, ANY_BY_KEY, key)
}

/// The state of a job, as those who follow its user are told.
#[derive(Debug, Clone)]
pub struct JobState {
    pub id: JobId,
    pub kind: JobKind,
    pub status: JobStatus,
    pub session_id: Option<SessionId>,
    /// The result of a job that has found a title.
    pub title: Option<Value>,
}

row!(JobState: id, kind, status, session_id, title as optional_json);

/// How long before a moment jobs may have been put in that are told to have changed since.
const LONGEST: TimeDelta = TimeDelta::days(1);

/// The user's jobs that changed since a moment, or are open, in order: of those put in within a day before it, the newest 500.
pub async fn changed(
    q: &mut impl Querier,
    user: UserId,
    since: DateTime<Utc>,
) -> Result<Vec<JobState>, sqlx::Error> {
    let mut jobs = fetch_all!(JobState, q, CHANGED, user, since, first_id(since - LONGEST))?;
    jobs.reverse();
    Ok(jobs)
}

/// The same, of the user's newest 500 jobs alone: for who asks often.
pub async fn changed_lately(
    q: &mut impl Querier,
    user: UserId,
    since: DateTime<Utc>,
) -> Result<Vec<JobState>, sqlx::Error> {
    let mut jobs = fetch_all!(JobState, q, CHANGED_LATELY, user, since)?;
    jobs.reverse();
    Ok(jobs)
}

/// The states of those of these jobs that are the user's, in order.
pub async fn states(q: &mut impl Querier, user: UserId, of: &[JobId]) -> Result<Vec<JobState>, sqlx::Error> {
    fetch_all!(JobState, q, STATES, user, ids(of.iter().copied()))
}

/// The chat job that a session works on, or will next.
pub async fn open_chat(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
) -> Result<Option<JobId>, sqlx::Error> {
    Ok(fetch_optional!((JobId,), q, OPEN_CHAT, session, user)?.map(|row| row.0))
}
