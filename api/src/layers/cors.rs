//! CORS, as configured; none by default.

use axum::http::{HeaderName, HeaderValue, Method};
use rapport_common::settings::Cors;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

const EXPOSED: [&str; 14] = [
    "www-authenticate",
    "x-request-id",
    "x-job-id",
    "location",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "idempotent-replayed",
    "content-location",
    "content-range",
    "etag",
    "upload-length",
    "upload-offset",
];

pub fn layer(settings: &Cors) -> CorsLayer {
    let exposed = EXPOSED.map(HeaderName::from_static);
    let layer = CorsLayer::new()
        .allow_methods(methods(settings))
        .expose_headers(exposed)
        .allow_headers(headers(settings))
        .max_age(std::time::Duration::from_secs(600));
    if settings.allowed_origins.iter().any(|origin| origin == "*") {
        return layer.allow_origin(AllowOrigin::any());
    }
    let origins = settings.allowed_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    layer.allow_origin(AllowOrigin::list(origins)).allow_credentials(settings.allow_credentials)
}

/// Those that are configured, or all we have.
fn methods(settings: &Cors) -> AllowMethods {
    let ours = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let named: Vec<Method> =
        settings.allow_methods.iter().filter_map(|name| Method::from_bytes(name.as_bytes()).ok()).collect();
    AllowMethods::list(if named.is_empty() { ours.to_vec() } else { named })
}

/// Those that are configured, or whatever a browser asks for.
fn headers(settings: &Cors) -> AllowHeaders {
    let named: Vec<HeaderName> =
        settings.allow_headers.iter().filter_map(|name| HeaderName::try_from(name.as_str()).ok()).collect();
    if named.is_empty() { AllowHeaders::mirror_request() } else { AllowHeaders::list(named) }
}
