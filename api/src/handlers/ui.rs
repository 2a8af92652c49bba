//! What a browser finds at `/`.

use axum::{
    Json as Answer,
    http::{HeaderMap, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::json;

const PAGE: &str = include_str!("../../assets/index.html");

/// HTML for a browser, JSON for others.
pub async fn index(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
        return ([(header::CONTENT_SECURITY_POLICY, policy)], Html(PAGE)).into_response();
    }
    Answer(json!({
        "service": "rapport",
        "version": env!("CARGO_PKG_VERSION"),
        "documentation": "/docs",
        "openapi": "/openapi.json",
        "api": "/api/v1",
    }))
    .into_response()
}
