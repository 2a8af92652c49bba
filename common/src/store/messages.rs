//! Messages of a session, in the order of `seq`.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional};
use crate::{
    domain::{
        ids::{JobId, MessageId, SessionId, UserId},
        message::{Message, Usage},
    },
    error::Result,
};

macro_rules! columns {
    () => {
        "id, role, content, model, provider, usage, job_id, status, feedback, created_at, seq"
    };
}

const INSERT: &str = "insert into messages
    (id, session_id, user_id, job_id, seq, role, content, status, provider, model, usage, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const PAGE: &str = concat!(
    "select ",
    columns!(),
    " from messages where session_id = $1 and user_id = $2 and seq > $3 order by seq limit $4 offset $5"
);
const LATEST: &str = concat!(
    "select ",
    columns!(),
    " from messages where session_id = $1 and user_id = $2 and seq < $3 order by seq desc limit $4"
);
const COUNT: &str = "select count(*) from messages where session_id = $1 and user_id = $2";
const OF_JOB: &str =
    concat!("select ", columns!(), " from messages where job_id = $1 and user_id = $2 and role = $3");
const DELETE_FAILED_ANSWER: &str =
    "delete from messages where job_id = $1 and user_id = $2 and role = 'assistant' and status = 'failed'";
const CONTEXT: &str = "select role, content, status, seq from messages
    where session_id = $1 and user_id = $2 and seq <= $3 order by seq desc limit $4";

pub(super) const SQL: &[&str] = &[INSERT, PAGE, LATEST, COUNT, OF_JOB, DELETE_FAILED_ANSWER, CONTEXT];

#[derive(sqlx::FromRow)]
struct Row {
    id: MessageId,
    role: String,
    content: String,
    model: Option<String>,
    provider: Option<String>,
    usage: Option<Json<Usage>>,
    job_id: Option<JobId>,
    status: String,
    feedback: Option<Json<serde_json::Value>>,
    created_at: DateTime<Utc>,
    seq: i64,
}

impl From<Row> for Message {
    fn from(row: Row) -> Self {
        Message {
            id: row.id,
            role: row.role,
            content: row.content,
            model: row.model,
            provider: row.provider,
            usage: row.usage.map(|json| json.0),
            job_id: row.job_id,
            status: row.status,
            feedback: row.feedback.map(|json| json.0),
            created_at: row.created_at,
        }
    }
}

pub struct NewMessage<'a> {
    pub id: MessageId,
    pub session: SessionId,
    pub user: UserId,
    pub job: JobId,
    pub seq: i64,
    pub role: &'a str,
    pub content: &'a str,
    pub status: &'a str,
    pub provider: Option<&'a str>,
    pub model: Option<&'a str>,
    pub usage: Option<Usage>,
    pub created_at: DateTime<Utc>,
}

pub async fn insert(tx: &mut Tx, message: NewMessage<'_>) -> Result<(), sqlx::Error> {
    let NewMessage { id, session, user, job, seq, role, content, status, provider, model, usage, created_at } =
        message;
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
        created_at
    )
    .map(drop)
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
    let rows = fetch_all!(Row, q, PAGE, session, user, after_seq, limit, skip)?;
    let last = rows.last().map(|row| row.seq);
    Ok((rows.into_iter().map(Message::from).collect(), last))
}

/// The newest messages before a place, oldest first, and the place of the first of them.
pub async fn latest(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
    before_seq: i64,
    limit: i64,
) -> Result<(Vec<Message>, Option<i64>), sqlx::Error> {
    let mut rows = fetch_all!(Row, q, LATEST, session, user, before_seq, limit)?;
    rows.reverse();
    let first = rows.first().map(|row| row.seq);
    Ok((rows.into_iter().map(Message::from).collect(), first))
}

pub async fn count(q: &mut impl Querier, user: UserId, session: SessionId) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, COUNT, session, user)?.0)
}

/// The question (`user`) or the answer (`assistant`) of a chat job, and its place.
pub async fn of_job(
    q: &mut impl Querier,
    user: UserId,
    job: JobId,
    role: &str,
) -> Result<Option<(Message, i64)>, sqlx::Error> {
    let row = fetch_optional!(Row, q, OF_JOB, job, user, role)?;
    Ok(row.map(|row| {
        let seq = row.seq;
        (row.into(), seq)
    }))
}

/// Takes a failed answer away, so that a retry can put a better one in its place. The number deleted: 0 or 1.
pub async fn delete_failed_answer(tx: &mut Tx, user: UserId, job: JobId) -> Result<u64, sqlx::Error> {
    execute!(tx, DELETE_FAILED_ANSWER, job, user)
}

/// A turn as the model sees it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Turn {
    pub role: String,
    pub content: String,
    pub status: String,
    pub seq: i64,
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
