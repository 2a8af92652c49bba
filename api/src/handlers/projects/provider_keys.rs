//! Keys of providers that projects bring along.

use axum::{Json as Answer, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use rapport_common::{store, usecase::projects};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    extract::{Address, Caller, Json, NoPages, ProjectPath, ProviderPath},
    page::{List, listed},
    state::AppState,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ProviderKeyBody {
    /// 8-500 visible ASCII characters.
    #[schema(example = "sk-0123456789")]
    api_key: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ProviderKey {
    #[schema(example = "openai")]
    provider: String,
    #[serde(with = "rapport_common::clock::rfc3339_millis")]
    created_at: DateTime<Utc>,
}

listed!(ProviderKeyList = List<ProviderKey>);

/// List the providers a project has its own keys for
///
/// The providers and dates; never the keys.
#[utoipa::path(get, path = "/projects/{id}/provider-keys", tag = "projects", params(("id" = String, Path)),
    responses((status = 200, description = "Providers, never the keys", body = ProviderKeyList)))]
pub async fn list_keys(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    _: NoPages,
) -> Result<Answer<ProviderKeyList>> {
    let mut conn = state.ctx.db.read().await?;
    projects::get(&mut conn, caller.user, id).await?;
    let keys = store::projects::keys(&mut conn, caller.user, id).await?;
    let items =
        keys.into_iter().map(|key| ProviderKey { provider: key.provider, created_at: key.created_at });
    Ok(Answer(List::of(items.collect())))
}

/// Set a project's own key for a provider
///
/// It is encrypted at rest and never shown again; chats in the project use it instead of the deployment's.
#[utoipa::path(put, path = "/projects/{id}/provider-keys/{provider}", tag = "projects",
    params(("id" = String, Path), ("provider" = String, Path)), request_body = ProviderKeyBody,
    responses((status = 204, description = "Kept")))]
pub async fn put_key(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    ProviderPath(provider): ProviderPath,
    Address(address): Address,
    Json(body): Json<ProviderKeyBody>,
) -> Result<StatusCode> {
    projects::put_key(&state.ctx, caller.user, id, &provider, &body.api_key, Some(&address)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete a project's key for a provider
///
/// Chats in the project use the deployment's key again, if there is one.
#[utoipa::path(delete, path = "/projects/{id}/provider-keys/{provider}", tag = "projects",
    params(("id" = String, Path), ("provider" = String, Path)), responses((status = 204, description = "Gone")))]
pub async fn delete_key(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    ProviderPath(provider): ProviderPath,
) -> Result<StatusCode> {
    projects::delete_key(&state.ctx, caller.user, id, &provider).await?;
    Ok(StatusCode::NO_CONTENT)
}
