//! Storing a question with its job, and an answer with its job's end.
//!
//! On PostgreSQL each is one statement with data-modifying CTEs instead of five: on two cores this took `rapport-bench
//! chat` from 520 to over 800 answers a second (docs/benchmarks.md). SQLite has no such CTEs and no round trips to save:
//! there the single steps run one after another. Both happen inside the caller's transaction.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::{
    Querier, Tx,
    db::{Raw, row, statements, within},
    jobs::{self, NewJob, Ready},
    ledger::{self, Settled},
    messages::{self, NewMessage},
    sessions, usage,
    usage::Spent,
    words,
};
use crate::{
    domain::{
        ids::{JobId, MessageId, ProjectId, SessionId, UserId},
        job::{Job, JobKind, JobStatus, Lane},
        message::{Details, MessageStatus, Role},
    },
    error::Result,
    payload::ChatPayload,
    telemetry::metrics::METRICS,
};

/// A window is due at once when it is long enough, or has waited long enough (DESIGN §6).
macro_rules! window_is_due {
    ($tokens:literal, $since:literal) => {
        concat!(
            "when extract_after <= $3 or pending_tokens + ",
            $tokens,
            " >= 1200 or next_seq - extracted_seq >= 20 or pending_since < ",
            $since
        )
    };
}
macro_rules! accepted {
    () => {
        "j as (insert into jobs (id, kind, queue, user_id, session_id, session_order, payload, status, max_attempts, run_at,
            trace, created_at)
        select $5, 'chat', 'chat', $2, $1, s.seq, $6::jsonb || jsonb_build_object('seq', s.seq), 'queued', $7, $3, $8, $3
        from s),
    m as (insert into messages (id, session_id, user_id, job_id, seq, role, content, status, created_at, remember, details)
        select $9, $1, $2, $5, s.seq, 'user', $10, 'complete', $3, $11, $17::jsonb from s),
    w as (insert into message_words (user_id, doc_id, length, bag) select $2, $9, $12, $13 from s where $11)
    select seq from s"
    };
}

statements! {
    /// $1 session, $2 user, $3 now, $4 title, $5 job, $6 payload without `seq`, $7 attempts, $8 trace, $9 message, $10 text,
    /// $11 remember, $12 words, $13 their bag, $14 tokens, $15 when its extraction is due, $16 project,
    /// $17 what came with it
    ACCEPT_NEW = pg!("with s as (
        insert into sessions (id, user_id, title, title_source, next_seq, message_count, created_at, updated_at,
            pending_tokens, pending_since, extract_after, project_id)
        values ($1, $2, $4, 'words', 3, 1, $3, $3, $14, case when $11 then $3::timestamptz end, case when $11 then $15::timestamptz end, $16)
        returning 1::bigint as seq), ", accepted!());
    /// $16: what waits since before this is due now
    ACCEPT = pg!("with s as (
        update sessions set next_seq = next_seq + 2, message_count = message_count + 1, updated_at = $3,
            title = case when title_source = 'none' then $4 else title end,
            title_source = case when title_source = 'none' then 'words' else title_source end,
            pending_tokens = pending_tokens + $14,
            pending_since = case when $11 then coalesce(pending_since, $3) else pending_since end,
            extract_after = case when not $11 then extract_after ", window_is_due!("$14", "$16"), " then $3 else $15 end
        where id = $1 and user_id = $2 and status <> 'deleted' returning next_seq - 2 as seq), ", accepted!());
    /// $1 job, $2 attempt, $3 job status, $4 result, $5 now, $6 answer, $7 seq, $8 text, $9 message status, $10 provider,
    /// $11 model, $12 usage, $13 remember; $14 the usage's row (null: none), $15 day, $16 project, $17 API key, $18 prompt and $19
    /// completion tokens, $20 cost; $21 details. Gives the session's next waiting job, if any.
    /// The session's row is locked before the job's (docs/jobs.md, "Locks"): `j` reads what `s` gives. If the job is not this
    /// attempt's, nothing is written and nothing comes out.
    ANSWER = pg!("with s as (
        select id from sessions
        where id = (select session_id from jobs where id = $1 and attempt = $2 and coalesce(status, '') = 'running')
        for no key update),
    j as (
        update jobs set status = $3, result = $4, error = null, finished_at = $5, lease_until = null, worker = null,
            partial = null, partial_n = null, quarantine = false
        where id = $1 and attempt = $2 and coalesce(status, '') = 'running' and session_id in (select id from s)
        returning session_id, user_id),
    c as (update sessions set message_count = message_count + 1, updated_at = $5 where id in (select session_id from j)),
    m as (insert into messages (id, session_id, user_id, job_id, seq, role, content, status, provider, model, usage,
            created_at, remember, details)
        select $6, session_id, user_id, $1, $7, 'assistant', $8, $9, $10, $11, $12, $5, $13, $21 from j),
    u as (insert into usage_log (id, user_id, day, project, api_key, provider, model, kind, prompt_tokens, completion_tokens, cost)
        select $14::uuid, user_id, $15, $16, $17, $10, $11, 'chat', $18, $19, $20 from j where $14::uuid is not null)
    select n.id, n.quarantine, n.priority, n.run_at from j left join lateral (
        select id, quarantine, priority, run_at from jobs where session_id = j.session_id and status = 'queued'
            and session_order is not null order by session_order limit 1) n on true");
}

/// A question about to be stored.
pub struct Question<'a> {
    pub user: UserId,
    pub session: SessionId,
    pub session_is_new: bool,
    /// Of a new session.
    pub project: Option<ProjectId>,
    /// For a session without a title.
    pub title: &'a str,
    pub job: JobId,
    pub message: MessageId,
    pub text: &'a str,
    /// What came with it.
    pub details: Option<&'a Details>,
    /// The job's payload; `seq` is put in where it is taken.
    pub payload: ChatPayload,
    pub max_attempts: u32,
    pub trace: Option<String>,
    /// Whether memory may know of it.
    pub remember: bool,
    /// How long a quiet window waits before memory reads it.
    pub idle: TimeDelta,
    pub now: DateTime<Utc>,
}

/// A window is read after ten minutes at the latest: this, and one more idle time.
const UNREAD_AT_MOST: TimeDelta = TimeDelta::minutes(9);

/// What memory needs to know of a message when it is stored.
struct Heard {
    words: i64,
    bag: Vec<u8>,
    tokens: i64,
    /// When its window is read if nothing more is said.
    due: DateTime<Utc>,
    /// A window that waits since before this is due now.
    waited: DateTime<Utc>,
}

impl Heard {
    fn of(text: &str, remember: bool, now: DateTime<Utc>, idle: TimeDelta) -> Self {
        let said = words::Heard::of(if remember { text } else { "" }, words::Talk::WithModel);
        let due = if crate::memory::cue::is_cue(text) { now } else { now + idle };
        let tokens = if remember { crate::chat::tokens::estimate(text) as i64 } else { 0 };
        Self { words: said.length, bag: said.bag, tokens, due, waited: now - UNREAD_AT_MOST }
    }
}

/// A question's job, for whom to tell of it once it is stored.
pub fn ready(job: JobId, now: DateTime<Utc>) -> Ready {
    Ready { id: job, lane: Lane::normal(JobKind::Chat.queue()), priority: 0, run_at: now }
}

/// Stores a question and its job, by one statement on PostgreSQL. `false`: the user has no such session.
pub async fn accept(tx: &mut Tx, question: Question<'_>) -> Result<bool, sqlx::Error> {
    let (deadline, is_named) = (tx.deadline(), !tx.is_pooled());
    let seq = match tx.raw() {
        Raw::Pg(c) => {
            let Question {
                user,
                session,
                session_is_new,
                project,
                title,
                job,
                message,
                text,
                details,
                payload,
                max_attempts,
                trace,
                remember,
                idle,
                now,
            } = question;
            let heard = Heard::of(text, remember, now, idle);
            let sql = if session_is_new { ACCEPT_NEW } else { ACCEPT };
            let query = sqlx::query_as::<_, (i64,)>(sql.pg())
                .persistent(is_named)
                .bind(session)
                .bind(user)
                .bind(now)
                .bind(title)
                .bind(job);
            let query =
                query.bind(Json(payload)).bind(i64::from(max_attempts)).bind(trace).bind(message).bind(text);
            let query =
                query.bind(remember).bind(heard.words).bind(heard.bag).bind(heard.tokens).bind(heard.due);
            let query = if session_is_new { query.bind(project) } else { query.bind(heard.waited) };
            let query = query.bind(details.map(Json));
            let stored = within(deadline, query.fetch_all(c)).await;
            tx.answered();
            let seq = stored.inspect_err(|error| tx.note(error))?.pop().map(|row| row.0);
            if seq.is_some() {
                METRICS.jobs_enqueued.with_label_values(&["chat"]).inc();
            }
            seq
        }
        Raw::Lite(_) => accept_in_steps(tx, question).await?,
    };
    Ok(seq.is_some())
}

async fn accept_in_steps(tx: &mut Tx, question: Question<'_>) -> Result<Option<i64>, sqlx::Error> {
    let Question {
        user,
        session,
        session_is_new,
        project,
        title,
        job,
        message,
        text,
        details,
        payload,
        max_attempts,
        trace,
        remember,
        idle,
        now,
    } = question;
    if session_is_new {
        sessions::insert(
            tx,
            user,
            sessions::NewSession { id: session, title, title_source: "words", project },
            now,
        )
        .await?;
    }
    let Some(seq) = sessions::take_seq(tx, user, session, now).await? else { return Ok(None) };
    sessions::title_from_words(tx, session, title).await?;
    let unwritable = |error: crate::Error| sqlx::Error::Encode(error.to_string().into());
    let mut new = NewJob::new(&ChatPayload { seq, ..payload }, max_attempts).map_err(unwritable)?;
    (new.id, new.run_at, new.created_at, new.trace) = (job, now, now, trace);
    jobs::enqueue(tx, new.of_user(user).in_session(session, Some(seq))).await?;
    let question = NewMessage {
        id: message,
        session,
        user,
        job: Some(job),
        seq,
        role: Role::User,
        content: text,
        status: MessageStatus::Complete,
        provider: None,
        model: None,
        usage: None,
        name: None,
        remember,
        details,
        created_at: now,
    };
    messages::insert(tx, question).await?;
    if remember {
        let Heard { tokens, due, waited, .. } = Heard::of(text, remember, now, idle);
        sessions::heard(tx, user, session, sessions::Said { tokens, now, due, waited }).await?;
    }
    Ok(Some(seq))
}

/// What ending a chat job gave.
pub enum Answered {
    /// This attempt has lost the job: nothing was stored.
    Lost,
    /// Stored, with the job's end; the session's next waiting job, if any.
    Stored(Settled, Option<Ready>),
}

/// The session's next waiting job, if any.
struct Next {
    id: Option<JobId>,
    quarantine: Option<bool>,
    priority: Option<i64>,
    run_at: Option<DateTime<Utc>>,
}

row!(Next: id, quarantine, priority, run_at);

/// Ends a running chat job and stores its answer.
pub async fn answer(
    tx: &mut Tx,
    job: &Job,
    status: JobStatus,
    result: &Value,
    message: NewMessage<'_>,
    spent: Option<Spent<'_>>,
) -> Result<Answered, sqlx::Error> {
    let now = message.created_at;
    let attempt = i64::from(job.attempt);
    let (deadline, is_named) = (tx.deadline(), !tx.is_pooled());
    if let Raw::Pg(c) = tx.raw() {
        let query = sqlx::query_as::<_, Next>(ANSWER.pg()).persistent(is_named);
        let query = query.bind(job.id).bind(attempt).bind(status);
        let query =
            query.bind(Json(result)).bind(now).bind(message.id).bind(message.seq).bind(message.content);
        let query = query.bind(message.status).bind(message.provider).bind(message.model);
        let query = query.bind(message.usage.map(Json)).bind(message.remember);
        let counted = spent.as_ref().map(|spent| spent.usage).unwrap_or_default();
        let query = query
            .bind(spent.as_ref().map(|_| crate::domain::ids::new_uuid()))
            .bind(usage::day(now))
            .bind(spent.as_ref().map_or("", |spent| spent.project))
            .bind(spent.as_ref().map_or("", |spent| spent.api_key))
            .bind(counted.prompt_tokens)
            .bind(counted.completion_tokens)
            .bind(spent.as_ref().map_or(0, Spent::micros))
            .bind(message.details.map(Json));
        let rows = within(deadline, query.fetch_all(c)).await;
        tx.answered();
        return Ok(match rows.inspect_err(|error| tx.note(error))?.pop() {
            None => Answered::Lost,
            Some(Next {
                id: Some(id),
                quarantine: Some(quarantine),
                priority: Some(priority),
                run_at: Some(run_at),
            }) => {
                let lane = Lane { queue: job.queue, quarantine };
                Answered::Stored(Settled(()), Some(Ready { id, lane, priority, run_at }))
            }
            Some(_) => Answered::Stored(Settled(()), None),
        });
    }
    let settled = ledger::settle(tx, ledger::AttemptOf::job(job), status, Some(result), None, now).await?;
    let Some(settled) = settled else { return Ok(Answered::Lost) };
    let session = message.session;
    messages::insert(tx, message).await?;
    if let Some(spent) = spent {
        usage::count(tx, spent).await?;
    }
    sessions::count_message(tx, session, 1, now).await?;
    Ok(Answered::Stored(settled, jobs::next_in_session(tx, session).await?))
}
