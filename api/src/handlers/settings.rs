//! What the caller has set.

use axum::{Json as Answer, extract::State};
use rapport_common::usecase::settings::{self, SettingsChange, UserSettings};

use crate::{
    error::Result,
    extract::{Caller, Json},
    state::AppState,
};

/// Show your settings
///
/// With the defaults of what you have not set.
#[utoipa::path(get, path = "/settings", tag = "settings",
    responses((status = 200, description = "All settings, with defaults where nothing was set", body = UserSettings)))]
pub async fn get(State(state): State<AppState>, Caller(caller): Caller) -> Result<Answer<UserSettings>> {
    Ok(Answer(settings::get(&mut state.ctx.db.read().await?, caller.user).await?))
}

/// Change your settings
///
/// What you do not name stays.
#[utoipa::path(patch, path = "/settings", tag = "settings", request_body = SettingsChange,
    responses((status = 200, description = "All settings", body = UserSettings)))]
pub async fn patch(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Json(body): Json<SettingsChange>,
) -> Result<Answer<UserSettings>> {
    Ok(Answer(settings::change(&state.ctx, caller.user, body).await?))
}

/// Change your settings (same as PATCH)
///
/// What you do not name stays.
#[utoipa::path(put, path = "/settings", tag = "settings", request_body = SettingsChange,
    responses((status = 200, description = "All settings", body = UserSettings)))]
pub async fn put(
    state: State<AppState>,
    caller: Caller,
    body: Json<SettingsChange>,
) -> Result<Answer<UserSettings>> {
    patch(state, caller, body).await
}

/// Show your settings (alias)
///
/// The same as `GET /settings`.
#[utoipa::path(get, path = "/settings/settings", tag = "settings",
    responses((status = 200, description = "All settings", body = UserSettings)))]
pub async fn get_alias(state: State<AppState>, caller: Caller) -> Result<Answer<UserSettings>> {
    get(state, caller).await
}

/// Change your settings (alias)
///
/// The same as `PUT /settings`.
#[utoipa::path(put, path = "/settings/settings", tag = "settings", request_body = SettingsChange,
    responses((status = 200, description = "All settings", body = UserSettings)))]
pub async fn put_alias(
    state: State<AppState>,
    caller: Caller,
    body: Json<SettingsChange>,
) -> Result<Answer<UserSettings>> {
    patch(state, caller, body).await
}
