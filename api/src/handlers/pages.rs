//! What a browser finds at `/` (the web UI), `/start` (the first commands) and `/redoc`.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderMap, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::json;

use crate::{extract::address, state::AppState};

const START: &str = include_str!("../../assets/start.html");
const REDOC_PAGE: &str = include_str!("../../assets/redoc.html");
/// Redoc as npm has it, compressed (api/assets/redoc.LICENSE.txt). No crate brings it along.
const REDOC: &[u8] = include_bytes!("../../assets/redoc.standalone.js.gz");

/// The API reference by Redoc: a page to read, without anything from elsewhere.
pub async fn redoc() -> Response {
    // It compiles functions, its search runs in a worker made of a blob, and its logo would come from a CDN.
    let policy = "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'unsafe-inline'; img-src 'self' data:; \
                  font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(REDOC_PAGE)).into_response()
}

pub async fn redoc_script() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CONTENT_ENCODING, "gzip"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
    ];
    (headers, REDOC).into_response()
}

/// The first commands to try, with the address this page was found at.
pub async fn start(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    let page = START.replace("{url}", &address(&state.ctx.settings, &headers));
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

/// The web UI for a browser, JSON for others.
pub async fn index(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        return crate::ui::page(&state, &headers).await;
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
