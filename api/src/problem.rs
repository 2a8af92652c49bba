//! Shapes that only the description has.

use rapport_common::error::FieldError;
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong (RFC 9457).
#[derive(Serialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: String,
    #[schema(example = "Not found")]
    title: String,
    #[schema(example = 404)]
    status: u16,
    /// A sentence for a person.
    #[schema(example = "There is no such session.")]
    detail: String,
    /// Stable: programs may switch on it. docs/errors.md lists all.
    #[schema(example = "not_found")]
    code: String,
    request_id: Option<String>,
    /// For 422: what is wrong with which field.
    errors: Option<Vec<FieldError>>,
}

/// One server-sent event; `data` is a JSON object as one line of text.
#[derive(Serialize, ToSchema)]
pub struct StreamEvent {
    #[schema(example = "1-2")]
    id: Option<String>,
    #[schema(example = "token")]
    event: Option<String>,
    #[schema(example = r#"{"delta":"Hello","index":2}"#)]
    data: Option<String>,
}
