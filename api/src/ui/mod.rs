//! The web UI: a page at `/`, its files below `/ui/<version>/`, and what the page needs to know first (`/ui/boot`).

mod assets;
pub mod boot;
#[cfg(test)]
#[path = "../../build/mod.rs"]
mod bundle;
pub mod cookie;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use rapport_common::auth::token_hash;

use crate::state::AppState;

/// Strict: no inline script or style, nothing from elsewhere, no HTML made of strings.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
     connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
     require-trusted-types-for 'script'; trusted-types rapport";

/// The page. It may be kept, and is asked for anew each time.
pub async fn page(state: &AppState, headers: &HeaderMap) -> Response {
    let Some(page) = assets::page(state.ctx.settings.ui_dir.as_deref()).await else {
        return (axum::http::StatusCode::NOT_FOUND, "UI_DIR has no index.html").into_response();
    };
    let tag = format!("\"{}\"", HEXLOWER.encode(&token_hash(&page)[..8]));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let is_gzip = !known && assets::takes_gzip(headers);
    let mut response = match (known, is_gzip) {
        (true, _) => axum::http::StatusCode::NOT_MODIFIED.into_response(),
        (false, true) => Html(assets::gzip(page.as_bytes())).into_response(),
        (false, false) => Html(page).into_response(),
    };
    let out = response.headers_mut();
    if is_gzip {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    out.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(header::ETAG, tag);
    }
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    out.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    out.insert("permissions-policy", HeaderValue::from_static("camera=(), geolocation=(), microphone=()"));
    response
}

pub async fn file(
    State(state): State<AppState>,
    Path((version, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    assets::file(state.ctx.settings.ui_dir.as_deref(), &version, &name, &headers).await
}

pub use assets::version;
