//! What happened to a memory, and undoing it.

use axum::{Json as Answer, extract::State};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error, clock,
    domain::{
        ids::{ChangeId, MemoryId},
        memory::{Action, Actor, MemoryView},
    },
    store::{
        memories,
        memory_log::{self, Change},
    },
    usecase::memory::{edit, undo},
};
use serde::Serialize;

use crate::{
    error::Result,
    extract::{Caller, MemoryPath},
    state::AppState,
};

#[derive(Serialize, utoipa::ToSchema)]
pub struct ChangeView {
    #[schema(value_type = String)]
    id: ChangeId,
    /// Changes made, and undone, together.
    #[schema(value_type = String)]
    change_set: ChangeId,
    /// `user`, `extractor`, `consolidation` or `system`.
    #[schema(value_type = String)]
    actor: Actor,
    /// `created`, `extracted`, `imported`, `edited`, `confirmed`, `rejected`, `corrected`, `superseded`, `merged`,
    /// `merge_made`, `expired`, `expiry_set`, `made_private`, `made_public` or `undone`.
    #[schema(value_type = String)]
    action: Action,
    before: Option<MemoryView>,
    after: Option<MemoryView>,
    #[serde(with = "clock::rfc3339_millis")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "clock::rfc3339_millis::option::serialize")]
    undone_at: Option<DateTime<Utc>>,
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        Self {
            id: change.id,
            change_set: change.change_set,
            actor: change.actor,
            action: change.action,
            before: change.before.map(MemoryView::from),
            after: change.after.map(MemoryView::from),
            created_at: change.created_at,
            undone_at: change.undone_at,
        }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct History {
    #[schema(value_type = String)]
    memory_id: MemoryId,
    changes: Vec<ChangeView>,
}

/// Show every change of a memory, newest first
///
/// Who changed what, when, and whether it was undone.
#[utoipa::path(get, path = "/memory/{id}/history", tag = "memory", params(("id" = String, Path)),
    responses((status = 200, description = "Changes", body = History)))]
pub async fn history(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
) -> Result<Answer<History>> {
    let mut conn = state.ctx.db.read().await?;
    memories::get(&mut conn, caller.user, id).await?.ok_or_else(|| Error::not_found("memory"))?;
    let changes = memory_log::history(&mut conn, caller.user, id, 500).await?;
    Ok(Answer(History { memory_id: id, changes: changes.into_iter().map(ChangeView::from).collect() }))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Restored {
    /// As they are now. Empty when undoing took away what a change had made.
    memories: Vec<MemoryView>,
}

/// Undo the latest change of a memory
///
/// Everything that was changed together with it is undone too.
#[utoipa::path(post, path = "/memory/{id}/undo", tag = "memory", params(("id" = String, Path)),
    responses((status = 200, description = "What was restored", body = Restored),
              (status = 409, description = "There is nothing to undo, or something changed since", body = crate::problem::Problem)))]
pub async fn undo_change(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
) -> Result<Answer<Restored>> {
    let restored = undo::undo(&state.ctx, caller.user, id).await?;
    let memories = edit::views(&mut state.ctx.db.read().await?, caller.user, restored).await?;
    Ok(Answer(Restored { memories }))
}

/// Undo a merge
///
/// The originals come back as they were.
#[utoipa::path(post, path = "/memory/{id}/unmerge", tag = "memory", params(("id" = String, Path)),
    responses((status = 200, description = "The originals, as they were", body = Restored),
              (status = 409, description = "It was not made by a merge", body = crate::problem::Problem)))]
pub async fn unmerge(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
) -> Result<Answer<Restored>> {
    let restored = undo::unmerge(&state.ctx, caller.user, id).await?;
    let memories = edit::views(&mut state.ctx.db.read().await?, caller.user, restored).await?;
    Ok(Answer(Restored { memories }))
}
