//! Conversations of OpenAI's API: lists of items. Clients add to them, and responses when they have ended.

use serde_json::Value;

use super::{
    repeat::{Repeatable, repeated},
    send_request::check_storable,
};
use crate::{
    Context, Error, Result, clock,
    domain::ids::{ConversationId, JobId, UserId},
    error::Wrong,
    store::{
        Querier, Tx,
        conversations::{self, Conversation},
    },
};

/// What one conversation holds at most: all of it goes into each response's prompt.
const ITEMS_MAX: i64 = 2_000;
const BYTES_MAX: i64 = 16 << 20;

/// Bytes of an item's id: it stands in an index.
const ID_MAX: usize = 200;
/// Items of one answer that there must be room for.
const ANSWER_MAX: usize = 200;

/// Refuses an input that would not fit behind what was said.
pub fn check_room(before: &[Value], input: &[Value]) -> Result<()> {
    let bytes: usize = before.iter().chain(input).map(|item| item.to_string().len()).sum();
    if before.len() + input.len() + ANSWER_MAX <= ITEMS_MAX as usize && bytes <= BYTES_MAX as usize {
        return Ok(());
    }
    Err(Error::field("input", Wrong::Unfit("makes the conversation longer than 2000 items or 16 MiB")))
}

pub fn not_found() -> Error {
    Error::not_found("conversation")
}

/// Adds items, each under its id. An id that is there already gets another.
async fn add(
    tx: &mut Tx,
    user: UserId,
    conversation: ConversationId,
    items: Vec<Value>,
) -> Result<Vec<Value>> {
    let mut added = Vec::new();
    for mut item in items {
        let mut id = item["id"].as_str().unwrap_or_default().to_owned();
        if id.is_empty() || id.len() > ID_MAX || conversations::has(tx, user, conversation, &id).await? {
            id = JobId::new().to_string().replacen("job", "item", 1);
            item["id"] = id.clone().into();
        }
        conversations::add(tx, user, conversation, &id, &item, clock::now()).await?;
        added.push(item);
    }
    Ok(added)
}

/// Refuses what would be too long.
async fn check_size(q: &mut impl Querier, user: UserId, id: ConversationId, field: &str) -> Result<()> {
    let (count, bytes) = conversations::size(q, user, id).await?;
    if count <= ITEMS_MAX && bytes <= BYTES_MAX {
        return Ok(());
    }
    Err(Error::field(field, Wrong::Unfit("is more than 2000 items or 16 MiB")))
}

/// All that was said in it, for a response that goes on.
pub async fn all(q: &mut impl Querier, user: UserId, id: ConversationId) -> Result<Vec<Value>> {
    check_size(q, user, id, "conversation").await?;
    Ok(conversations::items(q, user, id).await?)
}

/// Makes a conversation with its first items. `true`: it was made before, by the same request.
pub async fn create(
    ctx: &Context,
    user: UserId,
    metadata: Value,
    items: Vec<Value>,
    repeatable: Option<&Repeatable>,
) -> Result<(Conversation, bool)> {
    check_storable(&Value::Array(items.clone()), "items")?;
    check_storable(&metadata, "metadata")?;
    let conversation = Conversation { id: ConversationId::new(), metadata, created_at: clock::now() };
    let mut tx = ctx.db.begin().await?;
    if let Some(first) = repeated(ctx, &mut tx, user, "conversation", repeatable, conversation.id).await? {
        let first = conversations::get(&mut tx, user, first).await?;
        return Ok((first.ok_or_else(not_found)?, true));
    }
    conversations::insert(&mut tx, user, &conversation).await?;
    add(&mut tx, user, conversation.id, items).await?;
    check_size(&mut tx, user, conversation.id, "items").await?;
    tx.commit().await?;
    Ok((conversation, false))
}

pub async fn set_metadata(
    ctx: &Context,
    user: UserId,
    id: ConversationId,
    metadata: Value,
) -> Result<Conversation> {
    check_storable(&metadata, "metadata")?;
    let mut tx = ctx.db.begin().await?;
    if !conversations::take(&mut tx, user, id, Some(&metadata)).await? {
        return Err(not_found());
    }
    let changed = conversations::get(&mut tx, user, id).await?.ok_or_else(not_found)?;
    tx.commit().await?;
    Ok(changed)
}

/// Deletes it with its items. Responses in it stay.
pub async fn delete(ctx: &Context, user: UserId, id: ConversationId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    if !conversations::delete(&mut tx, user, id).await? {
        return Err(not_found());
    }
    tx.commit().await
}

/// Adds a client's items; gives them as they are now. `base` is what their ids are made of.
pub async fn add_items(
    ctx: &Context,
    user: UserId,
    id: ConversationId,
    items: Vec<Value>,
    base: JobId,
    repeatable: Option<&Repeatable>,
) -> Result<(Vec<Value>, bool)> {
    check_storable(&Value::Array(items.clone()), "items")?;
    let mut tx = ctx.db.begin().await?;
    if !conversations::take(&mut tx, user, id, None).await? {
        return Err(not_found());
    }
    if let Some(first) = repeated(ctx, &mut tx, user, &format!("items of {id}"), repeatable, base).await? {
        let mark = first.to_string().replacen("job", "", 1);
        let mut items = conversations::items(&mut tx, user, id).await?;
        items.retain(|item| item["id"].as_str().is_some_and(|id| id.contains(&mark)));
        return Ok((items, true));
    }
    let added = add(&mut tx, user, id, items).await?;
    check_size(&mut tx, user, id, "items").await?;
    tx.commit().await?;
    Ok((added, false))
}

/// Adds what was said in a response that has ended, once.
pub async fn add_response(
    ctx: &Context,
    user: UserId,
    id: ConversationId,
    response: JobId,
    items: Vec<Value>,
) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    if !conversations::take(&mut tx, user, id, None).await? {
        return Err(not_found());
    }
    if !conversations::added(&mut tx, user, id, response).await? {
        return Ok(()); // another request was faster
    }
    add(&mut tx, user, id, items).await?;
    tx.commit().await
}

pub async fn delete_item(
    ctx: &Context,
    user: UserId,
    id: ConversationId,
    item: &str,
) -> Result<Conversation> {
    let mut tx = ctx.db.begin().await?;
    if !conversations::take(&mut tx, user, id, None).await? {
        return Err(not_found());
    }
    if !conversations::delete_item(&mut tx, user, id, item).await? {
        return Err(Error::not_found("item"));
    }
    let conversation = conversations::get(&mut tx, user, id).await?.ok_or_else(not_found)?;
    tx.commit().await?;
    Ok(conversation)
}
