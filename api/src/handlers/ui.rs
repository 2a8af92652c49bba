//! What a browser finds at `/`.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderMap, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::json;

use crate::state::AppState;

const PAGE: &str = include_str!("../../assets/index.html");

/// HTML for a browser, JSON for others.
pub async fn index(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
        let page = PAGE.replace("{url}", &address(&headers, state.ctx.settings.trusted_proxies > 0));
        return ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response();
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

/// Where the browser found this page, for commands to paste. `Host` is the client's word: only what a host and a port are
/// made of gets into the page.
fn address(headers: &HeaderMap, behind_proxy: bool) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let plain = |host: &&str| {
        let made_of = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        !host.is_empty() && host.len() <= 255 && host.chars().all(made_of)
    };
    let host = text("host").filter(plain).unwrap_or("127.0.0.1:8000");
    let scheme = match text("x-forwarded-proto") {
        Some("https") if behind_proxy => "https",
        _ => "http",
    };
    format!("{scheme}://{host}")
}
