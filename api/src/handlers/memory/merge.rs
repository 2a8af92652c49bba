//! Merging memories.

use axum::{Json as Answer, extract::State, response::Response};
use rapport_common::{
    Error,
    error::{Code, Wrong},
    jobs::payload::ConsolidationPayload,
    store::memory_conflicts,
    usecase::memory::{consolidate, merge},
};
use serde::{Deserialize, Serialize};

use super::{memory_ids, result_of};
use crate::{
    bodies::Suggestion,
    error::Result,
    extract::{Caller, Json, Keyed, NoPages, Prefer, Query},
    handlers::jobs::JobView,
    state::AppState,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ConsolidateBody {
    /// 2-50.
    memory_ids: Vec<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Consolidated {
    consolidated_memory: ConsolidatedMemory,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ConsolidatedMemory {
    id: String,
    content: String,
    merged_from: Vec<String>,
    status: String,
}

/// Merge memories into one
///
/// The model writes the text; the originals stay as `merged`, and `POST /memory/{id}/unmerge` restores them. A job; waits for it
/// as chat does.
#[utoipa::path(post, path = "/memory/consolidate", tag = "memory", request_body = ConsolidateBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters"),
           ("Prefer" = Option<String>, Header, description = "`respond-async` or `wait=N` (0-120 seconds)")),
    responses((status = 200, description = "The merged memory", body = Consolidated),
              (status = 202, description = "Not done yet: the job", body = JobView),
              (status = 404, description = "One of them is not there, or another user's", body = crate::problem::Problem),
              (status = 409, description = "One of them does not count any more", body = crate::problem::Problem),
              (status = 502, description = "The model failed", body = crate::problem::Problem)))]
pub async fn consolidate(
    State(state): State<AppState>,
    Caller(caller): Caller,
    prefer: Prefer,
    Keyed(body, repeatable): Keyed<ConsolidateBody>,
) -> Result<Response> {
    if !(2..=merge::MOST).contains(&body.memory_ids.len()) {
        return Err(Error::field("memory_ids", Wrong::DifferentMemories { min: 2, max: merge::MOST }).into());
    }
    let ids = memory_ids(&body.memory_ids)?;
    if repeatable.is_none() {
        merge::check(&state.ctx, caller.user, &ids).await?;
    }
    let payload = ConsolidationPayload::Merge { memory_ids: ids };
    let job = consolidate::ask(&state.ctx, caller.user, &payload, repeatable.as_ref()).await?;
    result_of(&state, &caller, job, prefer).await
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SuggestionQuery {
    /// 1-50, 10 by default.
    #[param(minimum = 1, maximum = 50)]
    limit: Option<i64>,
}

/// List memories that could be merged
///
/// Kept ready by a `consolidation` job that runs when enough has changed.
#[utoipa::path(get, path = "/memory/consolidate/suggestions", tag = "memory", params(SuggestionQuery),
    responses((status = 200, description = "The best first", body = [Suggestion])))]
pub async fn suggestions(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(query): Query<SuggestionQuery>,
    _: NoPages,
) -> Result<Answer<Vec<Suggestion>>> {
    let limit = query.limit.unwrap_or(10);
    if !(1..=50).contains(&limit) {
        return Err(Error::new(Code::BadQuery, "`limit` must be from 1 to 50.").into());
    }
    let mut conn = state.ctx.db.read().await?;
    let rows = memory_conflicts::suggestions(&mut conn, caller.user, limit).await?;
    Ok(Answer(rows.into_iter().map(Suggestion::from).collect()))
}

/// Look for merges and contradictions now
///
/// Starts the job that otherwise runs by itself when enough has changed.
#[utoipa::path(post, path = "/memory/consolidate/review", tag = "memory",
    params(("Prefer" = Option<String>, Header, description = "`respond-async` or `wait=N` (0-120 seconds)")),
    responses((status = 200, description = "How much was found", body = Object),
              (status = 202, description = "Not done yet: the job", body = JobView),
              (status = 502, description = "The model failed", body = crate::problem::Problem)))]
pub async fn review(
    State(state): State<AppState>,
    Caller(caller): Caller,
    prefer: Prefer,
) -> Result<Response> {
    let job = consolidate::ask(&state.ctx, caller.user, &ConsolidationPayload::Review, None).await?;
    result_of(&state, &caller, job, prefer).await
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct ClassifyBody {
    /// At most 100; none or an empty list is the newest that have no date.
    #[serde(default)]
    memory_ids: Vec<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ClassifiedView {
    memory_id: String,
    should_expire: bool,
    expiration_date: Option<String>,
    reason: String,
}

/// Let the model decide which memories expire, and when
///
/// The dates are set. A sweep, at least hourly, expires what is due.
#[utoipa::path(post, path = "/memory/classify-expiration", tag = "memory", request_body = ClassifyBody,
    params(("Prefer" = Option<String>, Header, description = "`respond-async` or `wait=N` (0-120 seconds)")),
    responses((status = 200, description = "One line a memory", body = [ClassifiedView]),
              (status = 202, description = "Not done yet: the job", body = JobView),
              (status = 404, description = "One of them is not there, or another user's", body = crate::problem::Problem),
              (status = 502, description = "The model failed", body = crate::problem::Problem)))]
pub async fn classify_expiration(
    State(state): State<AppState>,
    Caller(caller): Caller,
    prefer: Prefer,
    Json(body): Json<ClassifyBody>,
) -> Result<Response> {
    if body.memory_ids.len() > 100 {
        return Err(Error::field("memory_ids", Wrong::Count { min: 0, max: 100 }).into());
    }
    let ids = memory_ids(&body.memory_ids)?;
    let found =
        rapport_common::store::memories::get_many(&mut state.ctx.db.read().await?, caller.user, &ids).await?;
    if ids.iter().any(|id| !found.iter().any(|memory| memory.id == *id)) {
        return Err(Error::not_found("memory").into());
    }
    let payload = ConsolidationPayload::Expiration { memory_ids: ids };
    let job = consolidate::ask(&state.ctx, caller.user, &payload, None).await?;
    result_of(&state, &caller, job, prefer).await
}
