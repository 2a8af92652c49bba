//! Codes and tokens by mail: to verify an address, and to set a new password.

use axum::{Json as Answer, extract::State};
use rapport_common::usecase::codes;
use serde::{Deserialize, Serialize};

use super::auth::Said;
use crate::{
    error::Result,
    extract::{Address, Json},
    state::AppState,
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
