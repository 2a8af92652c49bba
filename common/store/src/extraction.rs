//! What was read of each session, and what came of it.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::{
    db::{Conn, Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements},
    jobs::users_with_open,
};
use crate::domain::{
    ids::{ChangeId, JobId, SessionId, UserId},
    memory::{RunOutcome, Turn},
    message::Usage,
};

statements! {
    /// `extract_after` is where the index has them, and may be too early (`sessions::HEARD`); of older versions it is all there is.
    DUE = "select s.id, s.user_id from sessions s where s.extract_after <= $1 and s.extract_after is not null
    and (s.extract_due <= $1 or s.extract_due is null) and s.status <> 'deleted' and s.user_id not in ", users_with_open!("'memory_extraction'"), "
    order by s.extract_after limit $2";
    /// Those that said more meanwhile. What somebody else changes in this moment is left for the next time.
    MOVE_ON = "update sessions set extract_after = extract_due where id in (select id from sessions where extract_after <= $1
        and extract_after is not null and extract_due > $1 order by extract_after limit $2", pg!(" for no key update skip locked"), ")
        and extract_due > $1";
    DUE_OF = "select id from sessions where user_id = $1 and extract_after <= $2 and extract_after is not null
    and (extract_due <= $2 or extract_due is null)
    and status <> 'deleted' order by extract_after limit 1";
    UNREAD = "select m.seq, length(m.content) from messages m join sessions s on s.id = m.session_id
    where m.session_id = $1 and ", checked!("m.user_id = $2"), " and m.seq > s.extracted_seq and m.role = 'user' and m.remember
    order by m.seq limit $3";
    USER_TURNS = "select seq, length(content) from messages where session_id = $1 and ", checked!("user_id = $2"), " and seq > $3
    and role = 'user' and remember order by seq limit $4";
    TURNS = "select id, role, content, name, seq, created_at from messages
    where session_id = $1 and ", checked!("user_id = $2"), " and seq >= $3 and seq <= $4 and remember and status <> 'failed' order by seq";
    BEFORE = "select id, role, content, name, seq, created_at from messages
    where session_id = $1 and ", checked!("user_id = $2"), " and seq < $3 and remember and status <> 'failed' order by seq desc limit $4";
    /// Moves the cursor. The session stays due when more was said meanwhile.
    ADVANCE = "update sessions set extracted_seq = case when extracted_seq > $3 then extracted_seq else $3 end,
        pending_tokens = $4,
        extract_after = case when exists (select 1 from messages m where m.session_id = $1 and m.role = 'user' and m.remember
            and m.seq > $3) then extract_after else null end,
        extract_due = case when exists (select 1 from messages m where m.session_id = $1 and m.role = 'user' and m.remember
            and m.seq > $3) then extract_due else null end,
        pending_since = case when exists (select 1 from messages m where m.session_id = $1 and m.role = 'user' and m.remember
            and m.seq > $3) then pending_since else null end
    where id = $1 and user_id = $2";
    NOTHING_DUE =
        "update sessions set extract_after = null, extract_due = null, pending_since = null, pending_tokens = $3 where id = $1 and user_id = $2";
    INSERT_RUN = "insert into extraction_runs (id, user_id, session_id, job_id, from_seq, to_seq, extractor_version, outcome,
        facts, created, blocked, unsupported, provider, model, usage, cost, raw, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
    on conflict (session_id, from_seq, to_seq, extractor_version) do update set outcome = $8, facts = $9, created = $10,
        blocked = $11, unsupported = $12, provider = $13, model = $14, usage = $15, cost = $16, raw = $17, job_id = $4, created_at = $18";
    RUNS = "select session_id, from_seq, to_seq, extractor_version, outcome, facts, created, blocked, unsupported, provider,
    model, usage, cost, raw, created_at from extraction_runs where user_id = $1 order by created_at desc limit $2 offset $3";
    SESSIONS = "select id from sessions where user_id = $1 and status <> 'deleted' and id > $2 order by id limit $3";
    COUNT_SESSIONS = "select count(*) from sessions where user_id = $1 and status <> 'deleted'";
    SET_PROGRESS = "update jobs set progress = $3 where id = $1 and attempt = $2 and coalesce(status, '') = 'running'";
}

/// Sessions whose window is due and whose users have no extraction under way. For the sweep, over all users.
pub async fn due(
    q: &mut impl Querier,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(SessionId, UserId)>, sqlx::Error> {
    fetch_all!((SessionId, UserId), q, DUE, now, limit)
}

/// Moves on where the index has sessions that are not due any more, because more was said. How many.
pub async fn move_on(conn: &mut Conn, now: DateTime<Utc>, limit: i64) -> Result<u64, sqlx::Error> {
    execute!(conn, MOVE_ON, now, limit)
}

/// The user's session that is due longest.
pub async fn due_of(
    q: &mut impl Querier,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<Option<SessionId>, sqlx::Error> {
    Ok(fetch_optional!((SessionId,), q, DUE_OF, user, now)?.map(|row| row.0))
}

/// (place, characters) of the user's turns that were not read yet.
pub async fn unread(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
    limit: i64,
) -> Result<Vec<(i64, i32)>, sqlx::Error> {
    fetch_all!((i64, i32), q, UNREAD, session, user, limit)
}

/// (place, characters) of the user's turns after a place, read or not.
pub async fn user_turns(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, i32)>, sqlx::Error> {
    fetch_all!((i64, i32), q, USER_TURNS, session, user, after, limit)
}

/// The turns from one place to another, and a few before them for context.
pub async fn turns(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
    from: i64,
    to: i64,
    before: i64,
) -> Result<(Vec<Turn>, Vec<Turn>), sqlx::Error> {
    let turns = fetch_all!(Turn, q, TURNS, session, user, from, to)?;
    let mut earlier = fetch_all!(Turn, q, BEFORE, session, user, from, before)?;
    earlier.reverse();
    Ok((earlier, turns))
}

/// Moves the session's cursor to a place. `false`: there is no such session any more.
pub async fn advance(tx: &mut Tx, user: UserId, session: SessionId, to: i64) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, ADVANCE, session, user, to, 0i64)? == 1)
}

pub async fn nothing_due(tx: &mut Tx, user: UserId, session: SessionId) -> Result<(), sqlx::Error> {
    execute!(tx, NOTHING_DUE, session, user, 0i64).map(drop)
}

/// What reading one window came to.
#[derive(Debug, Clone)]
pub struct Run {
    pub session_id: SessionId,
    pub from_seq: i64,
    pub to_seq: i64,
    pub extractor_version: String,
    pub outcome: RunOutcome,
    pub facts: i64,
    pub created: i64,
    pub blocked: i64,
    /// Facts whose quote is not in the message they name.
    pub unsupported: i64,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub usage: Option<Usage>,
    pub cost: Option<f64>,
    pub raw: Option<String>,
    pub created_at: DateTime<Utc>,
}

row!(Run:
    session_id, from_seq, to_seq, extractor_version, outcome, facts, created, blocked, unsupported, provider,
    model, usage as optional_json, cost, raw, created_at
);

pub async fn insert_run(tx: &mut Tx, user: UserId, job: JobId, run: &Run) -> Result<(), sqlx::Error> {
    execute!(
        tx,
        INSERT_RUN,
        ChangeId::new(),
        user,
        run.session_id,
        job,
        run.from_seq,
        run.to_seq,
        &run.extractor_version,
        run.outcome,
        run.facts,
        run.created,
        run.blocked,
        run.unsupported,
        &run.provider,
        &run.model,
        run.usage.map(Json),
        run.cost,
        &run.raw,
        run.created_at
    )
    .map(drop)
}

/// The newest first.
pub async fn runs(
    q: &mut impl Querier,
    user: UserId,
    limit: i64,
    skip: i64,
) -> Result<Vec<Run>, sqlx::Error> {
    fetch_all!(Run, q, RUNS, user, limit, skip)
}

/// The user's sessions in the order they were made.
pub async fn sessions(
    q: &mut impl Querier,
    user: UserId,
    after: SessionId,
    limit: i64,
) -> Result<Vec<SessionId>, sqlx::Error> {
    Ok(fetch_all!((SessionId,), q, SESSIONS, user, after, limit)?.into_iter().map(|row| row.0).collect())
}

pub async fn count_sessions(q: &mut impl Querier, user: UserId) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, COUNT_SESSIONS, user)?.0)
}

/// Shows how far a running job is. `false`: the attempt has lost the job.
pub async fn set_progress(
    conn: &mut Conn,
    job: JobId,
    attempt: u32,
    progress: &serde_json::Value,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(conn, SET_PROGRESS, job, i64::from(attempt), Json(progress))? == 1)
}

/// The same inside a transaction whose effects must not outlive the attempt.
pub async fn set_progress_in(
    tx: &mut Tx,
    job: JobId,
    attempt: u32,
    progress: &serde_json::Value,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, SET_PROGRESS, job, i64::from(attempt), Json(progress))? == 1)
}
