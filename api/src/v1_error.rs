//! Errors below `/v1`, in OpenAI's form, so that its clients raise their own classes.

use axum::http::{HeaderMap, HeaderValue};
use rapport_common::{
    Error,
    error::{Code, FieldCode, FieldError},
};
use serde::Serialize;
use serde_json::{Value, json};

/// Whether a request's path is one whose errors have OpenAI's form.
pub fn is_below(path: &str) -> bool {
    path.starts_with("/v1/") || path == "/v1"
}

/// What went wrong, as Anthropic says it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AnthropicError {
    #[serde(rename = "type")]
    #[schema(example = "error")]
    kind: String,
    #[schema(value_type = Object)]
    error: Value,
    request_id: Option<String>,
}

/// What went wrong, as OpenAI says it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct OpenAiError {
    error: OpenAiProblem,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct OpenAiProblem {
    /// A sentence for a person.
    message: String,
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    kind: &'static str,
    /// The field that is wrong.
    param: Option<String>,
    #[schema(example = "model_not_found")]
    code: Option<String>,
}

/// The status, and the words for it.
fn words(error: &Error) -> (u16, &'static str, Option<&str>) {
    const REQUEST: &str = "invalid_request_error";
    let field = error.errors.first();
    match error.code {
        Code::Invalid if field.is_some_and(names_no_model) => (404, REQUEST, Some("model_not_found")),
        Code::Invalid if field.is_some_and(|field| field.field == "previous_response_id") => {
            (400, REQUEST, Some("previous_response_not_found"))
        }
        Code::Invalid => (400, REQUEST, field.map(|field| parameter(field.code))),
        Code::Malformed | Code::BadQuery => (400, REQUEST, None),
        Code::IdempotencyMismatch => (400, REQUEST, Some("idempotency_mismatch")),
        Code::ProviderRefused => (400, REQUEST, Some("provider_refused")),
        Code::Unauthorized => (401, REQUEST, Some("invalid_api_key")),
        Code::KeyForbidden | Code::Forbidden => (403, REQUEST, Some("insufficient_permissions")),
        // As at OpenAI's, whose clients do not repeat it by themselves.
        Code::ToolServerFailed => (424, "external_connector_error", Some("http_error")),
        Code::RateLimited => (429, "requests", Some("rate_limit_exceeded")),
        Code::ProviderRateLimited => (429, "requests", Some("provider_rate_limited")),
        Code::BudgetSpent => (429, "insufficient_quota", Some("insufficient_quota")),
        code if code.status() < 500 => (code.status(), REQUEST, Some(code.as_str())),
        code => (code.status(), "server_error", Some(code.as_str())),
    }
}

/// A model, or the provider that is the first half of its name, that is not there.
fn names_no_model(field: &FieldError) -> bool {
    let absent = matches!(field.code, FieldCode::NoModel | FieldCode::NoProvider | FieldCode::NotOneOf);
    absent && matches!(field.field.as_str(), "model" | "provider")
}

fn parameter(code: FieldCode) -> &'static str {
    match code {
        FieldCode::UnknownField => "unknown_parameter",
        FieldCode::Required => "missing_required_parameter",
        FieldCode::Unfit => "unsupported_value",
        FieldCode::ContextLength => "context_length_exceeded",
        _ => "invalid_value",
    }
}

/// Whether a request's path is one whose errors have Anthropic's form.
pub fn is_anthropics(path: &str) -> bool {
    path.starts_with("/v1/messages")
}

/// The same in Anthropic's words.
pub fn anthropic(error: &Error, request_id: Option<&str>) -> Value {
    let kind = match status(error) {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": error.detail}, "request_id": request_id})
}

pub fn status(error: &Error) -> u16 {
    words(error).0
}

/// The body; streams carry it too.
pub fn body(error: &Error, request_id: Option<&str>) -> Value {
    let (_, kind, code) = words(error);
    let message = match request_id {
        Some(id) if error.code == Code::Internal => format!("{} (request id {id})", error.detail),
        _ => error.detail.clone(),
    };
    // The provider is the first half of a model's name.
    let param = error.errors.first().map(|field| field.field.as_str());
    let param = param.map(|field| if field == "provider" { "model" } else { field }.to_owned());
    json!(OpenAiError { error: OpenAiProblem { message, kind, param, code: code.map(str::to_owned) } })
}

/// OpenAI's clients repeat 408, 409, 429 and 5xx by themselves. Some of these a repeat cannot mend.
pub fn retry_headers(error: &Error, headers: &mut HeaderMap) {
    let in_vain = matches!(
        error.code,
        Code::BudgetSpent
            | Code::SessionBusy
            | Code::Conflict
            | Code::ProviderMisconfigured
            | Code::JobCrashed
            | Code::IdempotencyMismatch
    );
    let ended = error.code == Code::WrongState && error.retry_after.is_none();
    if error.job.is_some() || in_vain || ended {
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
    }
}
