//! One's own account: password, profile, farewell, and everything to take along.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use rapport_common::{
    Error,
    domain::{job::JobKind, user::User},
    jobs::payload::AccountExportPayload,
    store::jobs,
    usecase::{
        accounts::SignedIn,
        memory,
        profile::{self, ProfileChange},
        repeat,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    auth::{Said, Tokens},
    jobs::JobView,
};
use crate::{
    error::Result,
    extract::{Address, Caller, JobPath, Json},
    state::AppState,
    ui::cookie::InCookie,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ChangePasswordBody {
    #[serde(alias = "old_password")]
    #[schema(example = "Correct-horse-1")]
    current_password: String,
    #[schema(example = "Another-horse-2")]
    new_password: String,
    /// Also delete all API keys and webhooks: after a theft.
    #[serde(default)]
    revoke_keys_and_webhooks: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct PasswordChanged {
    #[schema(example = "The password is changed.")]
    message: &'static str,
    #[serde(flatten)]
    tokens: Tokens,
}

/// Change your password
///
/// Every login of the account ends, this one too: go on with the tokens of the answer. API keys and webhooks stay, unless
/// `revoke_keys_and_webhooks` is true.
#[utoipa::path(post, path = "/auth/change-password", tag = "auth", request_body = ChangePasswordBody,
    responses((status = 200, description = "Changed", body = PasswordChanged)))]
pub async fn change_password(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    cookie: InCookie,
    Json(body): Json<ChangePasswordBody>,
) -> Result<Response> {
    let ChangePasswordBody { current_password: old, new_password: new, revoke_keys_and_webhooks } = body;
    let (caller, address) = (&caller, Some(address.as_str()));
    let changed =
        profile::change_password(&state.ctx, caller, &old, &new, revoke_keys_and_webhooks, address).await?;
    let body = |signed_in: SignedIn| PasswordChanged {
        message: "The password is changed.",
        tokens: signed_in.into(),
    };
    Ok(super::auth::tokens(&state, StatusCode::OK, &cookie, body, changed))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ProfileBody {
    /// Another address needs the `password`, and is not verified yet. The old one gets a mail about it.
    email: Option<String>,
    /// Only to change `email`.
    password: Option<String>,
    username: Option<String>,
    #[schema(example = "Ann Lee")]
    name: Option<String>,
}

/// Change your profile
///
/// What you do not name stays.
#[utoipa::path(patch, path = "/users/me", tag = "accounts", request_body = ProfileBody,
    responses((status = 200, description = "The account", body = User),
              (status = 409, description = "The email or username is taken", body = crate::problem::Problem)))]
pub async fn change(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    Json(body): Json<ProfileBody>,
) -> Result<Answer<User>> {
    let ProfileBody { email, password, username, name } = body;
    let change = ProfileChange { email, password, username, name };
    Ok(Answer(profile::change(&state.ctx, &caller, change, Some(&address)).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct PasswordBody {
    #[schema(example = "Correct-horse-1")]
    password: String,
}

/// Deactivate your account
///
/// Every login ends, and nobody can sign in until an admin activates it again. Nothing is erased.
#[utoipa::path(post, path = "/users/me/deactivate", tag = "accounts", request_body = PasswordBody,
    responses((status = 200, description = "Deactivated", body = Said)))]
pub async fn deactivate(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    Json(body): Json<PasswordBody>,
) -> Result<Answer<Said>> {
    profile::deactivate(&state.ctx, &caller, &body.password, Some(&address)).await?;
    Ok(Answer(Said { message: "The account is deactivated." }))
}

/// Delete your account
///
/// The account is closed at once; a job erases everything it owns: rows, vectors, events, files, mail.
#[utoipa::path(delete, path = "/users/me", tag = "accounts", request_body = PasswordBody,
    responses((status = 202, description = "The job that erases", body = JobView)))]
pub async fn erase(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    Json(body): Json<PasswordBody>,
) -> Result<Response> {
    let job = profile::erase(&state.ctx, &caller, &body.password, Some(&address)).await?;
    Ok((StatusCode::ACCEPTED, Answer(JobView::of(&caller, job))).into_response())
}

/// Export everything of your account
///
/// A job writes one ZIP archive of JSON files. Its result says where to download it, for a day.
#[utoipa::path(get, path = "/users/me/export", tag = "accounts",
    responses((status = 202, description = "The job that writes", body = JobView)))]
pub async fn export(State(state): State<AppState>, Caller(caller): Caller) -> Result<Response> {
    let new = memory::job(&state.ctx, caller.user, &AccountExportPayload {})?;
    let new = new.once(format!("account_export:{}", caller.user));
    let (job, _) = repeat::put_in(&state.ctx, caller.user, new, "account_export", None).await?;
    Ok(super::chat::job_response(&caller, job))
}

/// Download the archive of your account
///
/// The ZIP file that the export job wrote. It is kept for a day.
#[utoipa::path(get, path = "/users/me/exports/{id}", tag = "accounts", params(("id" = String, Path)),
    responses((status = 200, description = "A ZIP archive", body = String, content_type = "application/octet-stream"),
              (status = 409, description = "It is not written yet", body = crate::problem::Problem)))]
pub async fn download(
    State(state): State<AppState>,
    Caller(caller): Caller,
    JobPath(id): JobPath,
) -> Result<Response> {
    let job = jobs::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    let job =
        job.filter(|job| job.kind == JobKind::AccountExport).ok_or_else(|| Error::not_found("export"))?;
    let body = super::memory::transfer::kept_file(&state, &caller, &job).await?;
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/octet-stream"));
    headers.insert("content-disposition", HeaderValue::from_static("attachment; filename=\"account.zip\""));
    Ok(response)
}
