//! Who may read memories, and deleting many.

use axum::{Json as Answer, extract::State};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error, clock,
    domain::memory::{MemoryStatus, MemoryType},
    error::Wrong,
    store::memories::Criteria,
    usecase::memory::edit::{self, Doomed},
};
use serde::{Deserialize, Serialize};

use super::memory_ids;
use crate::{
    error::Result,
    extract::{Caller, Json},
    state::AppState,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct PrivacyBody {
    /// 1-200.
    memory_ids: Vec<String>,
    /// Private ones enter no prompt that leaves the deployment, unless the settings allow it.
    is_private: bool,
    /// Ids, usernames or emails of those who may read them; instead of whoever could before. At most 50. Who has such a name
    /// now may read; one that nobody has is kept in the list like the others, and opens nothing to who takes it later.
    shared_with: Option<Vec<String>>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Updated {
    updated: usize,
}

/// Make memories private, or share them
///
/// Private memories stay out of prompts that leave this deployment. Those you share with can read, not change.
#[utoipa::path(post, path = "/memory/privacy", tag = "memory", request_body = PrivacyBody,
    responses((status = 200, description = "How many", body = Updated),
              (status = 404, description = "One of them is not there, or another user's", body = crate::problem::Problem)))]
pub async fn privacy(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Json(body): Json<PrivacyBody>,
) -> Result<Answer<Updated>> {
    if body.memory_ids.is_empty() || body.memory_ids.len() > 200 {
        return Err(Error::field("memory_ids", Wrong::Count { min: 1, max: 200 }).into());
    }
    if body.shared_with.as_ref().is_some_and(|with| with.len() > 50) {
        return Err(Error::field("shared_with", Wrong::Count { min: 0, max: 50 }).into());
    }
    let ids = memory_ids(&body.memory_ids)?;
    let updated =
        edit::set_privacy(&state.ctx, caller.user, &ids, body.is_private, body.shared_with.as_deref())
            .await?;
    Ok(Answer(Updated { updated }))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct CriteriaBody {
    memory_type: Option<String>,
    status: Option<String>,
    importance_lt: Option<f64>,
    /// A time, or a date (its first moment, UTC).
    #[serde(default, deserialize_with = "clock::moment::deserialize")]
    #[schema(example = "2026-01-31")]
    created_before: Option<DateTime<Utc>>,
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct BulkBody {
    /// 1-1,000. Either these or `filter_criteria`.
    memory_ids: Option<Vec<String>>,
    /// All that match every criterion; at least one must be given.
    filter_criteria: Option<CriteriaBody>,
    /// Only count.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct MemoriesDeleted {
    deleted: u64,
    dry_run: bool,
}

fn doomed(body: &BulkBody) -> Result<Doomed> {
    match (&body.memory_ids, &body.filter_criteria) {
        (Some(ids), None) => {
            if ids.is_empty() || ids.len() > 1_000 {
                return Err(Error::field("memory_ids", Wrong::Count { min: 1, max: 1_000 }).into());
            }
            Ok(Doomed::Ids(memory_ids(ids)?))
        }
        (None, Some(criteria)) => {
            let CriteriaBody { memory_type, status, importance_lt, created_before } = criteria;
            if memory_type.is_none()
                && status.is_none()
                && importance_lt.is_none()
                && created_before.is_none()
            {
                return Err(Error::field("filter_criteria", Wrong::NoCriterion).into());
            }
            let memory_type = memory_type.as_deref().map(str::parse).transpose();
            let memory_type =
                memory_type.map_err(|_| Error::field("filter_criteria.memory_type", MemoryType::one_of()))?;
            let status = status.as_deref().map(str::parse).transpose();
            let status =
                status.map_err(|_| Error::field("filter_criteria.status", MemoryStatus::one_of()))?;
            if importance_lt.is_some_and(|most| !(0.0..=1.0).contains(&most)) {
                return Err(
                    Error::field("filter_criteria.importance_lt", Wrong::Range { min: 0, max: 1 }).into()
                );
            }
            Ok(Doomed::Matching(Criteria {
                status,
                memory_type,
                importance_lt: *importance_lt,
                created_before: *created_before,
            }))
        }
        _ => Err(Error::field("memory_ids", Wrong::OnlyThisOr("filter_criteria")).into()),
    }
}

/// Delete many memories
///
/// By ids, or all that match the criteria. `dry_run` only counts.
#[utoipa::path(delete, path = "/memory/bulk", tag = "memory", request_body = BulkBody,
    responses((status = 200, description = "How many are, or would be, deleted", body = MemoriesDeleted),
              (status = 404, description = "One of them is not there", body = crate::problem::Problem)))]
pub async fn delete_many(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Json(body): Json<BulkBody>,
) -> Result<Answer<MemoriesDeleted>> {
    let deleted = edit::delete_many(&state.ctx, caller.user, &doomed(&body)?, body.dry_run).await?;
    Ok(Answer(MemoriesDeleted { deleted, dry_run: body.dry_run }))
}
