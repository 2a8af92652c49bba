//! The only way a failure leaves: `application/problem+json`.
//!
//! A handler's error becomes an empty response that carries the error; the outermost layer, which knows the request's
//! id, logs it once and writes the body.

use std::sync::Arc;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rapport_common::{Error, error::Code};

use crate::{oauth_error, v1_error};

pub type Result<T, E = Failure> = std::result::Result<T, E>;

#[derive(Debug)]
pub struct Failure(pub Error);

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

#[derive(Clone)]
struct Carried(Arc<Error>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = StatusCode::from_u16(self.0.code.status()).unwrap_or_default().into_response();
        response.extensions_mut().insert(Carried(Arc::new(self.0)));
        response
    }
}

/// Writes the body of a response that carries an error; others pass. Below `/v1`, and of OAuth, it has the form of that API.
pub fn render(response: Response, request_id: &str, path: &str) -> Response {
    let Some(Carried(error)) = response.extensions().get::<Carried>().cloned() else { return response };
    match error.code.status() {
        500.. => tracing::error!(%error, "request failed"),
        _ => tracing::debug!(%error, "request refused"),
    }
    let (is_v1, is_oauth) = (v1_error::is_below(path), oauth_error::is_of(path));
    let mut problem = if is_oauth {
        let status = StatusCode::from_u16(oauth_error::status(&error)).unwrap_or_default();
        (status, Json(oauth_error::body(&error))).into_response()
    } else if is_v1 {
        let status = StatusCode::from_u16(v1_error::status(&error)).unwrap_or_default();
        let body = match v1_error::is_anthropics(path) {
            true => v1_error::anthropic(&error, Some(request_id)),
            false => v1_error::body(&error, Some(request_id)),
        };
        (status, Json(body)).into_response()
    } else {
        (response.status(), Json(error.problem(Some(request_id)))).into_response()
    };
    let headers = problem.headers_mut();
    for (name, value) in response.headers() {
        headers.append(name.clone(), value.clone());
    }
    if is_v1 {
        v1_error::retry_headers(&error, headers);
    }
    let kind = if is_v1 || is_oauth { "application/json" } else { "application/problem+json" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(seconds) = error.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.code == Code::Unauthorized {
        headers.entry(header::WWW_AUTHENTICATE).or_insert(HeaderValue::from_static("Bearer"));
    }
    if error.job.is_some() || matches!(error.code, Code::SessionBusy | Code::IdempotencyMismatch) {
        // OpenAI's SDKs retry 409 and 5xx by themselves; these a retry cannot mend, or would do twice.
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
    }
    problem
}
