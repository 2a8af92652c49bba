//! `/v1/conversations`: lists of items that responses go on from, as OpenAI's clients keep them.
//!
//! A response in a conversation is added to it when it has ended: by whoever looks next, in one transaction. Until then nothing
//! else goes on in it.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use rapport_common::{
    Error, auth,
    domain::{
        ids::{ConversationId, JobId},
        job::JobStatus,
    },
    error::{Code, Wrong},
    problems::Problems,
    store::{
        self,
        conversations::{self as rows, Part},
    },
    usecase::{
        conversations::{self, not_found},
        repeat::{Repeatable, is_repeat},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    answer::Said,
    responses::{
        body::check_metadata,
        images,
        items::{self, Called},
        mcp,
        stored::{ItemsQuery, ResponseItems},
    },
};
use crate::{
    error::Result,
    extract::{Caller, ConversationPath, ItemPath, Query, Wide},
    handlers::chat::mark_replayed,
    state::AppState,
};

/// Items in one request at most, as at OpenAI's.
const AT_ONCE: usize = 20;

/// A conversation, as OpenAI's clients expect it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ConversationObject {
    #[schema(value_type = String, example = "conv_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: ConversationId,
    #[schema(example = "conversation")]
    object: &'static str,
    created_at: i64,
    #[schema(value_type = Object)]
    metadata: Value,
}

impl From<rows::Conversation> for ConversationObject {
    fn from(row: rows::Conversation) -> Self {
        let rows::Conversation { id, metadata, created_at } = row;
        Self { id, object: "conversation", created_at: created_at.timestamp(), metadata }
    }
}

/// Adds the response that has ended since, if there is one. `false`: one is still under way.
pub async fn settle(state: &AppState, caller: &auth::Caller, id: ConversationId) -> Result<bool> {
    let (ctx, user) = (&state.ctx, caller.user);
    let mut conn = ctx.db.read().await?;
    let Some(response) = rows::pending(&mut conn, user, id).await? else { return Ok(true) };
    let Some(found) = store::requests::get(&mut conn, user, response).await? else { return Ok(true) };
    drop(conn);
    let said = match found.job.status {
        JobStatus::Queued | JobStatus::Running => return Ok(false),
        // Nothing was said: its client asks again. A consent that stood in the conversation was heard.
        JobStatus::Failed => mcp::unknown(response, &found.body["heard"]),
        JobStatus::Succeeded | JobStatus::Cancelled => {
            let mut said = found.body["input"].as_array().cloned().unwrap_or_default();
            let answer = Said(found.job.result.unwrap_or_default());
            said.extend(items::of_answer(response, &answer, "completed"));
            said
        }
    };
    match conversations::add_response(ctx, user, id, response, said).await {
        Err(error) if error.code != Code::NotFound => Err(error.into()),
        _ => Ok(true),
    }
}

/// What was said in a conversation, for a response that goes on from it.
pub async fn said(state: &AppState, caller: &auth::Caller, id: ConversationId) -> Result<Vec<Value>> {
    one(state, caller, id)
        .await
        .map_err(|_| Error::field("conversation", Wrong::Unfit("is no conversation of yours")))?;
    if !settle(state, caller, id).await? {
        let detail = "Another response is under way in the conversation.";
        return Err(Error::new(Code::SessionBusy, detail).retry_after(1).into());
    }
    Ok(conversations::all(&mut state.ctx.db.read().await?, caller.user, id).await?)
}

async fn one(state: &AppState, caller: &auth::Caller, id: ConversationId) -> Result<rows::Conversation> {
    let found = rows::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    Ok(found.ok_or_else(not_found)?)
}

/// Items with ids, and what is wrong with them. Ids are ours: what a client gives was another list's.
fn read_items(
    given: Option<Vec<Value>>,
    base: JobId,
    called: &mut Called,
    problems: &mut Problems,
) -> Vec<Value> {
    let mut given = given.unwrap_or_default();
    problems.unless(given.len() <= AT_ONCE, "items", Wrong::Count { min: 0, max: AT_ONCE });
    for item in given.iter_mut().filter_map(Value::as_object_mut) {
        item.remove("id");
    }
    let items = items::of_input(Value::Array(given), base).unwrap_or_default();
    items::messages(&items, called, problems);
    items
}

/// Of what is sent again, what it names may be gone.
async fn check_images(
    state: &AppState,
    caller: &auth::Caller,
    items: &[Value],
    repeatable: Option<&Repeatable>,
    problems: &mut Problems,
) -> Result<()> {
    if is_repeat(&state.ctx, caller.user, repeatable).await? {
        return Ok(());
    }
    Ok(images::check(&state.ctx, caller.user, items, problems).await?)
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct ConversationBody {
    /// Its first items: at most 20.
    #[schema(value_type = Option<Vec<Object>>)]
    items: Option<Vec<Value>>,
    /// Up to 16 pairs of texts.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

/// Make a conversation, for OpenAI's clients
///
/// A list of items that responses go on from (`conversation` of `POST /v1/responses`), and are added to when they have ended.
#[utoipa::path(post, path = "/v1/conversations", tag = "openai", request_body = ConversationBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 200, description = "The conversation", body = ConversationObject)))]
pub async fn create(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Wide(body, repeatable): Wide<ConversationBody>,
) -> Result<Response> {
    let mut problems = Problems::default();
    check_metadata(body.metadata.as_ref(), &mut problems);
    let items = read_items(body.items, JobId::new(), &mut Called::default(), &mut problems);
    check_images(&state, &caller, &items, repeatable.as_ref(), &mut problems).await?;
    problems.done()?;
    let metadata = Value::Object(body.metadata.unwrap_or_default());
    let made = conversations::create(&state.ctx, caller.user, metadata, items, repeatable.as_ref()).await?;
    let mut response = Answer(ConversationObject::from(made.0)).into_response();
    mark_replayed(&mut response, made.1);
    Ok(response)
}

/// Get a conversation
///
/// Its id and metadata; its items have a list of their own.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "openai", params(("id" = String, Path)),
    responses((status = 200, description = "The conversation", body = ConversationObject)))]
pub async fn get(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ConversationPath(id): ConversationPath,
) -> Result<Answer<ConversationObject>> {
    Ok(Answer(one(&state, &caller, id).await?.into()))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ConversationChange {
    /// Up to 16 pairs of texts, in place of those there are.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// Change a conversation's metadata
///
/// All of it anew.
#[utoipa::path(post, path = "/v1/conversations/{id}", tag = "openai", params(("id" = String, Path)),
    request_body = ConversationChange, responses((status = 200, description = "The conversation", body = ConversationObject)))]
pub async fn change(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ConversationPath(id): ConversationPath,
    Wide(body, _): Wide<ConversationChange>,
) -> Result<Answer<ConversationObject>> {
    one(&state, &caller, id).await?;
    let mut problems = Problems::default();
    check_metadata(Some(&body.metadata), &mut problems);
    problems.done()?;
    let metadata = Value::Object(body.metadata);
    Ok(Answer(conversations::set_metadata(&state.ctx, caller.user, id, metadata).await?.into()))
}

/// That a conversation was deleted.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ConversationGone {
    #[schema(value_type = String, example = "conv_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: ConversationId,
    #[schema(example = "conversation.deleted")]
    object: &'static str,
    deleted: bool,
}

/// Delete a conversation
///
/// With its items. Stored responses in it stay.
#[utoipa::path(delete, path = "/v1/conversations/{id}", tag = "openai", params(("id" = String, Path)),
    responses((status = 200, description = "It is gone", body = ConversationGone)))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ConversationPath(id): ConversationPath,
) -> Result<Answer<ConversationGone>> {
    conversations::delete(&state.ctx, caller.user, id).await?;
    Ok(Answer(ConversationGone { id, object: "conversation.deleted", deleted: true }))
}

/// List the items of a conversation
///
/// The last one first, unless you ask otherwise.
#[utoipa::path(get, path = "/v1/conversations/{id}/items", tag = "openai", params(("id" = String, Path), ItemsQuery),
    responses((status = 200, description = "Items", body = ResponseItems)))]
pub async fn list_items(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ConversationPath(id): ConversationPath,
    Query(query): Query<ItemsQuery>,
) -> Result<Answer<ResponseItems>> {
    one(&state, &caller, id).await?;
    settle(&state, &caller, id).await?;
    let mut problems = Problems::default();
    let ascending = query.ascending(&mut problems);
    let mut conn = state.ctx.db.read().await?;
    if let Some(after) = &query.after {
        let known = rows::has(&mut conn, caller.user, id, &after.replace('\0', "")).await?;
        problems.unless(known, "after", Wrong::Unfit("is the id of no item here"));
    }
    problems.done()?;
    let limit = query.limit.unwrap_or(20);
    let part = Part { ascending, after: query.after.as_deref(), limit: limit + 1 };
    let items = rows::some(&mut conn, caller.user, id, part).await?;
    Ok(Answer(ResponseItems::of(items, limit)))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ItemsBody {
    /// Messages, calls, and what calls gave: at most 20.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
}

/// Add items to a conversation
///
/// At its end. They get ids of their own.
#[utoipa::path(post, path = "/v1/conversations/{id}/items", tag = "openai", params(("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    request_body = ItemsBody, responses((status = 200, description = "The items", body = ResponseItems)))]
pub async fn add_items(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ConversationPath(id): ConversationPath,
    Wide(body, repeatable): Wide<ItemsBody>,
) -> Result<Response> {
    one(&state, &caller, id).await?;
    settle(&state, &caller, id).await?;
    let before = conversations::all(&mut state.ctx.db.read().await?, caller.user, id).await?;
    let (mut called, mut problems, base) = (Called::default(), Problems::default(), JobId::new());
    items::messages(&before, &mut called, &mut Problems::default());
    let items = read_items(Some(body.items), base, &mut called, &mut problems);
    check_images(&state, &caller, &items, repeatable.as_ref(), &mut problems).await?;
    problems.done()?;
    let added =
        conversations::add_items(&state.ctx, caller.user, id, items, base, repeatable.as_ref()).await?;
    let mut response = Answer(ResponseItems::of(added.0, AT_ONCE as i64)).into_response();
    mark_replayed(&mut response, added.1);
    Ok(response)
}

/// Get an item of a conversation
///
/// As it stands in the list.
#[utoipa::path(get, path = "/v1/conversations/{id}/items/{item_id}", tag = "openai",
    params(("id" = String, Path), ("item_id" = String, Path)),
    responses((status = 200, description = "The item", body = Object)))]
pub async fn get_item(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ConversationPath(id): ConversationPath,
    ItemPath(item): ItemPath,
) -> Result<Answer<Value>> {
    one(&state, &caller, id).await?;
    settle(&state, &caller, id).await?;
    let found = rows::item(&mut state.ctx.db.read().await?, caller.user, id, &item).await?;
    Ok(Answer(found.ok_or_else(|| Error::not_found("item"))?))
}

/// Delete an item of a conversation
///
/// Responses that follow do not know of it.
#[utoipa::path(delete, path = "/v1/conversations/{id}/items/{item_id}", tag = "openai",
    params(("id" = String, Path), ("item_id" = String, Path)),
    responses((status = 200, description = "The conversation", body = ConversationObject)))]
pub async fn delete_item(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ConversationPath(id): ConversationPath,
    ItemPath(item): ItemPath,
) -> Result<Answer<ConversationObject>> {
    one(&state, &caller, id).await?;
    settle(&state, &caller, id).await?;
    Ok(Answer(conversations::delete_item(&state.ctx, caller.user, id, &item).await?.into()))
}
