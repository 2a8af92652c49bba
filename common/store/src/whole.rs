//! Requests without a session, ended by one text; those that nobody can come back for are accepted by one, too. On PostgreSQL that is a statement, which commits by
//! itself. On SQLite it is a transaction in one message to the thread that writes: there is one, and whoever waits for its answers
//! between statements keeps all others waiting (`rapport-bench completions`: a third of two processors stood idle for it).

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::{
    db::{Tx, execute, fetch_all, statements},
    jobs::{NewJob, Ready},
    ledger::{AttemptOf, Settled},
    requests::NewRequest,
    usage::{self, Spent},
};
use crate::{
    domain::{ids::JobId, job::JobStatus},
    telemetry::metrics::METRICS,
};

macro_rules! job {
    () => {
        "insert into jobs (id, kind, queue, user_id, payload, status, max_attempts, run_at, trace, created_at)
        values ($1, $2, $3, $4, $5, 'queued', $6, $7, $8, $9)"
    };
}
macro_rules! request {
    () => {
        "insert into requests (job_id, user_id, api, prompt, created_at, expires_at) values ($1, $4, $10, $11, $9, $12)"
    };
}
macro_rules! ended {
    () => {
        "update jobs set status = $3, result = $4, error = null, finished_at = $5, lease_until = null, worker = null,
            partial = null, partial_n = null, quarantine = false
        where id = $1 and attempt = $2 and coalesce(status, '') = 'running'"
    };
}
macro_rules! usage {
    () => {
        "insert into usage_log (id, user_id, day, project, api_key, provider, model, kind, prompt_tokens, completion_tokens, cost)"
    };
}
/// SQLite's later statements see by this moment that the first one ended the job.
macro_rules! just_ended {
    () => {
        "id = $1 and attempt = $2 and status = $3 and finished_at = $5"
    };
}

statements! {
    ACCEPT = pg!("with j as (", job!(), ") ", request!()),
        lite!("begin immediate; ", job!(), "; ", request!(), "; commit");
    /// $1 job, $2 attempt, $3 status, $4 result, $5 now; $6 the usage's row (null: none), $7 day, $8 API key, $9 provider, $10 model,
    /// $11 prompt and $12 completion tokens, $13 cost. A row comes out if the job was this attempt's.
    END = pg!("with j as (", ended!(), " returning user_id),
        r as (update requests set prompt = null where job_id = $1 and user_id in (select user_id from j)),
        u as (", usage!(), " select $6::uuid, user_id, $7, '', $8, $9, $10, 'chat', $11, $12, $13 from j where $6::uuid is not null)
        select $1::uuid from j"),
        lite!("begin immediate; ", ended!(), " returning id;
        update requests set prompt = null where job_id = $1 and exists (select 1 from jobs where ", just_ended!(), ");
        ", usage!(), " select $6, user_id, $7, '', $8, $9, $10, 'chat', $11, $12, $13 from jobs where ", just_ended!(), " and $6 is not null;
        commit");
}

/// Puts a request and its job in. What `Db::begin_whole` gave runs nothing else that writes.
pub async fn accept(tx: &mut Tx, job: NewJob, request: NewRequest) -> Result<Ready, sqlx::Error> {
    let ready = super::jobs::ready(&job);
    tx.open();
    execute!(
        tx,
        ACCEPT,
        job.id,
        job.kind,
        job.kind.queue(),
        request.user,
        Json(&job.payload),
        i64::from(job.max_attempts),
        job.run_at,
        &job.trace,
        job.created_at,
        request.api,
        Json(&request.prompt),
        request.expires_at
    )?;
    tx.close();
    METRICS.jobs_enqueued.with_label_values(&[job.kind.as_str()]).inc();
    Ok(ready)
}

/// Ends one with its answer. `None`: the attempt is not running any more, and nothing was stored.
pub async fn end(
    tx: &mut Tx,
    of: AttemptOf,
    status: JobStatus,
    result: &Value,
    spent: Option<Spent<'_>>,
    now: DateTime<Utc>,
) -> Result<Option<Settled>, sqlx::Error> {
    let counted = spent.as_ref().map(|spent| spent.usage).unwrap_or_default();
    let row = spent.as_ref().map(|_| crate::domain::ids::new_uuid());
    let model: String = spent.as_ref().map_or("", |spent| spent.model).chars().take(200).collect();
    tx.open();
    let ended = fetch_all!(
        (JobId,),
        tx,
        END,
        of.id,
        i64::from(of.attempt),
        status,
        Json(result),
        now,
        row,
        usage::day(now),
        spent.as_ref().map_or("", |spent| spent.api_key),
        spent.as_ref().map_or("", |spent| spent.provider),
        &model,
        counted.prompt_tokens,
        counted.completion_tokens,
        spent.as_ref().map_or(0, Spent::micros)
    )?;
    tx.close();
    Ok((!ended.is_empty()).then_some(Settled(())))
}
