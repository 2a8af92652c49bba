//! Sessions: conversations of one user.

use chrono::{DateTime, Utc};

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements};
use crate::{
    domain::{
        ids::{ProjectId, SessionId, UserId},
        session::Session,
        texts::Title,
    },
    error::Result,
};

macro_rules! columns {
    () => {
        "id, user_id, title, project_id, message_count, status, is_pinned, parent_session_id, created_at, updated_at"
    };
}
pub(super) use columns;

/// A window that was due stays so; one that is long enough, or has waited long enough, becomes due (DESIGN §6). `extract_after`
/// is never later than `extract_due`, and stays where it is while more is said: it is indexed, and a row whose indexed columns
/// stay is written once, not once an index (PostgreSQL's HOT). The sweep moves it on.
macro_rules! due_is_now {
    () => {
        "(extract_after is not null and coalesce(extract_due, extract_after) <= $4) or pending_tokens + $3 >= 1200 or next_seq - extracted_seq > 21 or pending_since < $6"
    };
}

/// $2 a status or `all`, $3 a project
macro_rules! wanted {
    () => {
        "user_id = $1 and (case when $2 = 'all' then status <> 'deleted' else status = $2 end) and ($3 is null or project_id = $3)"
    };
}
pub(super) use wanted;

statements! {
    INSERT = "insert into sessions (id, user_id, title, title_source, project_id, created_at, updated_at, active_hour)
    values ($1, $2, $3, $4, $5, $6, $6, ", hour!("$6"), ")";
    GET = "select ", columns!(), " from sessions where id = $1 and user_id = $2 and status <> 'deleted'";
    TAKE_SEQ = "update sessions set next_seq = next_seq + 2, message_count = message_count + 1, updated_at = $3,
        active_hour = ", hour!("$3"), "
    where id = $1 and user_id = $2 and status <> 'deleted' returning next_seq - 2";
    TAKE_ORDER = "update sessions set next_seq = next_seq + 1, updated_at = $3, active_hour = ", hour!("$3"), "
    where id = $1 and user_id = $2 and status <> 'deleted' returning next_seq - 1";
    COUNT_MESSAGE = "update sessions set message_count = message_count + $2, updated_at = $3,
        active_hour = ", hour!("$3"), " where id = $1";
    HEARD = "update sessions set pending_tokens = pending_tokens + $3, pending_since = coalesce(pending_since, $4),
        extract_due = case when ", due_is_now!(), " then $4 else $5 end,
        extract_after = case when extract_after <= $4 then extract_after when ", due_is_now!(), " then $4
            when extract_after <= $5 then extract_after else $5 end
    where id = $1 and user_id = $2";
    IMPORTED = "update sessions set next_seq = $3, message_count = $4, created_at = $5, updated_at = $6,
        active_hour = ", hour!("$6"), ", pending_since = $7, extract_after = $7, extract_due = $7, extracted_seq = $8 where id = $1 and user_id = $2";
    SET_TITLE = "update sessions set title = $3, title_source = $4
    where id = $1 and user_id = $2 and status <> 'deleted'";
    TITLE_FROM_WORDS = "update sessions set title = $2, title_source = 'words' where id = $1 and title_source = 'none'";
    TITLE_FROM_MODEL =
        "update sessions set title = $2, title_source = 'model' where id = $1 and title_source in ('none', 'words')";
    SET_STATUS = "update sessions set status = $3
    where id = $1 and user_id = $2 and status <> 'deleted'";
    /// What is kept in memory of its messages is read again (`words::said`).
    SAID_OTHERWISE = "update sessions set next_seq = next_seq + 1 where id = $1 and user_id = $2";
    SET_PINNED = "update sessions set is_pinned = $3
    where id = $1 and user_id = $2 and status <> 'deleted'";
    LIST = "select ", columns!(), " from sessions where ", wanted!(), " and (is_pinned, updated_at, id) < ($4, $5, $6)
      order by is_pinned desc, updated_at desc, id desc limit $7 offset $8";
    COUNT = "select count(*) from sessions where ", wanted!();
    /// Those in whose title or messages the pattern $9 is found, and how many. All that the user said is read once, one message after
    /// the other: session by session takes four times as long. For who has said more than is kept in memory (`words::said`).
    FOUND = "with found as materialized (select ", columns!(), " from sessions where ", wanted!(), " and (", contains!("title", 9), "
          or id in (select session_id from messages where user_id = $1 and ", contains!("content", 9), ")))
      select ", columns!(), ", (select count(*) from found) as total from found where (is_pinned, updated_at, id) < ($4, $5, $6)
      order by is_pinned desc, updated_at desc, id desc limit $7 offset $8";
    /// The messages of this page alone are read: not those of the sessions before it.
    RECENT = "select s.id as session_id, s.title, s.updated_at, (select m.content from messages m
        where m.session_id = s.id and ", checked!("m.user_id = $1"), " order by m.seq desc limit 1) as last_message
    from (select id, title, active_hour, updated_at from sessions where user_id = $1 and status <> 'deleted'
        order by active_hour desc, updated_at desc, id desc limit $2 offset $3) s
    order by s.active_hour desc, s.updated_at desc, s.id desc";
    /// SQLite has one writer: its transaction is the lock.
    LOCK = "select id from sessions where id = $1", pg!(" for no key update");
    DELETE = "delete from sessions where id = $1 and user_id = $2";
}

pub struct NewSession<'a> {
    pub id: SessionId,
    pub title: &'a str,
    pub title_source: &'a str,
    pub project: Option<ProjectId>,
}

pub async fn insert(
    tx: &mut Tx,
    user: UserId,
    session: NewSession<'_>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let NewSession { id, title, title_source, project } = session;
    execute!(tx, INSERT, id, user, title, title_source, project, now).map(drop)
}

pub async fn get(q: &mut impl Querier, user: UserId, id: SessionId) -> Result<Option<Session>, sqlx::Error> {
    fetch_optional!(Session, q, GET, id, user)
}

/// Takes the next two places of a session: the user message's and its answer's. `None` when the user has no such
/// session. The session's row stays locked until the transaction ends, so places commit in order.
pub async fn take_seq(
    tx: &mut Tx,
    user: UserId,
    id: SessionId,
    now: DateTime<Utc>,
) -> Result<Option<i64>, sqlx::Error> {
    Ok(fetch_optional!((i64,), tx, TAKE_SEQ, id, user, now)?.map(|row| row.0))
}

/// Takes one place in the session's order without a message: for a job that runs again.
pub async fn take_order(
    tx: &mut Tx,
    user: UserId,
    id: SessionId,
    now: DateTime<Utc>,
) -> Result<Option<i64>, sqlx::Error> {
    Ok(fetch_optional!((i64,), tx, TAKE_ORDER, id, user, now)?.map(|row| row.0))
}

pub async fn count_message(
    tx: &mut Tx,
    id: SessionId,
    by: i64,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, COUNT_MESSAGE, id, by, now).map(drop)
}

/// What was said in a session, and when it is to be read for memories.
pub struct Said {
    pub tokens: i64,
    pub now: DateTime<Utc>,
    pub due: DateTime<Utc>,
    pub waited: DateTime<Utc>,
}

/// Marks the session's window as due: at `due`, or now when it is long enough or waits since before `waited`.
pub async fn heard(tx: &mut Tx, user: UserId, id: SessionId, said: Said) -> Result<(), sqlx::Error> {
    let Said { tokens, now, due, waited } = said;
    execute!(tx, HEARD, id, user, tokens, now, due, waited).map(drop)
}

/// What an imported session has.
pub struct Imported {
    pub count: i64,
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
    /// When it is to be read for memories, and how much of it counts as read.
    pub due: Option<DateTime<Utc>>,
    pub read: i64,
}

pub async fn imported(
    tx: &mut Tx,
    user: UserId,
    id: SessionId,
    imported: Imported,
) -> Result<(), sqlx::Error> {
    let Imported { count, first, last, due, read } = imported;
    execute!(tx, IMPORTED, id, user, count + 1, count, first, last, due, read).map(drop)
}

pub async fn title_from_words(tx: &mut Tx, id: SessionId, title: &str) -> Result<(), sqlx::Error> {
    execute!(tx, TITLE_FROM_WORDS, id, title).map(drop)
}

/// The title job's: never over one that the user gave.
pub async fn title_from_model(tx: &mut Tx, id: SessionId, title: &str) -> Result<(), sqlx::Error> {
    execute!(tx, TITLE_FROM_MODEL, id, title).map(drop)
}

/// What a user may change of a session.
#[derive(Debug, Default)]
pub struct Change {
    pub title: Option<Title>,
    pub is_pinned: Option<bool>,
    pub status: Option<String>,
}

/// `false` when the user has no such session.
/// When it was last talked in stays as it is: lists go by that.
pub async fn change(tx: &mut Tx, user: UserId, id: SessionId, change: &Change) -> Result<bool, sqlx::Error> {
    let mut found = get(tx, user, id).await?.is_some();
    if let Some(title) = &change.title {
        found &= execute!(tx, SET_TITLE, id, user, &**title, "user")? == 1;
    }
    if let Some(is_pinned) = change.is_pinned {
        found &= execute!(tx, SET_PINNED, id, user, is_pinned)? == 1;
    }
    if let Some(status) = &change.status {
        found &= execute!(tx, SET_STATUS, id, user, status)? == 1;
    }
    Ok(found)
}

pub async fn delete(tx: &mut Tx, user: UserId, id: SessionId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE, id, user)? == 1)
}

/// Says that other messages stand in its places, by a transaction that has its row.
pub async fn said_otherwise(tx: &mut Tx, user: UserId, id: SessionId) -> Result<(), sqlx::Error> {
    execute!(tx, SAID_OTHERWISE, id, user).map(drop)
}

/// Which sessions a list wants.
#[derive(Clone)]
pub struct Filter {
    /// A status, or `all`.
    pub status: String,
    pub project: Option<ProjectId>,
    /// Words that the title or a message contains.
    pub q: Option<String>,
}

/// Where a page begins: after this (pinned, updated, id), in descending order.
pub type Cursor = (bool, DateTime<Utc>, SessionId);

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Part {
    pub after: Option<Cursor>,
    pub limit: i64,
    pub skip: i64,
}

impl Part {
    pub fn first(limit: i64) -> Self {
        Self { after: None, limit, skip: 0 }
    }

    /// What it comes after.
    pub(super) fn begin(&self) -> Cursor {
        self.after.unwrap_or_else(beginning)
    }
}

pub async fn list(
    q: &mut impl Querier,
    user: UserId,
    filter: &Filter,
    part: &Part,
) -> Result<(Vec<Session>, i64), sqlx::Error> {
    let pattern = filter.q.as_deref().map(super::contains_pattern);
    let (pinned, updated, id) = part.begin();
    let Part { limit, skip, .. } = *part;
    let Filter { status, project, .. } = filter;
    let Some(pattern) = pattern else {
        let page = fetch_all!(Session, q, LIST, user, status, project, pinned, updated, id, limit, skip)?;
        let total = fetch_one!((i64,), q, COUNT, user, status, project)?.0;
        return Ok((page, total));
    };
    let page =
        fetch_all!(Found, q, FOUND, user, status, project, pinned, updated, id, limit, skip, &pattern)?;
    let total = match page.first() {
        Some(found) => found.total,
        None if part.after.is_none() && skip == 0 => 0,
        // Beyond the last page nothing says how many there are.
        None => {
            let (pinned, updated, id) = beginning();
            let first = fetch_all!(
                Found, q, FOUND, user, status, project, pinned, updated, id, 1_i64, 0_i64, &pattern
            )?;
            first.first().map_or(0, |found| found.total)
        }
    };
    Ok((page.into_iter().map(|found| found.session).collect(), total))
}

/// Before the first one of a list.
fn beginning() -> Cursor {
    let end_of_time = DateTime::<Utc>::from_timestamp(253_402_300_799, 0).unwrap_or_default();
    (true, end_of_time, SessionId(uuid::Uuid::from_bytes([0xff; 16])))
}

struct Found {
    session: Session,
    total: i64,
}

row!(Found: session as flat, total);

/// One line of `GET /history`.
pub struct Recent {
    pub session_id: SessionId,
    pub title: String,
    pub last_message: Option<String>,
    pub updated_at: DateTime<Utc>,
}

row!(Recent: session_id, title, last_message, updated_at);

pub async fn recent(
    q: &mut impl Querier,
    user: UserId,
    limit: i64,
    skip: i64,
) -> Result<(Vec<Recent>, i64), sqlx::Error> {
    let items = fetch_all!(Recent, q, RECENT, user, limit, skip)?;
    let total = fetch_one!((i64,), q, COUNT, user, "all", None::<ProjectId>)?.0;
    Ok((items, total))
}

/// Takes a session's row before any of its jobs' rows: everyone does it in this order, so nobody waits in a circle
/// (docs/jobs.md, "Locks").
pub async fn lock(tx: &mut Tx, session: SessionId) -> Result<(), sqlx::Error> {
    fetch_optional!((SessionId,), tx, LOCK, session).map(drop)
}
