//! API keys.

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use rapport_common::{
    problems::Problems,
    store,
    usecase::keys::{self, Bounds},
};
use serde::{Deserialize, Serialize};

use crate::{
    bodies::ApiKey,
    error::Result,
    extract::{Address, Caller, KeyPath, Keyed, NoPages},
    page::{List, listed},
    state::AppState,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct NewKeyBody {
    #[schema(example = "my script")]
    name: String,
    /// Some of `chat`, `memory`, `projects`, `account`, `admin`; absent: everything a key may do.
    scopes: Option<Vec<String>>,
    expires_at: Option<DateTime<Utc>>,
    /// Tokens it may spend a month (UTC).
    monthly_tokens: Option<i64>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct KeyMade {
    #[serde(flatten)]
    key_info: ApiKey,
    /// The key itself: shown once, and kept nowhere.
    #[schema(example = "rk_3fQxw1…")]
    key: String,
}

listed!(KeyList = List<ApiKey>);

/// List your API keys
///
/// Their names, first characters, scopes and dates; never the keys themselves.
#[utoipa::path(get, path = "/api-keys", tag = "accounts",
    responses((status = 200, description = "Keys, without their text", body = KeyList)))]
pub async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    _: NoPages,
) -> Result<Answer<KeyList>> {
    Ok(Answer(List::of(store::keys::list(&mut state.ctx.db.read().await?, caller.user).await?)))
}

/// Create an API key
///
/// It is accepted as `Authorization: Bearer` on all routes its scopes allow.
#[utoipa::path(post, path = "/api-keys", tag = "accounts", request_body = NewKeyBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 201, description = "The key, shown once", body = KeyMade),
              (status = 409, description = "There are too many", body = crate::problem::Problem)))]
pub async fn create(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    Keyed(body, repeatable): Keyed<NewKeyBody>,
) -> Result<Response> {
    let NewKeyBody { name, scopes, expires_at, monthly_tokens } = body;
    let bounds = Bounds { scopes, expires_at, monthly_tokens };
    let mut problems = Problems::default();
    let name = problems.checked("name", Some(name));
    bounds.check(&mut problems);
    let name = problems.unless_wrong(name)?;
    let made = keys::create(&state.ctx, &caller, name, bounds, repeatable.as_ref(), Some(&address)).await?;
    let (row, key, replayed) = made;
    let mut response = (StatusCode::CREATED, Answer(KeyMade { key_info: row.into(), key })).into_response();
    super::chat::mark_replayed(&mut response, replayed);
    Ok(response)
}

/// Delete an API key
///
/// It stops working at once.
#[utoipa::path(delete, path = "/api-keys/{id}", tag = "accounts", params(("id" = String, Path)),
    responses((status = 204, description = "The key no longer works")))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    KeyPath(id): KeyPath,
    Address(address): Address,
) -> Result<StatusCode> {
    keys::delete(&state.ctx, caller.user, id, Some(&address)).await?;
    Ok(StatusCode::NO_CONTENT)
}
