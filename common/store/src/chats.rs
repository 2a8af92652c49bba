//! Storing a question with its job. [`super::answers`] stores the answer.
//!
//! On PostgreSQL it is one statement with data-modifying CTEs instead of five: on two cores this, and the same for answers, took
//! `rapport-bench chat` from 520 to over 800 answers a second (docs/benchmarks.md). SQLite has no such CTEs and no round trips to
//! save: there the single steps run one after another. Both happen inside the caller's transaction.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;

use super::{
    Querier, Tx,
    db::{Raw, Sql, column, statements, within},
    jobs::{self, NewJob, Ready},
    messages::{self, NewMessage},
    sessions, words,
};
use crate::{
    domain::{
        ids::{JobId, MessageId, ProjectId, SessionId, UserId},
        job::{JobKind, Lane},
        message::{Details, MessageStatus, Role},
    },
    error::Result,
    payload::ChatPayload,
    telemetry::metrics::METRICS,
};

macro_rules! accepted {
    () => {
        "j as (insert into jobs (id, kind, queue, user_id, session_id, session_order, payload, status, max_attempts, run_at,
            trace, created_at)
        select r.job, 'chat', 'chat', r.user_id, r.session, s.seq, r.payload || jsonb_build_object('seq', s.seq), 'queued', r.attempts,
            r.at, r.trace, r.at from s join r on r.job = s.job),
    m as (insert into messages (id, session_id, user_id, job_id, seq, role, content, status, created_at, remember, details)
        select r.message, r.session, r.user_id, r.job, s.seq, 'user', r.content, 'complete', r.at, r.remember, r.details
        from s join r on r.job = s.job),
    w as (insert into message_words (user_id, doc_id, length, bag) select r.user_id, r.message, r.words, r.bag
        from s join r on r.job = s.job where r.remember)
    select job from s"
    };
}
macro_rules! questions {
    () => {
        "with r as (select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::uuid[], $6::jsonb[], $7::bigint[],
            $8::text[], $9::uuid[], $10::text[], $11::boolean[], $12::bigint[], $13::bytea[], $14::bigint[], $15::timestamptz[],
            $16::timestamptz[], $17::uuid[], $18::jsonb[])
        as r(session, user_id, at, title, job, payload, attempts, trace, message, content, remember, words, bag, tokens, due, waited,
            project, details) limit $19), "
    };
}
/// A window is due at once when it is long enough, or has waited long enough (DESIGN §6; `sessions::HEARD` says it for SQLite). Whose
/// session is written to by somebody else is waited for, or left out.
macro_rules! accept {
    ($busy:literal) => {
        pg!(questions!(), "l as (select id from sessions where id in (select session from r) order by id for no key update", $busy, "),
    s as (update sessions s set next_seq = next_seq + 2, message_count = message_count + 1, updated_at = r.at,
            active_hour = ", hour!("r.at"), ",
            title = case when title_source = 'none' then r.title else s.title end,
            title_source = case when title_source = 'none' then 'words' else title_source end,
            pending_tokens = pending_tokens + r.tokens,
            pending_since = case when r.remember then coalesce(pending_since, r.at) else pending_since end,
            extract_due = case when not r.remember then extract_due when ", window_is_due!(), " then r.at else r.due end,
            extract_after = case when not r.remember or extract_after <= r.at then extract_after when ", window_is_due!(), " then r.at
                else least(extract_after, r.due) end
        from r where s.id = r.session and s.user_id = r.user_id and s.status <> 'deleted' and s.id in (select id from l)
        returning r.job, s.next_seq - 2 as seq), ", accepted!())
    };
}
macro_rules! window_is_due {
    () => {
        "(extract_after is not null and coalesce(extract_due, extract_after) <= r.at) or pending_tokens + r.tokens >= 1200 or next_seq - extracted_seq >= 20 or pending_since < r.waited"
    };
}

statements! {
    /// $1 sessions, $2 users, $3 now, $4 titles, $5 jobs, $6 payloads without `seq`, $7 attempts, $8 traces, $9 messages, $10 texts,
    /// $11 remember, $12 words, $13 their bags, $14 tokens, $15 when their extraction is due, $16 what waits since before this is due
    /// now, $17 projects, $18 what came with them, $19 how many (see `answers`). Gives the jobs of those that were stored.
    ACCEPT_NEW = pg!(questions!(), "s as (
        insert into sessions (id, user_id, title, title_source, next_seq, message_count, created_at, updated_at, active_hour,
            pending_tokens, pending_since, extract_after, extract_due, project_id)
        select r.session, r.user_id, r.title, 'words', 3, 1, r.at, r.at, ", hour!("r.at"), ", r.tokens, case when r.remember then r.at end,
            case when r.remember then r.due end, case when r.remember then r.due end, r.project from r
        returning (select job from r where r.session = sessions.id) as job, 1::bigint as seq), ", accepted!());
    ACCEPT = accept!("");
    /// The same for those whose session nobody else writes to in this moment.
    ACCEPT_FREE = accept!(" skip locked");
}

/// A question about to be stored.
pub struct Question {
    pub user: UserId,
    pub session: SessionId,
    pub session_is_new: bool,
    /// Of a new session.
    pub project: Option<ProjectId>,
    /// For a session without a title.
    pub title: String,
    pub job: JobId,
    pub message: MessageId,
    pub text: String,
    /// What came with it.
    pub details: Option<Details>,
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
pub fn ready(user: UserId, job: JobId, now: DateTime<Utc>) -> Ready {
    Ready {
        id: job,
        user_id: Some(user),
        lane: Lane::normal(JobKind::Chat.queue()),
        priority: 0,
        run_at: now,
    }
}

/// Stores a question and its job, by one statement on PostgreSQL. `false`: the user has no such session.
pub async fn accept(tx: &mut Tx, question: Question) -> Result<bool, sqlx::Error> {
    match tx.raw() {
        Raw::Pg(_) => {
            let sql = if question.session_is_new { ACCEPT_NEW } else { ACCEPT };
            Ok(!accept_on_pg(tx, sql, std::slice::from_ref(&question)).await?.is_empty())
        }
        Raw::Lite(_) => Ok(accept_in_steps(tx, question).await?.is_some()),
    }
}

/// Stores those of several, in sessions there are, whose sessions nobody else writes to in this moment; by one statement, PostgreSQL's
/// alone. `false` of the others: each is to be stored by itself.
pub async fn accept_free(tx: &mut Tx, questions: &[Question]) -> Result<Vec<bool>, sqlx::Error> {
    let stored = accept_on_pg(tx, ACCEPT_FREE, questions).await?;
    Ok(questions.iter().map(|question| stored.contains(&question.job)).collect())
}

async fn accept_on_pg(tx: &mut Tx, sql: Sql, all: &[Question]) -> Result<Vec<JobId>, sqlx::Error> {
    let (deadline, is_named) = (tx.deadline(), !tx.is_pooled());
    let Raw::Pg(c) = tx.raw() else { return Ok(Vec::new()) };
    let heard = column(all, |one| Heard::of(&one.text, one.remember, one.now, one.idle));
    let query = sqlx::query_as::<_, (JobId,)>(sql.pg())
        .persistent(is_named)
        .bind(column(all, |one| one.session.0))
        .bind(column(all, |one| one.user.0))
        .bind(column(all, |one| one.now))
        .bind(column(all, |one| one.title.as_str()))
        .bind(column(all, |one| one.job.0))
        .bind(column(all, |one| Json(&one.payload)));
    let query = query
        .bind(column(all, |one| i64::from(one.max_attempts)))
        .bind(column(all, |one| one.trace.as_deref()))
        .bind(column(all, |one| one.message.0))
        .bind(column(all, |one| one.text.as_str()))
        .bind(column(all, |one| one.remember));
    let query = query
        .bind(column(&heard, |heard| heard.words))
        .bind(column(&heard, |heard| heard.bag.as_slice()))
        .bind(column(&heard, |heard| heard.tokens))
        .bind(column(&heard, |heard| heard.due))
        .bind(column(&heard, |heard| heard.waited))
        .bind(column(all, |one| one.project.map(|id| id.0)))
        .bind(column(all, |one| one.details.as_ref().map(Json)))
        .bind(all.len() as i64);
    let stored = within(deadline, query.fetch_all(c)).await;
    tx.answered();
    let stored: Vec<JobId> =
        stored.inspect_err(|error| tx.note(error))?.into_iter().map(|row| row.0).collect();
    METRICS.jobs_enqueued.with_label_values(&["chat"]).inc_by(stored.len() as u64);
    Ok(stored)
}

async fn accept_in_steps(tx: &mut Tx, question: Question) -> Result<Option<i64>, sqlx::Error> {
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
            sessions::NewSession { id: session, title: &title, title_source: "words", project },
            now,
        )
        .await?;
    }
    let Some(seq) = sessions::take_seq(tx, user, session, now).await? else { return Ok(None) };
    sessions::title_from_words(tx, session, &title).await?;
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
        content: &text,
        status: MessageStatus::Complete,
        provider: None,
        model: None,
        usage: None,
        name: None,
        remember,
        details: details.as_ref(),
        created_at: now,
    };
    messages::insert(tx, question).await?;
    if remember {
        let Heard { tokens, due, waited, .. } = Heard::of(&text, remember, now, idle);
        sessions::heard(tx, user, session, sessions::Said { tokens, now, due, waited }).await?;
    }
    Ok(Some(seq))
}
