//! Request id, trace context, access log, metrics; and the last touch on problems.

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use rapport_common::{
    Error,
    domain::ids::JobId,
    telemetry::{metrics::METRICS, trace::TraceContext},
};
use std::panic::AssertUnwindSafe;
use tokio::time::Instant;
use tracing::Instrument;

use crate::{error, error::Failure, extract::Trace, v1_error};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's id if it is sane, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let sane = |text: &&str| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(sane);
    given.map_or_else(new_request_id, str::to_owned)
}

/// Any id of ours is unique and sortable; the prefix says what it is.
pub fn new_request_id() -> String {
    JobId::new().to_string().replacen("job_", "req_", 1)
}

pub async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let trace = parent.and_then(TraceContext::parse).map_or_else(TraceContext::root, TraceContext::child);
    request.extensions_mut().insert(Trace(trace));
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let span =
        tracing::info_span!("request", request_id = %id, trace_id = format!("{:032x}", trace.trace_id));
    async move {
        let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        let response =
            answered.unwrap_or_else(|_| Failure(Error::internal("a handler panicked")).into_response());
        let mut response = error::render(response, &id, &path);
        if let Ok(value) = HeaderValue::from_str(&id) {
            if v1_error::is_anthropics(&path) {
                response.headers_mut().insert("request-id", value.clone()); // their clients look for this one
            }
            response.headers_mut().insert(REQUEST_ID, value);
        }
        let status = response.status().as_u16();
        let method = if method.as_str().len() > 7 { "other" } else { method.as_str() };
        METRICS.requests.with_label_values(&[&route, method, &status.to_string()]).inc();
        METRICS.request_seconds.with_label_values(&[&route, method]).observe(started.elapsed().as_secs_f64());
        tracing::info!(method, route, status, millis = started.elapsed().as_millis() as u64, "answered");
        response
    }
    .instrument(span)
    .await
}
