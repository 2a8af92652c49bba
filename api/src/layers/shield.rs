//! What every answer says to browsers: no guessing of types, no frames, no referrers, HTTPS from now on, nothing kept.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

use crate::{extract::forwarded_https, state::AppState};

const ALWAYS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
];
/// A page may load its own assets; anything else that a browser shows loads nothing.
const CSP_PAGE: &str = "frame-ancestors 'none'";
const CSP_DATA: &str = "default-src 'none'; frame-ancestors 'none'";
const HSTS: &str = "max-age=31536000";

pub async fn shield(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let is_https = forwarded_https(request.headers(), state.ctx.settings.trusted_proxies);
    let path = request.uri().path();
    let is_public =
        path == "/" || ["/docs", "/redoc", "/openapi.json", "/start"].iter().any(|own| path.starts_with(own));
    let mut response = next.run(request).await;
    // A page that is older than its server notices by this.
    let ui = HeaderValue::from_static(crate::ui::version(state.ctx.settings.ui_dir.as_deref()));
    response.headers_mut().insert("x-rapport-ui", ui);
    cover(response.headers_mut(), is_https, is_public);
    response
}

fn cover(headers: &mut HeaderMap, is_https: bool, is_public: bool) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let is_page =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    // A page that says itself what it may load is only kept out of frames.
    let own = headers.get(header::CONTENT_SECURITY_POLICY).and_then(|own| own.to_str().ok());
    let policy = match own {
        Some(own) => HeaderValue::from_str(&format!("{own}; {CSP_PAGE}")).ok(),
        None => Some(HeaderValue::from_static(if is_page { CSP_PAGE } else { CSP_DATA })),
    };
    if let Some(policy) = policy {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if is_https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    // All that is not public is somebody's own, tokens and keys first: nothing between us and them may keep it.
    if !is_public && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
