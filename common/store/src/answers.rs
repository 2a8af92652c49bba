//! Storing an answer with its job's end: on PostgreSQL by one statement, for one or for several at once (see [`super::chats`]).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::{
    Querier, Tx,
    db::{Raw, Sql, column, row, statements, within},
    jobs::{self, Ready},
    ledger::{self, AttemptOf, Settled},
    messages::{self, NewMessage},
    sessions, usage,
    usage::Spent,
};
use crate::domain::{
    ids::{JobId, MessageId, SessionId, UserId},
    job::{JobKind, JobStatus, Lane, Queue},
    message::{Details, MessageStatus, Role, Usage},
};

/// The limit is for PostgreSQL's planner: one that it does not know makes it plan for few rows, once for ever, in place of anew for
/// each call. Whose session is written to by somebody else is waited for, or left out: many rows are locked in one order, and without waiting.
macro_rules! answer {
    ($busy:literal) => {
        pg!("with r as (
        select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::jsonb[], $5::timestamptz[], $6::uuid[], $7::bigint[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::jsonb[], $13::boolean[], $14::jsonb[], $15::uuid[], $16::text[], $17::text[],
            $18::text[], $19::bigint[], $20::bigint[], $21::bigint[]) as r(job, attempt, job_status, result, at, id, seq, content,
            status, provider, model, usage, remember, details, usage_id, day, project, api_key, prompt_tokens, completion_tokens, cost)
        limit $22),
    s as (
        select id from sessions where id in (select e.session_id from r join jobs e on e.id = r.job and e.attempt = r.attempt
            and coalesce(e.status, '') = 'running')
        order by id for no key update", $busy, "),
    k as (
        select e.id from jobs e join r on e.id = r.job and e.attempt = r.attempt where coalesce(e.status, '') = 'running'
            and e.session_id in (select id from s)
        order by e.id for no key update of e", $busy, "),
    j as (
        update jobs j set status = r.job_status, result = r.result, error = null, finished_at = r.at, lease_until = null,
            worker = null, partial = null, partial_n = null, quarantine = false
        from r where j.id = r.job and j.attempt = r.attempt and coalesce(j.status, '') = 'running'
            and j.id in (select id from k)
        returning j.id, j.session_id, j.user_id),
    c as (update sessions c set message_count = message_count + 1, updated_at = r.at, active_hour = ", hour!("r.at"), "
        from j join r on r.job = j.id where c.id = j.session_id),
    m as (insert into messages (id, session_id, user_id, job_id, seq, role, content, status, provider, model, usage,
            created_at, remember, details)
        select r.id, j.session_id, j.user_id, j.id, r.seq, 'assistant', r.content, r.status, r.provider, r.model, r.usage, r.at,
            r.remember, r.details from j join r on r.job = j.id),
    u as (insert into usage_log (id, user_id, day, project, api_key, provider, model, kind, prompt_tokens, completion_tokens, cost)
        select r.usage_id, j.user_id, r.day, r.project, r.api_key, r.provider, r.model, 'chat', r.prompt_tokens, r.completion_tokens,
            r.cost from j join r on r.job = j.id where r.usage_id is not null)
    select j.id as job, n.id, n.quarantine, n.priority, n.run_at from j left join lateral (
        select id, quarantine, priority, run_at from jobs where session_id = j.session_id and coalesce(status, '') = 'queued'
            and finished_at is null and session_order is not null order by session_order limit 1) n on true")
    };
}

statements! {
    /// Answers to running chat jobs. $1 jobs, $2 attempts, $3 statuses of the jobs, $4 results, $5 when, $6 answers, $7 places, $8 texts,
    /// $9 statuses of the messages, $10 providers, $11 models, $12 usages, $13 remember, $14 details; $15 rows of usage (null: none), $16 days,
    /// $17 projects, $18 API keys, $19 prompt and $20 completion tokens, $21 costs, $22 how many. Gives each job that it ended, with its session's next waiting one, if
    /// any. Sessions' rows are locked before jobs' (docs/jobs.md, "Locks"). Of what is not this attempt's nothing is written.
    ANSWER = answer!("");
    /// The same for those whose session nobody else writes to in this moment.
    ANSWER_FREE = answer!(" skip locked");
}

/// How a running chat job ends, with the answer that is stored.
pub struct Ending {
    pub job: JobId,
    pub attempt: u32,
    pub queue: Queue,
    pub status: JobStatus,
    pub result: Value,
    pub user: UserId,
    pub session: SessionId,
    pub message: MessageId,
    pub seq: i64,
    pub content: String,
    pub message_status: MessageStatus,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub usage: Option<Usage>,
    pub remember: bool,
    pub details: Details,
    /// What is counted of it: its project, API key and cost, as usage has them.
    pub spent: Option<Counted>,
    pub at: DateTime<Utc>,
}

/// Of what an answer used: what is not said elsewhere in its [`Ending`].
pub struct Counted {
    pub project: String,
    pub api_key: String,
    /// US dollars.
    pub cost: Option<f64>,
    pub usage: Usage,
}

/// What ending a chat job gave.
pub enum Answered {
    /// This attempt has lost the job: nothing was stored.
    Lost,
    /// Stored, with the job's end; the session's next waiting job, if any.
    Stored(Settled, Option<Ready>),
}

/// A job that ended, and its session's next waiting one, if any.
struct Next {
    job: JobId,
    id: Option<JobId>,
    quarantine: Option<bool>,
    priority: Option<i64>,
    run_at: Option<DateTime<Utc>>,
}

row!(Next: job, id, quarantine, priority, run_at);

impl Next {
    fn ready(self, queue: Queue, user: UserId) -> Option<Ready> {
        let lane = Lane { queue, quarantine: self.quarantine? };
        Some(Ready {
            id: self.id?,
            user_id: Some(user),
            lane,
            priority: self.priority?,
            run_at: self.run_at?,
        })
    }
}

/// Ends a running chat job and stores its answer.
pub async fn answer(tx: &mut Tx, ending: &Ending) -> Result<Answered, sqlx::Error> {
    if let Raw::Pg(_) = tx.raw() {
        let stored = answer_on_pg(tx, ANSWER, std::slice::from_ref(ending)).await?.pop();
        return Ok(stored.map_or(Answered::Lost, |next| {
            Answered::Stored(Settled(()), next.ready(ending.queue, ending.user))
        }));
    }
    let Ending { job, attempt, status, result, session, at, .. } = ending;
    let of = AttemptOf { id: *job, attempt: *attempt };
    let settled = ledger::settle(tx, of, *status, Some(result), None, *at).await?;
    let Some(settled) = settled else { return Ok(Answered::Lost) };
    messages::insert(tx, ending.as_message()).await?;
    if let Some(counted) = &ending.spent {
        usage::count(tx, ending.as_spent(counted)).await?;
    }
    sessions::count_message(tx, *session, 1, *at).await?;
    Ok(Answered::Stored(settled, jobs::next_in_session(tx, *session).await?))
}

/// Ends those of several whose sessions nobody else writes to in this moment, by one statement; PostgreSQL's alone. `None` of the
/// others: each is to be ended by itself.
pub async fn answer_free(tx: &mut Tx, endings: &[Ending]) -> Result<Vec<Option<Answered>>, sqlx::Error> {
    let stored = answer_on_pg(tx, ANSWER_FREE, endings).await?;
    let mut stored: HashMap<JobId, Next> = stored.into_iter().map(|next| (next.job, next)).collect();
    let of = |ending: &Ending| {
        let next = stored.remove(&ending.job)?;
        Some(Answered::Stored(Settled(()), next.ready(ending.queue, ending.user)))
    };
    Ok(endings.iter().map(of).collect())
}

impl Ending {
    fn as_message(&self) -> NewMessage<'_> {
        NewMessage {
            id: self.message,
            session: self.session,
            user: self.user,
            job: Some(self.job),
            seq: self.seq,
            role: Role::Assistant,
            content: &self.content,
            status: self.message_status,
            provider: self.provider.as_deref(),
            model: self.model.as_deref(),
            usage: self.usage,
            name: None,
            remember: self.remember,
            details: Some(&self.details),
            created_at: self.at,
        }
    }

    fn as_spent<'a>(&'a self, counted: &'a Counted) -> Spent<'a> {
        Spent {
            user: self.user,
            project: &counted.project,
            api_key: &counted.api_key,
            provider: self.provider.as_deref().unwrap_or_default(),
            model: self.model.as_deref().unwrap_or_default(),
            kind: JobKind::Chat.as_str(),
            usage: counted.usage,
            cost: counted.cost,
            at: self.at,
        }
    }
}

async fn answer_on_pg(tx: &mut Tx, sql: Sql, all: &[Ending]) -> Result<Vec<Next>, sqlx::Error> {
    let (deadline, is_named) = (tx.deadline(), !tx.is_pooled());
    let Raw::Pg(c) = tx.raw() else { return Ok(Vec::new()) };
    let counted: Vec<Option<&Counted>> = all.iter().map(|one| one.spent.as_ref()).collect();
    let of_usage =
        |of: fn(&Counted) -> i64| -> Vec<i64> { counted.iter().map(|one| one.map_or(0, of)).collect() };
    let query = sqlx::query_as::<_, Next>(sql.pg())
        .persistent(is_named)
        .bind(column(all, |one| one.job.0))
        .bind(column(all, |one| i64::from(one.attempt)))
        .bind(column(all, |one| one.status.as_str()))
        .bind(column(all, |one| Json(&one.result)))
        .bind(column(all, |one| one.at));
    let query = query
        .bind(column(all, |one| one.message.0))
        .bind(column(all, |one| one.seq))
        .bind(column(all, |one| one.content.as_str()))
        .bind(column(all, |one| one.message_status.as_str()))
        .bind(column(all, |one| one.provider.as_deref()))
        .bind(column(all, |one| one.model.as_deref()))
        .bind(column(all, |one| one.usage.map(Json)))
        .bind(column(all, |one| one.remember))
        .bind(column(all, |one| Json(&one.details)));
    let query = query
        .bind(column(all, |one| one.spent.as_ref().map(|_| crate::domain::ids::new_uuid())))
        .bind(column(all, |one| usage::day(one.at)))
        .bind(column(&counted, |one| one.map_or("", |one| &one.project)))
        .bind(column(&counted, |one| one.map_or("", |one| &one.api_key)))
        .bind(of_usage(|one| one.usage.prompt_tokens))
        .bind(of_usage(|one| one.usage.completion_tokens))
        .bind(of_usage(|one| usage::micros(one.cost)))
        .bind(all.len() as i64);
    let rows = within(deadline, query.fetch_all(c)).await;
    tx.answered();
    rows.inspect_err(|error| tx.note(error))
}
