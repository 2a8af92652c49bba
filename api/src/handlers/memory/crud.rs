//! Memories one by one.

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error, auth, clock,
    domain::{memory::MemoryView, patch::Patch},
    problems::Problems,
    store::memories,
    usecase::memory::edit::{self, Added, Draft},
};
use serde::{Deserialize, Deserializer};

use super::views::{for_readers, with_vectors};
use crate::{
    error::Result,
    extract::{Caller, Json, Keyed, MemoryPath, Query},
    handlers::chat::mark_replayed,
    state::AppState,
};

/// A time that is named, or `null`.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Patch<DateTime<Utc>>, D::Error> {
    clock::moment::deserialize(deserializer).map(Patch::from)
}

/// A memory by hand, or changes to one; what is not named stays.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct MemoryBody {
    /// 1-2,000 characters. Required to add one.
    #[schema(example = "Likes hiking")]
    content: Option<String>,
    #[schema(example = "preference")]
    memory_type: Option<String>,
    subject: Option<String>,
    #[schema(example = "likes")]
    slot: Option<String>,
    object: Option<String>,
    /// 0-1.
    importance: Option<f64>,
    /// 0-1.
    confidence: Option<f64>,
    contexts: Option<Vec<String>>,
    is_private: Option<bool>,
    #[serde(default, deserialize_with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_from: Patch<DateTime<Utc>>,
    #[serde(default, deserialize_with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_to: Patch<DateTime<Utc>>,
    #[serde(default, deserialize_with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Patch<DateTime<Utc>>,
}

impl MemoryBody {
    fn draft(self) -> Result<Draft> {
        let mut problems = Problems::default();
        let draft = Draft {
            content: problems.checked("content", self.content),
            memory_type: self.memory_type,
            subject: problems.checked("subject", self.subject),
            slot: problems.checked("slot", self.slot),
            object: problems.checked("object", self.object),
            importance: self.importance,
            confidence: self.confidence,
            contexts: self.contexts,
            is_private: self.is_private,
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            expires_at: self.expires_at,
        };
        draft.check(&mut problems);
        problems.done()?;
        Ok(draft)
    }
}

/// Add a memory
///
/// It counts as confirmed. 200 instead of 201 when it was known already: then it is confirmed now.
#[utoipa::path(post, path = "/memory", tag = "memory", request_body = MemoryBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 201, description = "The memory", body = MemoryView),
              (status = 200, description = "It was known", body = MemoryView)))]
pub async fn add(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Keyed(body, repeatable): Keyed<MemoryBody>,
) -> Result<Response> {
    let (memory, added) = edit::add(&state.ctx, caller.user, body.draft()?, repeatable.as_ref()).await?;
    let view = edit::view(&mut state.ctx.db.read().await?, caller.user, memory).await?;
    let status = if added == Added::Known { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = (status, Answer(view)).into_response();
    mark_replayed(&mut response, added == Added::Replayed);
    Ok(response)
}

/// The same for who wants the memory alone.
pub async fn added(state: &AppState, caller: &auth::Caller, body: MemoryBody) -> Result<MemoryView> {
    let (memory, _) = edit::add(&state.ctx, caller.user, body.draft()?, None).await?;
    Ok(edit::view(&mut state.ctx.db.read().await?, caller.user, memory).await?)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Include {
    /// `embedding` adds the vector.
    include: Option<String>,
}

/// Show a memory
///
/// One of yours, or one that is shared with you.
#[utoipa::path(get, path = "/memory/{id}", tag = "memory", params(("id" = String, Path), Include),
    responses((status = 200, description = "The memory: your own, or one that is shared with you", body = MemoryView)))]
pub async fn get(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
    Query(include): Query<Include>,
) -> Result<Answer<MemoryView>> {
    let mut conn = state.ctx.db.read().await?;
    let memory =
        memories::readable(&mut conn, caller.user, id).await?.ok_or_else(|| Error::not_found("memory"))?;
    if memory.user_id != caller.user {
        return Ok(Answer(for_readers(memory)));
    }
    let mut view = edit::view(&mut conn, caller.user, memory).await?;
    if include.include.as_deref() == Some("embedding") {
        with_vectors(&mut conn, caller.user, std::slice::from_mut(&mut view)).await?;
    }
    Ok(Answer(view))
}

/// Change a memory
///
/// What you do not name stays. The old text stays in the history.
#[utoipa::path(patch, path = "/memory/{id}", tag = "memory", params(("id" = String, Path)), request_body = MemoryBody,
    responses((status = 200, description = "The memory", body = MemoryView),
              (status = 409, description = "It is history, or another one says the same", body = crate::problem::Problem)))]
pub async fn change(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
    Json(body): Json<MemoryBody>,
) -> Result<Answer<MemoryView>> {
    let memory = edit::change(&state.ctx, caller.user, id, body.draft()?).await?;
    Ok(Answer(edit::view(&mut state.ctx.db.read().await?, caller.user, memory).await?))
}

/// Delete a memory
///
/// Its history and its vector go with it.
#[utoipa::path(delete, path = "/memory/{id}", tag = "memory", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted")))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
) -> Result<StatusCode> {
    edit::delete(&state.ctx, caller.user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
