//! CORS, as configured; none by default.

use axum::http::{HeaderName, HeaderValue, Method};
use rapport_common::settings::Cors;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

const EXPOSED: [&str; 8] = [
    "x-request-id",
    "x-job-id",
    "location",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "idempotent-replayed",
];

pub fn layer(settings: &Cors) -> CorsLayer {
    let exposed = EXPOSED.map(HeaderName::from_static);
    let layer = CorsLayer::new()
        .allow_methods(AllowMethods::list([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ]))
        .expose_headers(exposed)
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(std::time::Duration::from_secs(600));
    if settings.allowed_origins.iter().any(|origin| origin == "*") {
        return layer.allow_origin(AllowOrigin::any());
    }
    let origins = settings.allowed_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    layer.allow_origin(AllowOrigin::list(origins)).allow_credentials(settings.allow_credentials)
}
