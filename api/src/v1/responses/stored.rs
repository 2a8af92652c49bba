//! What is stored of a response: looking at it, going on with its stream, cancelling and deleting it.

use std::time::Duration;

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use rapport_common::{
    Error, auth,
    domain::{event::EventId, ids::JobId, job::Job},
    error::{Code, Wrong},
    follow::{follow, wait_final},
    problems::Problems,
    store::requests,
    usecase::{cancel_job::cancel_job, delete_response::delete_response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    create::ResponseObject,
    items,
    object::Asked,
    stream::{self, Reader},
    weave::Weave,
};
use crate::{
    content,
    error::Result,
    extract::{Caller, Query, ResponsePath},
    state::AppState,
    v1::{body::NOT_HERE, conversations},
    v1_error::OpenAiError,
};

/// How long a cancelled response is waited for: its worker stops within a second.
const STOPS: Duration = Duration::from_secs(5);

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GetQuery {
    /// Give its events, as server-sent events.
    pub stream: Option<bool>,
    /// With `stream`: only events after this number.
    pub starting_after: Option<u64>,
    /// Only `false`.
    pub include_obfuscation: Option<bool>,
}

pub(super) async fn stored(
    state: &AppState,
    caller: &auth::Caller,
    id: JobId,
) -> Result<(Asked, Job, Value)> {
    let found = requests::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    let requests::Kept { job, body, .. } = found.ok_or_else(|| Error::not_found("response"))?;
    let queries = serde_json::from_value(body["queries"].clone()).unwrap_or_default();
    let asked = Asked { job: id, created_at: job.created_at, shown: body["shown"].clone(), queries };
    Ok((asked, job, body))
}

/// Get a response, or go on with its stream
///
/// The object as it is now. With `stream=true` its events, from the beginning or after `starting_after`: the same ones,
/// with the same numbers, from any API process, while it runs and after it has ended.
#[utoipa::path(get, path = "/v1/responses/{id}", tag = "openai", params(("id" = String, Path), GetQuery),
    responses((status = 200, description = "The response; with `stream`, its events", content(
                  (ResponseObject = "application/json"), (crate::problem::StreamEvent = "text/event-stream")))))]
pub async fn get(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ResponsePath(id): ResponsePath,
    Query(query): Query<GetQuery>,
) -> Result<Response> {
    if query.include_obfuscation == Some(true) {
        return Err(Error::field("include_obfuscation", NOT_HERE).into());
    }
    let (asked, job, body) = stored(&state, &caller, id).await?;
    if query.stream != Some(true) {
        if query.starting_after.is_some() {
            let rule = Wrong::Unfit("can only be given together with `stream=true`");
            return Err(Error::field("starting_after", rule).into());
        }
        return Ok(Answer(asked.of_job(&job)).into_response());
    }
    let slot = state.slots.take(caller.user, "sse")?;
    let weave = Weave::new(asked, body["background"] == true);
    let events = follow(state.ctx.clone(), caller.user, id, EventId::START);
    let seen = caller.clone();
    let events = events.map(move |event| content::event(&seen, event)).boxed();
    Ok(stream::response(&state, slot, weave, events, Reader { gone: None, after: query.starting_after }))
}

/// Cancel a response
///
/// It stops within a second, and keeps the words so far. One that has ended stays as it is.
#[utoipa::path(post, path = "/v1/responses/{id}/cancel", tag = "openai", params(("id" = String, Path)),
    responses((status = 200, description = "The response", body = ResponseObject),
              (status = 409, description = "It is changing its state: try again", body = OpenAiError)))]
pub async fn cancel(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ResponsePath(id): ResponsePath,
) -> Result<Answer<Value>> {
    let (asked, job, _) = stored(&state, &caller, id).await?;
    if job.status.is_final() {
        return Ok(Answer(asked.of_job(&job)));
    }
    match cancel_job(&state.ctx, caller.user, id).await {
        Ok(_) => {}
        // It has ended in this moment: what it is now says all.
        Err(error) if error.code == Code::WrongState => {}
        Err(error) => return Err(error.into()),
    }
    let job = wait_final(&state.ctx, caller.user, id, STOPS).await?;
    Ok(Answer(asked.of_job(&job.ok_or_else(|| Error::not_found("response"))?)))
}

/// That something was deleted.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ResponseDeleted {
    #[schema(example = "resp_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: String,
    #[schema(example = "response")]
    object: &'static str,
    deleted: bool,
}

/// Delete a response
///
/// With its job, its input and its output. One that runs is cancelled first. Responses that go on from it cannot be gone on
/// from any more.
#[utoipa::path(delete, path = "/v1/responses/{id}", tag = "openai", params(("id" = String, Path)),
    responses((status = 200, description = "It is gone", body = ResponseDeleted),
              (status = 409, description = "It is being stopped: try again", body = OpenAiError)))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ResponsePath(id): ResponsePath,
) -> Result<Answer<ResponseDeleted>> {
    let (asked, ..) = stored(&state, &caller, id).await?;
    // What was said in a conversation stays there.
    let conversation = asked.shown["conversation"]["id"].as_str().and_then(|id| id.parse().ok());
    if let Some(conversation) = conversation {
        conversations::settle(&state, &caller, conversation).await?;
    }
    delete_response(&state.ctx, caller.user, id, STOPS).await?;
    Ok(Answer(ResponseDeleted { id: items::item_id("resp", id), object: "response", deleted: true }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ItemsQuery {
    /// 1-100, 20 by default.
    pub limit: Option<i64>,
    /// `desc` (the default) or `asc`.
    pub order: Option<String>,
    /// Items after the one with this id.
    pub after: Option<String>,
}

impl ItemsQuery {
    /// Whether the first one comes first, and what is wrong with the query.
    pub fn ascending(&self, problems: &mut Problems) -> bool {
        let fits = self.limit.is_none_or(|limit| (1..=100).contains(&limit));
        problems.unless(fits, "limit", Wrong::Range { min: 1, max: 100 });
        let ascending = self.order.as_deref() == Some("asc");
        let known = ascending || self.order.as_deref().is_none_or(|order| order == "desc");
        problems.unless(known, "order", Wrong::Either(&["asc", "desc"]));
        ascending
    }
}

/// A page of items, as OpenAI's clients expect it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ResponseItems {
    #[schema(example = "list")]
    object: &'static str,
    #[schema(value_type = Vec<Object>)]
    data: Vec<Value>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

impl ResponseItems {
    /// The first so many.
    pub fn of(mut all: Vec<Value>, limit: i64) -> Self {
        let has_more = all.len() as i64 > limit;
        all.truncate(limit as usize);
        let id_of = |item: Option<&Value>| item.and_then(|item| item["id"].as_str()).map(str::to_owned);
        let (first_id, last_id) = (id_of(all.first()), id_of(all.last()));
        Self { object: "list", first_id, last_id, has_more, data: all }
    }
}

/// List what a response was asked
///
/// The items of its input, the last one first.
#[utoipa::path(get, path = "/v1/responses/{id}/input_items", tag = "openai", params(("id" = String, Path), ItemsQuery),
    responses((status = 200, description = "Items", body = ResponseItems)))]
pub async fn input_items(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ResponsePath(id): ResponsePath,
    Query(query): Query<ItemsQuery>,
) -> Result<Answer<ResponseItems>> {
    let (.., body) = stored(&state, &caller, id).await?;
    let limit = query.limit.unwrap_or(20);
    let mut problems = Problems::default();
    let ascending = query.ascending(&mut problems);
    let mut all = body["input"].as_array().cloned().unwrap_or_default();
    if !ascending {
        all.reverse();
    }
    if let Some(after) = &query.after {
        let place = all.iter().position(|item| item["id"] == after.as_str());
        problems.unless(place.is_some(), "after", Wrong::Unfit("is the id of no item here"));
        all.drain(..place.map_or(0, |place| place + 1));
    }
    problems.done()?;
    Ok(Answer(ResponseItems::of(all, limit)))
}
