//! What clients of `/v1` said themselves, beside the jobs that answer it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::db::{Conn, Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements};
use crate::domain::{
    ids::{ConversationId, JobId, UserId},
    job::Job,
    request::Api,
};

macro_rules! columns {
    () => {
        "j.id, j.kind, j.queue, j.user_id, j.session_id, j.payload, j.status, j.attempt, j.max_attempts, j.quarantine, \
         j.crashes, j.cancel_requested, j.run_at, j.progress, j.result, j.error, j.trace, j.created_at, j.started_at, \
         j.finished_at"
    };
}

/// The stored responses from $1 back to the first, at most $3 of them, as `chain`.
macro_rules! chain {
    () => {
        "with recursive chain (job_id, previous, depth) as (
            select job_id, previous, cast(1 as bigint) from requests where job_id = $1 and user_id = $2 and body is not null
            union all
            select r.job_id, r.previous, c.depth + 1 from chain c join requests r on r.job_id = c.previous
            where r.user_id = $2 and r.body is not null and c.depth < $3) "
    };
}

statements! {
    /// Nothing, if another response is under way in the same conversation.
    INSERT = "insert into requests (job_id, user_id, api, prompt, body, previous, created_at, expires_at, conversation_id)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing";
    /// A conversation that is gone stays out of it.
    REJOIN = "update requests set conversation_id = $3 where job_id = $1 and user_id = $2
    and exists (select 1 from v1_conversations c where c.id = $3 and c.user_id = $2)";
    PROMPT = "select prompt from requests where job_id = $1 and user_id = $2";
    ANSWERED = "update requests set prompt = null where job_id = $1 and user_id = $2";
    DELETE = "delete from requests where job_id = $1 and user_id = $2";
    /// Oldest first.
    CHAIN = chain!(), "select ", columns!(), ", r.body, r.previous from chain c join requests r on r.job_id = c.job_id
        join jobs j on j.id = c.job_id where r.user_id = $2 order by c.depth desc";
    /// Bytes of what `CHAIN` gives.
    SIZE = chain!(), "select cast(coalesce(sum(", pg!("octet_length(r.body::text) + coalesce(octet_length(j.result::text), 0)"),
        lite!("length(r.body) + coalesce(length(j.result), 0)"), "), 0) as bigint)
        from chain c join requests r on r.job_id = c.job_id join jobs j on j.id = c.job_id where r.user_id = $2";
    PAGE = "select ", columns!(), ", r.body, r.previous from requests r join jobs j on j.id = r.job_id
        where r.user_id = $1 and r.body is not null and r.job_id > $2 order by r.job_id limit $3";
    DELETE_JOB = "delete from jobs where id = $1 and user_id = $2 and status not in ('queued', 'running')
        and id in (select job_id from requests where body is not null)";
    PRUNE = "delete from jobs where id in (select j.id from requests r join jobs j on j.id = r.job_id
        where r.expires_at < $1 and j.status not in ('queued', 'running') order by r.expires_at limit 500",
        pg!(" for update of j skip locked"), ")";
}

pub struct NewRequest {
    pub job: JobId,
    pub user: UserId,
    pub api: Api,
    pub prompt: Value,
    pub body: Option<Value>,
    pub previous: Option<JobId>,
    /// To which it is added when it has ended.
    pub conversation: Option<ConversationId>,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Stores what a job is asked, in the transaction that puts the job in. `false`: another response is under way in the
/// conversation.
pub async fn insert(tx: &mut Tx, request: NewRequest) -> Result<bool, sqlx::Error> {
    let NewRequest { job, user, api, prompt, body, previous, conversation, created_at, expires_at } = request;
    let inserted = execute!(
        tx,
        INSERT,
        job,
        user,
        api,
        Json(&prompt),
        body.as_ref().map(Json),
        previous,
        created_at,
        expires_at,
        conversation
    )?;
    Ok(inserted == 1)
}

/// Puts a response that runs again back into its conversation: when it failed it was taken out.
pub async fn rejoin(
    tx: &mut Tx,
    user: UserId,
    job: JobId,
    conversation: ConversationId,
) -> Result<(), sqlx::Error> {
    execute!(tx, REJOIN, job, user, conversation).map(drop)
}

/// A stored response.
#[derive(Debug, Clone)]
pub struct Kept {
    pub job: Job,
    pub body: Value,
    pub previous: Option<JobId>,
}

row!(Kept: job as flat, body as json, previous);

/// A stored response and those before it, oldest first: `most` at most. Empty: there is no such response.
pub async fn chain(
    q: &mut impl Querier,
    user: UserId,
    last: JobId,
    most: i64,
) -> Result<Vec<Kept>, sqlx::Error> {
    fetch_all!(Kept, q, CHAIN, last, user, most)
}

/// How many bytes [`chain`] would give.
pub async fn chain_size(
    q: &mut impl Querier,
    user: UserId,
    last: JobId,
    most: i64,
) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, SIZE, last, user, most)?.0)
}

/// One stored response.
pub async fn get(q: &mut impl Querier, user: UserId, id: JobId) -> Result<Option<Kept>, sqlx::Error> {
    Ok(chain(q, user, id, 1).await?.pop())
}

/// A user's stored responses after one, in order.
pub async fn page(
    q: &mut impl Querier,
    user: UserId,
    after: JobId,
    limit: i64,
) -> Result<Vec<Kept>, sqlx::Error> {
    fetch_all!(Kept, q, PAGE, user, after, limit)
}

/// Deletes a stored response that has ended, with its job. `false`: there is none, or it has not ended.
pub async fn delete_job(tx: &mut Tx, user: UserId, id: JobId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE_JOB, id, user)? == 1)
}

struct Asked {
    prompt: Option<Value>,
}

row!(Asked: prompt as optional_json);

/// What a job is asked.
pub async fn prompt(q: &mut impl Querier, user: UserId, job: JobId) -> Result<Option<Value>, sqlx::Error> {
    Ok(fetch_optional!(Asked, q, PROMPT, job, user)?.and_then(|row| row.prompt))
}

/// Forgets what was asked: there is an answer.
pub async fn answered(tx: &mut Tx, user: UserId, job: JobId) -> Result<(), sqlx::Error> {
    execute!(tx, ANSWERED, job, user).map(drop)
}

/// The same for a turn of a session, which keeps what it keeps itself.
pub async fn delete(tx: &mut Tx, user: UserId, job: JobId) -> Result<(), sqlx::Error> {
    execute!(tx, DELETE, job, user).map(drop)
}

/// Deleted at a time at most (`PRUNE`).
pub const PRUNED: u64 = 500;

/// Deletes jobs of requests that nobody wanted kept, some at a time.
pub async fn prune(conn: &mut Conn, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    execute!(conn, PRUNE, now)
}
