//! Accounts, as admins see and change them.

use axum::{Json as Answer, extract::State, http::StatusCode};
use rapport_common::{
    Error,
    domain::{ids::UserId, user::User},
    error::Code,
    store,
    usecase::admin,
};
use serde::Deserialize;

use super::actor;
use crate::{
    error::Result,
    extract::{Address, Caller, CursorParams, CursorQuery, Json, Query, UserPath},
    page::{Page, Total, listed},
    state::AppState,
};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// Part of an email, username or name.
    q: Option<String>,
}

listed!(UserList = Page<User>, Total::Always);

/// List accounts, newest first
///
/// Names, role and state of every account, in pages.
#[utoipa::path(get, path = "/admin/users", tag = "admin", params(UserQuery, CursorParams),
    responses((status = 200, description = "Accounts", body = UserList)))]
pub async fn users(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<UserQuery>,
    CursorQuery { limit, after }: CursorQuery<UserId>,
) -> Result<Answer<UserList>> {
    let mut conn = state.ctx.db.read().await?;
    let text = query.q.filter(|text| !text.trim().is_empty());
    let items = store::users::list(&mut conn, after, text.as_deref(), limit).await?;
    let total = store::users::count(&mut conn).await?;
    Ok(Answer(Page::of(items, limit, |last| last.id).with_total(Some(total))))
}

/// Activate an account
///
/// Its owner can sign in again.
#[utoipa::path(post, path = "/admin/users/{id}/activate", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, description = "The account", body = User)))]
pub async fn activate(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    UserPath(id): UserPath,
) -> Result<Answer<User>> {
    Ok(Answer(admin::set_active(&state.ctx, &actor(&caller, address), id, true).await?))
}

/// Deactivate an account
///
/// Every login of it ends, and nobody can sign in to it until it is activated.
#[utoipa::path(post, path = "/admin/users/{id}/deactivate", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, description = "The account", body = User),
              (status = 409, description = "It is the admin's own", body = crate::problem::Problem)))]
pub async fn deactivate(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    UserPath(id): UserPath,
) -> Result<Answer<User>> {
    if id == caller.user {
        let detail = "An admin does not shut themselves out: another admin can.";
        return Err(Error::new(Code::Conflict, detail).into());
    }
    Ok(Answer(admin::set_active(&state.ctx, &actor(&caller, address), id, false).await?))
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct QuotaBody {
    /// Tokens a day; 0 is no limit, absent the service's default.
    daily_tokens: Option<i64>,
    /// US dollars a day; 0 is no limit, absent the service's default.
    daily_cost: Option<f64>,
}

/// Set what an account may spend a day
///
/// Tokens and US dollars a day (UTC). Absent or 0 is no limit of its own.
#[utoipa::path(put, path = "/admin/users/{id}/quota", tag = "admin", params(("id" = String, Path)),
    request_body = QuotaBody, responses((status = 204, description = "Set")))]
pub async fn quota(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    UserPath(id): UserPath,
    Json(body): Json<QuotaBody>,
) -> Result<StatusCode> {
    admin::set_quota(&state.ctx, &actor(&caller, address), id, body.daily_tokens, body.daily_cost).await?;
    Ok(StatusCode::NO_CONTENT)
}
