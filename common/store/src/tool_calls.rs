//! Calls of tools, and tries of providers that failed: what a job did outside.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::db::{Querier, execute, fetch_all, row, statements};
use crate::domain::{
    ids::{JobId, UserId},
    job::Job,
};

statements! {
    /// Only an attempt that still runs may begin a call.
    BEGIN = "insert into tool_calls (job_id, step, user_id, attempt, name, arguments, read_only, created_at)
    select id, $3, user_id, attempt, $4, $5, $6, $7 from jobs
    where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
    END = "update tool_calls set ok = $3, result = $4, ms = $5 where job_id = $1 and step = $2";
    OF_JOB = "select step, attempt, name, arguments, read_only, ok, result, ms, created_at from tool_calls
    where job_id = $1 and user_id = $2 order by step";
    TRIED = "insert into job_tries (job_id, attempt, tries) values ($1, $2, $3)
    on conflict (job_id, attempt) do update set tries = $3";
    TRIES = "select t.attempt, t.tries from job_tries t join jobs j on j.id = t.job_id
    where t.job_id = $1 and j.user_id = $2 order by t.attempt";
}

#[derive(Debug, Clone)]
pub struct Call {
    pub step: i64,
    pub attempt: i64,
    pub name: String,
    pub arguments: String,
    pub read_only: bool,
    /// `None` while it runs, or for ever.
    pub ok: Option<bool>,
    pub result: Option<String>,
    pub ms: Option<i64>,
    pub created_at: DateTime<Utc>,
}

row!(Call: step, attempt, name, arguments, read_only, ok, result, ms, created_at);

pub struct NewCall<'a> {
    pub step: i64,
    pub name: &'a str,
    pub arguments: &'a str,
    pub read_only: bool,
}

/// Writes down that a call begins. `false`: this attempt has lost the job, and must not make it.
pub async fn begin(
    q: &mut impl Querier,
    job: &Job,
    call: NewCall<'_>,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let NewCall { step, name, arguments, read_only } = call;
    Ok(execute!(q, BEGIN, job.id, i64::from(job.attempt), step, name, arguments, read_only, now)? == 1)
}

pub async fn end(
    q: &mut impl Querier,
    job: JobId,
    step: i64,
    ok: bool,
    result: &str,
    ms: i64,
) -> Result<(), sqlx::Error> {
    execute!(q, END, job, step, ok, result, ms).map(drop)
}

/// All calls of a job, whichever attempt made them.
pub async fn of_job(q: &mut impl Querier, user: UserId, job: JobId) -> Result<Vec<Call>, sqlx::Error> {
    fetch_all!(Call, q, OF_JOB, job, user)
}

/// Keeps the tries of an attempt that failed.
pub async fn tried(q: &mut impl Querier, job: &Job, tries: &Value) -> Result<(), sqlx::Error> {
    execute!(q, TRIED, job.id, i64::from(job.attempt), Json(tries)).map(drop)
}

/// (attempt, its tries that failed).
pub async fn tries(q: &mut impl Querier, user: UserId, job: JobId) -> Result<Vec<(i64, Value)>, sqlx::Error> {
    let rows = fetch_all!((i64, Json<Value>), q, TRIES, job, user)?;
    Ok(rows.into_iter().map(|(attempt, tries)| (attempt, tries.0)).collect())
}
