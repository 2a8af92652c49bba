//! Conversations of OpenAI's API, and their items.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements};
use crate::domain::ids::{ConversationId, JobId, UserId};

statements! {
    INSERT = "insert into v1_conversations (id, user_id, metadata, created_at) values ($1, $2, $3, $4)";
    GET = "select id, metadata, created_at from v1_conversations where id = $1 and user_id = $2";
    PAGE = "select id, metadata, created_at from v1_conversations where user_id = $1 and id > $2 order by id limit $3";
    /// Whoever changes its items takes its row first.
    SET = "update v1_conversations set metadata = coalesce($3, metadata) where id = $1 and user_id = $2";
    DELETE = "delete from v1_conversations where id = $1 and user_id = $2";
    INSERT_ITEM = "insert into v1_items (conversation_id, seq, user_id, id, item, created_at)
    select $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5 from v1_items where conversation_id = $1";
    HAS_ITEM = "select count(*) from v1_items where conversation_id = $1 and ", checked!("user_id = $2"), " and id = $3";
    ITEMS = "select item from v1_items where conversation_id = $1 and ", checked!("user_id = $2"), " order by seq";
    FORWARD = "select item from v1_items where conversation_id = $1 and ", checked!("user_id = $2"), "
    and seq > coalesce((select seq from v1_items where conversation_id = $1 and id = $3), 0) order by seq limit $4";
    BACKWARD = "select item from v1_items where conversation_id = $1 and ", checked!("user_id = $2"), "
    and seq < coalesce((select seq from v1_items where conversation_id = $1 and id = $3), 9000000000000000) order by seq desc limit $4";
    ITEM = "select item from v1_items where conversation_id = $1 and ", checked!("user_id = $2"), " and id = $3";
    DELETE_ITEM = "delete from v1_items where conversation_id = $1 and user_id = $2 and id = $3";
    /// How many, and their bytes.
    SIZE = "select count(*), cast(coalesce(sum(", pg!("octet_length(item::text)"), lite!("length(item)"), "), 0) as bigint)
    from v1_items where conversation_id = $1 and user_id = $2";
    PENDING = "select job_id from requests where conversation_id = $1 and user_id = $2";
    ADDED = "update requests set conversation_id = null where job_id = $3 and conversation_id = $1 and user_id = $2";
}

#[derive(Debug, Clone)]
pub struct Conversation {
    pub id: ConversationId,
    pub metadata: Value,
    pub created_at: DateTime<Utc>,
}

row!(Conversation: id, metadata as json, created_at);

pub async fn insert(tx: &mut Tx, user: UserId, conversation: &Conversation) -> Result<(), sqlx::Error> {
    let Conversation { id, metadata, created_at } = conversation;
    execute!(tx, INSERT, id, user, Json(metadata), created_at).map(drop)
}

pub async fn get(
    q: &mut impl Querier,
    user: UserId,
    id: ConversationId,
) -> Result<Option<Conversation>, sqlx::Error> {
    fetch_optional!(Conversation, q, GET, id, user)
}

/// A user's conversations after one, in order.
pub async fn page(
    q: &mut impl Querier,
    user: UserId,
    after: ConversationId,
    limit: i64,
) -> Result<Vec<Conversation>, sqlx::Error> {
    fetch_all!(Conversation, q, PAGE, user, after, limit)
}

/// Takes its row, and changes what is shown of it, if something is given. `false`: there is no such conversation.
pub async fn take(
    tx: &mut Tx,
    user: UserId,
    id: ConversationId,
    metadata: Option<&Value>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, SET, id, user, metadata.map(Json))? == 1)
}

pub async fn delete(tx: &mut Tx, user: UserId, id: ConversationId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE, id, user)? == 1)
}

/// Adds an item at the end. Its conversation's row was taken before.
pub async fn add(
    tx: &mut Tx,
    user: UserId,
    conversation: ConversationId,
    id: &str,
    item: &Value,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, INSERT_ITEM, conversation, user, id, Json(item), now).map(drop)
}

pub async fn has(
    q: &mut impl Querier,
    user: UserId,
    conversation: ConversationId,
    id: &str,
) -> Result<bool, sqlx::Error> {
    Ok(fetch_one!((i64,), q, HAS_ITEM, conversation, user, id)?.0 == 1)
}

/// All of them, the first one first.
pub async fn items(
    q: &mut impl Querier,
    user: UserId,
    conversation: ConversationId,
) -> Result<Vec<Value>, sqlx::Error> {
    let rows = fetch_all!((Json<Value>,), q, ITEMS, conversation, user)?;
    Ok(rows.into_iter().map(|(item,)| item.0).collect())
}

/// Some of them, after the one with this id.
pub struct Part<'a> {
    pub ascending: bool,
    pub after: Option<&'a str>,
    pub limit: i64,
}

pub async fn some(
    q: &mut impl Querier,
    user: UserId,
    conversation: ConversationId,
    part: Part<'_>,
) -> Result<Vec<Value>, sqlx::Error> {
    let Part { ascending, after, limit } = part;
    let rows = if ascending {
        fetch_all!((Json<Value>,), q, FORWARD, conversation, user, after, limit)?
    } else {
        fetch_all!((Json<Value>,), q, BACKWARD, conversation, user, after, limit)?
    };
    Ok(rows.into_iter().map(|(item,)| item.0).collect())
}

pub async fn item(
    q: &mut impl Querier,
    user: UserId,
    conversation: ConversationId,
    id: &str,
) -> Result<Option<Value>, sqlx::Error> {
    Ok(fetch_optional!((Json<Value>,), q, ITEM, conversation, user, id)?.map(|(item,)| item.0))
}

pub async fn delete_item(
    tx: &mut Tx,
    user: UserId,
    conversation: ConversationId,
    id: &str,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE_ITEM, conversation, user, id)? == 1)
}

/// (items, bytes)
pub async fn size(
    q: &mut impl Querier,
    user: UserId,
    conversation: ConversationId,
) -> Result<(i64, i64), sqlx::Error> {
    fetch_one!((i64, i64), q, SIZE, conversation, user)
}

/// The response that is under way in it, or has ended and was not added yet.
pub async fn pending(
    q: &mut impl Querier,
    user: UserId,
    conversation: ConversationId,
) -> Result<Option<JobId>, sqlx::Error> {
    Ok(fetch_optional!((JobId,), q, PENDING, conversation, user)?.map(|row| row.0))
}

/// `true`: it was to be added, and now is.
pub async fn added(
    tx: &mut Tx,
    user: UserId,
    conversation: ConversationId,
    response: JobId,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, ADDED, conversation, user, response)? == 1)
}
