//! Memories that do not go together.

use axum::{Json as Answer, extract::State, response::Response};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error, clock,
    domain::{
        ids::{ConflictId, MemoryId},
        memory::{Actor, ConflictStatus, Judgement, MemoryView},
        texts::Content,
    },
    error::{Code, Wrong},
    jobs::payload::ConsolidationPayload,
    store::{
        memories,
        memory_conflicts::{self, Conflict},
    },
    usecase::memory::{
        conflicts::{self, Keep},
        consolidate,
    },
};
use serde::{Deserialize, Serialize};

use super::{memory_id, result_of};
use crate::{
    error::Result,
    extract::{Caller, ConflictPath, Json, Prefer, Query, SkipParams, SkipQuery},
    handlers::jobs::JobView,
    state::AppState,
};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DetectQuery {
    /// One memory; without it, all are looked at.
    memory_id: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Detected {
    memory_id: Option<String>,
    conflicting_memories: Vec<DetectedOne>,
    conflict_count: i64,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct DetectedOne {
    id: String,
    content: String,
    similarity_score: f64,
    /// `contradicts`, `duplicates` or `refines`.
    conflict_type: String,
    reason: String,
    other_id: String,
}

/// Find memories that contradict, repeat or refine each other
///
/// The model compares pairs that are at least 0.85 similar (configurable) or have the same slot. Contradictions become conflict
/// records. A job; waits for it as chat does.
#[utoipa::path(get, path = "/memory/conflicts/detect", tag = "memory", params(DetectQuery,
        ("Prefer" = Option<String>, Header, description = "`respond-async` or `wait=N` (0-120 seconds)")),
    responses((status = 200, description = "What was found", body = Detected),
              (status = 202, description = "Not done yet: the job", body = JobView),
              (status = 404, description = "There is no such memory", body = crate::problem::Problem),
              (status = 502, description = "The model failed", body = crate::problem::Problem)))]
pub async fn detect(
    State(state): State<AppState>,
    Caller(caller): Caller,
    prefer: Prefer,
    Query(query): Query<DetectQuery>,
) -> Result<Response> {
    let memory_id = query.memory_id.as_deref().map(memory_id).transpose()?;
    if let Some(id) = memory_id {
        let found = memories::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
        found.ok_or_else(|| Error::not_found("memory"))?;
    }
    let payload = ConsolidationPayload::Detect { memory_id };
    let job = consolidate::ask(&state.ctx, caller.user, &payload, None).await?;
    result_of(&state, &caller, job, prefer).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ConflictView {
    #[schema(value_type = String)]
    id: ConflictId,
    /// The earlier and the later one.
    memories: Vec<MemoryView>,
    /// `contradicts`, `duplicates` or `refines`.
    #[schema(value_type = String)]
    kind: Judgement,
    reason: String,
    proposed: String,
    /// `open`, `resolved` or `dismissed`.
    #[schema(value_type = String)]
    status: ConflictStatus,
    #[schema(value_type = Option<String>)]
    resolved_by: Option<Actor>,
    #[serde(with = "clock::rfc3339_millis")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "clock::rfc3339_millis::option::serialize")]
    resolved_at: Option<DateTime<Utc>>,
}

async fn views(
    state: &AppState,
    user: rapport_common::domain::ids::UserId,
    all: Vec<Conflict>,
) -> Result<Vec<ConflictView>> {
    let ids: Vec<MemoryId> = all.iter().flat_map(|conflict| [conflict.a, conflict.b]).collect();
    let rows = memories::get_many(&mut state.ctx.db.read().await?, user, &ids).await?;
    let of = |id: MemoryId| rows.iter().find(|memory| memory.id == id).cloned().map(MemoryView::from);
    Ok(all
        .into_iter()
        .map(|conflict| ConflictView {
            id: conflict.id,
            memories: [of(conflict.a), of(conflict.b)].into_iter().flatten().collect(),
            kind: conflict.kind,
            reason: conflict.reason,
            proposed: conflict.proposed,
            status: conflict.status,
            resolved_by: conflict.resolved_by,
            created_at: conflict.created_at,
            resolved_at: conflict.resolved_at,
        })
        .collect())
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConflictFilter {
    /// `open`, `resolved` or `dismissed`.
    status: Option<String>,
}

/// List conflicts between memories, newest first
///
/// Pairs that contradict each other, with the proposed solution and whether it is still open.
#[utoipa::path(get, path = "/memory/conflicts", tag = "memory", params(ConflictFilter, SkipParams),
    responses((status = 200, description = "Conflicts", body = [ConflictView])))]
pub async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(filter): Query<ConflictFilter>,
    SkipQuery { limit, skip }: SkipQuery,
) -> Result<Answer<Vec<ConflictView>>> {
    let status = filter.status.map(|word| word.parse::<ConflictStatus>()).transpose();
    let status =
        status.map_err(|_| Error::new(Code::BadQuery, "`status` must be open, resolved or dismissed."))?;
    let mut conn = state.ctx.db.read().await?;
    let all = memory_conflicts::list(&mut conn, caller.user, status, limit, skip).await?;
    drop(conn);
    Ok(Answer(views(&state, caller.user, all).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ResolveBody {
    /// The id of the one to keep, or `both`, or `neither`.
    #[schema(example = "mem_06dqz6ef8swq1bnx1rc6a2k8t4")]
    keep: String,
    /// Better words for the one that is kept.
    #[schema(value_type = Option<String>)]
    correct_content: Option<Content>,
}

/// Resolve a conflict
///
/// Keep one of the two, both or neither; or say what is right.
#[utoipa::path(post, path = "/memory/conflicts/{id}/resolve", tag = "memory", params(("id" = String, Path)),
    request_body = ResolveBody,
    responses((status = 200, description = "The conflict", body = ConflictView),
              (status = 409, description = "It is not open any more", body = crate::problem::Problem)))]
pub async fn resolve(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ConflictPath(id): ConflictPath,
    Json(body): Json<ResolveBody>,
) -> Result<Answer<ConflictView>> {
    let keep = match body.keep.as_str() {
        "both" => Keep::Both,
        "neither" => Keep::Neither,
        id => Keep::One(id.parse().map_err(|_| {
            Error::field("keep", Wrong::Unfit("must be the id of one of the two, or both, or neither"))
        })?),
    };
    let resolved =
        conflicts::resolve(&state.ctx, caller.user, id, &keep, body.correct_content.as_ref()).await?;
    let view = views(&state, caller.user, vec![resolved]).await?.pop();
    Ok(Answer(view.ok_or_else(|| Error::not_found("conflict"))?))
}
