//! Errors of `/token`, `/register` and `/revoke`, as RFC 6749 and RFC 7591 write them.

use rapport_common::{Error, error::Code};
use serde::Serialize;
use serde_json::{Value, json};

/// Whether a request's path is one whose errors have this form.
pub fn is_of(path: &str) -> bool {
    matches!(path.trim_end_matches('/'), "/token" | "/register" | "/revoke")
}

/// What went wrong, as OAuth says it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct OAuthError {
    #[schema(example = "invalid_grant")]
    error: &'static str,
    /// A sentence for a person.
    error_description: String,
}

/// The status: a request that could be read and is wrong is 400 as well.
pub fn status(error: &Error) -> u16 {
    match error.code {
        Code::Invalid => 400,
        code => code.status(),
    }
}

pub fn body(error: &Error) -> Value {
    let word = match error.code {
        Code::OAuthRequest
        | Code::OAuthClient
        | Code::OAuthGrant
        | Code::OAuthGrantType
        | Code::OAuthResponseType
        | Code::OAuthScope
        | Code::OAuthTarget
        | Code::OAuthRedirect
        | Code::OAuthMetadata => error.code.as_str(),
        code if code.may_pass() || code == Code::RateLimited => "temporarily_unavailable",
        code if code.status() >= 500 => "server_error",
        _ => "invalid_request",
    };
    json!(OAuthError { error: word, error_description: error.detail.clone() })
}
