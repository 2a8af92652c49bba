//! Messages of a session, in the order of `seq`.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::branches::line;
use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, ids, row, statements};
use super::words::{Heard, Talk};
use crate::{
    domain::{
        ids::{JobId, MessageId, SessionId, UserId},
        message::{Details, Message, MessageStatus, Role, Turn, Usage},
    },
    error::Result,
};

macro_rules! columns {
    () => {
        "id, role, content, model, provider, usage, job_id, status, feedback, details, created_at, seq, cast(0 as bigint) as variants"
    };
}

macro_rules! page {
    ($line:expr, $from:literal, $which:literal) => {
        concat!(
            $line,
            "select m.id, m.role, m.content, m.model, m.provider, m.usage, m.job_id, m.status, m.feedback, m.details,
                m.created_at, m.seq,
                (select count(*) from message_variants v where v.session_id = m.session_id and v.seq = m.seq) as variants
              from ",
            $from,
            " where ",
            checked!("m.user_id = $2"),
            " and ",
            $which
        )
    };
}
/// A branch's messages begin with its ancestors'.
macro_rules! page_of_branch {
    ($which:literal) => {
        page!(line!(), "line l join messages m on m.session_id = l.id and m.seq <= l.upto", $which)
    };
}
/// Any other session's are all its own: read along the index, a page costs the same however long the session is.
macro_rules! page_of_one {
    ($which:literal) => {
        page!("", "messages m", $which)
    };
}
/// A message m as [`Found`] has it.
macro_rules! as_found {
    () => {
        "m.id, m.session_id, m.role, m.content, m.name, m.created_at, (select p.id from messages p
            where p.session_id = m.session_id and p.seq < m.seq order by p.seq desc limit 1) as previous"
    };
}
pub(super) use as_found;

statements! {
    INSERT = "insert into messages
    (id, session_id, user_id, job_id, seq, role, content, status, provider, model, usage, created_at, name, remember,
        details)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    /// Whether a session is a branch of another.
    IS_BRANCH = "select parent_session_id is not null from sessions where id = $1 and user_id = $2";
    PAGE = page_of_one!("m.session_id = $1 and m.seq > $3 order by m.seq limit $4 offset $5");
    PAGE_BACK = page_of_one!("m.session_id = $1 and m.seq < $3 order by m.seq desc limit $4");
    COUNT = "select count(*) from messages where session_id = $1 and ", checked!("user_id = $2");
    BRANCH_PAGE = page_of_branch!("m.seq > $3 order by m.seq limit $4 offset $5");
    BRANCH_PAGE_BACK = page_of_branch!("m.seq < $3 order by m.seq desc limit $4");
    BRANCH_COUNT = line!(),
        "select count(*) from line l join messages m on m.session_id = l.id and m.seq <= l.upto where ", checked!("m.user_id = $2");
    OF_JOB = "select ", columns!(), " from messages where job_id = $1 and user_id = $2 and role = $3";
    DELETE_FAILED_ANSWER =
        "delete from messages where job_id = $1 and user_id = $2 and role = 'assistant' and status = 'failed'";
    /// Of answers nothing is wanted but their words.
    CONTEXT = "select role, content, status, seq, case when role = 'user' then details end as details from messages
    where session_id = $1 and ", checked!("user_id = $2"), " and seq <= $3 order by seq desc limit $4";
    EXISTS = "select 1 from messages where id = $1 and user_id = $2";
    /// With the message right before each, in its session.
    FOUND = "select ", as_found!(), " from messages m where ", checked!("m.user_id = $1"), " and m.remember and m.id in ", ids!(2);
    IDS = "select id from messages where session_id = $1 and ", checked!("user_id = $2"), " order by seq";
    /// From one name to the next along the index: its time is that of the names, not of the messages.
    NAMES = "with recursive n(name) as (
        select min(name) from messages where user_id = $1 and name is not null
        union all select (select min(m.name) from messages m where m.user_id = $1 and m.name > n.name) from n where n.name is not null)
    select name from n where name is not null limit 100";
}

/// A message, and its place in its session.
struct Placed {
    message: Message,
    seq: i64,
}

row!(Placed: message as flat, seq);

pub struct NewMessage<'a> {
    pub id: MessageId,
    pub session: SessionId,
    pub user: UserId,
    pub job: Option<JobId>,
    pub seq: i64,
    pub role: Role,
    pub content: &'a str,
    pub status: MessageStatus,
    pub provider: Option<&'a str>,
    pub model: Option<&'a str>,
    pub usage: Option<Usage>,
    /// Who said it, in an imported conversation.
    pub name: Option<&'a str>,
    /// Whether memory may know of it.
    pub remember: bool,
    /// Of an answer.
    pub details: Option<&'a Details>,
    pub created_at: DateTime<Utc>,
}

/// Stores a message. What a user said, or what was imported, is findable by its words from the moment the transaction
/// commits; a model's answer, which is long and on the way of a waiting person, when its vector is made.
pub async fn insert(tx: &mut Tx, message: NewMessage<'_>) -> Result<(), sqlx::Error> {
    let NewMessage {
        id,
        session,
        user,
        job,
        seq,
        role,
        content,
        status,
        provider,
        model,
        usage,
        name,
        remember,
        details,
        created_at,
    } = message;
    execute!(
        tx,
        INSERT,
        id,
        session,
        user,
        job,
        seq,
        role,
        content,
        status,
        provider,
        model,
        usage.map(Json),
        created_at,
        name,
        remember,
        details.map(Json)
    )?;
    if remember && (role == Role::User || job.is_none()) {
        let heard = Heard::of(content, Talk::of(name));
        super::words::insert(tx, user, id.0, heard).await?;
    }
    Ok(())
}

/// A page of a session in order, with the place of its last message for the next page's cursor.
pub async fn page(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
    after_seq: i64,
    limit: i64,
    skip: i64,
) -> Result<(Vec<Message>, Option<i64>), sqlx::Error> {
    let sql = if is_branch(q, user, session).await? { BRANCH_PAGE } else { PAGE };
    let rows = fetch_all!(Placed, q, sql, session, user, after_seq, limit, skip)?;
    let last = rows.last().map(|row| row.seq);
    Ok((rows.into_iter().map(|row| row.message).collect(), last))
}

/// The same backwards: the messages before a place, newest first.
pub async fn page_back(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
    before_seq: i64,
    limit: i64,
) -> Result<(Vec<Message>, Option<i64>), sqlx::Error> {
    let sql = if is_branch(q, user, session).await? { BRANCH_PAGE_BACK } else { PAGE_BACK };
    let rows = fetch_all!(Placed, q, sql, session, user, before_seq, limit)?;
    let last = rows.last().map(|row| row.seq);
    Ok((rows.into_iter().map(|row| row.message).collect(), last))
}

pub async fn count(q: &mut impl Querier, user: UserId, session: SessionId) -> Result<i64, sqlx::Error> {
    let sql = if is_branch(q, user, session).await? { BRANCH_COUNT } else { COUNT };
    Ok(fetch_one!((i64,), q, sql, session, user)?.0)
}

async fn is_branch(q: &mut impl Querier, user: UserId, session: SessionId) -> Result<bool, sqlx::Error> {
    Ok(fetch_optional!((bool,), q, IS_BRANCH, session, user)?.is_some_and(|row| row.0))
}

/// The question (`user`) or the answer (`assistant`) of a chat job, and its place.
pub async fn of_job(
    q: &mut impl Querier,
    user: UserId,
    job: JobId,
    role: Role,
) -> Result<Option<(Message, i64)>, sqlx::Error> {
    let row = fetch_optional!(Placed, q, OF_JOB, job, user, role)?;
    Ok(row.map(|row| (row.message, row.seq)))
}

/// Takes a failed answer away, so that a retry can put a better one in its place. The number deleted: 0 or 1.
pub async fn delete_failed_answer(tx: &mut Tx, user: UserId, job: JobId) -> Result<u64, sqlx::Error> {
    execute!(tx, DELETE_FAILED_ANSWER, job, user)
}

/// The turns up to and with `seq`, newest first.
pub async fn context(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
    seq: i64,
    limit: i64,
) -> Result<Vec<Turn>, sqlx::Error> {
    fetch_all!(Turn, q, CONTEXT, session, user, seq, limit)
}

pub async fn exists(q: &mut impl Querier, user: UserId, id: uuid::Uuid) -> Result<bool, sqlx::Error> {
    Ok(fetch_optional!((i32,), q, EXISTS, id, user)?.is_some())
}

/// A message that a search found.
#[derive(Debug, Clone)]
pub struct Found {
    pub id: MessageId,
    pub session_id: SessionId,
    pub role: Role,
    pub content: String,
    pub name: Option<String>,
    pub created_at: DateTime<Utc>,
    pub previous: Option<MessageId>,
}

row!(Found: id, session_id, role, content, name, created_at, previous);

/// Those of `of` that are the user's and that memory may know.
pub async fn found(q: &mut impl Querier, user: UserId, of: &[uuid::Uuid]) -> Result<Vec<Found>, sqlx::Error> {
    fetch_all!(Found, q, FOUND, user, ids(of.iter().copied()))
}

/// Who speaks in the user's imported conversations, in a fixed order.
pub async fn names(q: &mut impl Querier, user: UserId) -> Result<Vec<String>, sqlx::Error> {
    Ok(fetch_all!((String,), q, NAMES, user)?.into_iter().map(|row| row.0).collect())
}

/// All of a session's messages, in order.
pub async fn ids_in_order(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
) -> Result<Vec<MessageId>, sqlx::Error> {
    Ok(fetch_all!((MessageId,), q, IDS, session, user)?.into_iter().map(|row| row.0).collect())
}
