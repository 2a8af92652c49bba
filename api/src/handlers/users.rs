//! One's own account: codes by mail, passwords, profile, keys, farewell.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error,
    domain::{job::JobKind, user::User},
    jobs::payload::AccountExportPayload,
    store::{jobs, keys::ApiKey},
    usecase::{
        accounts::SignedIn,
        codes,
        keys::{self, NewKey},
        memory,
        profile::{self, ProfileChange},
    },
};
use serde::{Deserialize, Serialize};

use super::{
    auth::{Said, Tokens},
    jobs::JobView,
};
use crate::{
    error::Result,
    extract::{Address, Caller, IdempotencyKey, JobPath, Json, KeyPath, Raw},
    state::AppState,
    ui::cookie::InCookie,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct EmailBody {
    #[schema(example = "ann@example.com")]
    email: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct CodeSent {
    #[schema(example = "If this address has an account, a code is on its way.")]
    message: &'static str,
    /// Seconds.
    #[schema(example = 300)]
    expires_in: i64,
}

fn sent() -> Answer<CodeSent> {
    Answer(CodeSent {
        message: "If this address has an account, a code is on its way.",
        expires_in: codes::GOOD_FOR,
    })
}

/// Request a code to verify your address
///
/// The answer is the same whether or not the address has an account. The code is good for five minutes, once, for five tries.
#[utoipa::path(post, path = "/auth/request-otp", tag = "auth", request_body = EmailBody, security(()),
    responses((status = 200, description = "Always the same", body = CodeSent)))]
pub async fn request_otp(
    State(state): State<AppState>,
    Json(body): Json<EmailBody>,
) -> Result<Answer<CodeSent>> {
    codes::send(&state.ctx, &body.email, "verify").await?;
    Ok(sent())
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct VerifyEmailBody {
    #[schema(example = "ann@example.com")]
    email: String,
    /// Six digits.
    #[schema(example = "123456")]
    otp: String,
}

/// Verify your address with a code
///
/// Marks the address as verified. A code works once, for five minutes and five tries.
#[utoipa::path(post, path = "/auth/verify-otp", tag = "auth", request_body = VerifyEmailBody, security(()),
    responses((status = 200, description = "Verified", body = Said)))]
pub async fn verify_otp(
    State(state): State<AppState>,
    Address(address): Address,
    Json(body): Json<VerifyEmailBody>,
) -> Result<Answer<Said>> {
    codes::verify(&state.ctx, &body.email, &body.otp, Some(&address)).await?;
    Ok(Answer(Said { message: "Email verified successfully." }))
}

/// Request a mail to reset your password
///
/// The answer is the same whether or not the address has an account.
#[utoipa::path(post, path = "/auth/forgot-password", tag = "auth", request_body = EmailBody, security(()),
    responses((status = 200, description = "Always the same", body = CodeSent)))]
pub async fn forgot_password(
    State(state): State<AppState>,
    Json(body): Json<EmailBody>,
) -> Result<Answer<CodeSent>> {
    codes::send(&state.ctx, &body.email, "reset").await?;
    Ok(sent())
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ResetBody {
    #[schema(example = "ann@example.com")]
    email: String,
    /// Of the mail.
    token: String,
    #[schema(example = "Another-horse-2")]
    new_password: String,
}

/// Set a new password with the token of a mail
///
/// Every login of the account ends, and its API keys and webhooks are deleted. Send the `device_token` with the next sign-in:
/// it gets through even while others guess at the account.
#[utoipa::path(post, path = "/auth/reset-password", tag = "auth", request_body = ResetBody, security(()),
    responses((status = 200, description = "Set", body = PasswordSet)))]
pub async fn reset_password(
    State(state): State<AppState>,
    Address(address): Address,
    Json(body): Json<ResetBody>,
) -> Result<Answer<PasswordSet>> {
    let ResetBody { email, token, new_password } = body;
    let device_token = codes::reset(&state.ctx, &email, &token, &new_password, Some(&address)).await?;
    Ok(Answer(PasswordSet { message: "The password is set. Sign in with it.", device_token }))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct PasswordSet {
    message: &'static str,
    /// For the next sign-in.
    device_token: String,
}

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
              (status = 409, description = "The email or username is taken", body = crate::openapi::Problem)))]
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

#[derive(Serialize, utoipa::ToSchema)]
pub struct KeyList {
    items: Vec<ApiKey>,
}

/// List your API keys
///
/// Their names, first characters, scopes and dates; never the keys themselves.
#[utoipa::path(get, path = "/api-keys", tag = "accounts",
    responses((status = 200, description = "Keys, without their text", body = KeyList)))]
pub async fn list_keys(State(state): State<AppState>, Caller(caller): Caller) -> Result<Answer<KeyList>> {
    let items = rapport_common::store::keys::list(&mut state.ctx.db.read().await?, caller.user).await?;
    Ok(Answer(KeyList { items }))
}

/// Create an API key
///
/// It is accepted as `Authorization: Bearer` on all routes its scopes allow.
#[utoipa::path(post, path = "/api-keys", tag = "accounts", request_body = NewKeyBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 201, description = "The key, shown once", body = KeyMade),
              (status = 409, description = "There are too many", body = crate::openapi::Problem)))]
pub async fn make_key(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    IdempotencyKey(idempotency): IdempotencyKey,
    Raw(body, bytes): Raw<NewKeyBody>,
) -> Result<Response> {
    let NewKeyBody { name, scopes, expires_at, monthly_tokens } = body;
    let new = NewKey { name, scopes, expires_at, monthly_tokens };
    let idempotency = idempotency.map(|key| (key, bytes.to_vec()));
    let made = keys::create(&state.ctx, &caller, new, &idempotency, Some(&address)).await?;
    let (key_info, key, replayed) = made;
    let mut response = (StatusCode::CREATED, Answer(KeyMade { key_info, key })).into_response();
    super::chat::mark_replayed(&mut response, replayed);
    Ok(response)
}

/// Delete an API key
///
/// It stops working at once.
#[utoipa::path(delete, path = "/api-keys/{id}", tag = "accounts", params(("id" = String, Path)),
    responses((status = 204, description = "The key no longer works")))]
pub async fn delete_key(
    State(state): State<AppState>,
    Caller(caller): Caller,
    KeyPath(id): KeyPath,
    Address(address): Address,
) -> Result<StatusCode> {
    keys::delete(&state.ctx, caller.user, id, Some(&address)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Export everything of your account
///
/// A job writes one ZIP archive of JSON files. Its result says where to download it, for a day.
#[utoipa::path(get, path = "/users/me/export", tag = "accounts",
    responses((status = 202, description = "The job that writes", body = JobView)))]
pub async fn export(State(state): State<AppState>, Caller(caller): Caller) -> Result<Response> {
    let new = memory::job(&state.ctx, caller.user, &AccountExportPayload {})?;
    let new = new.once(format!("account_export:{}", caller.user));
    let (job, _) = memory::put_in(&state.ctx, caller.user, new, "account_export", &None).await?;
    Ok(super::chat::job_response(&caller, job))
}

/// Download the archive of your account
///
/// The ZIP file that the export job wrote. It is kept for a day.
#[utoipa::path(get, path = "/users/me/exports/{id}", tag = "accounts", params(("id" = String, Path)),
    responses((status = 200, description = "A ZIP archive", body = String, content_type = "application/octet-stream"),
              (status = 409, description = "It is not written yet", body = crate::openapi::Problem)))]
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
