//! Where this service is, as the client knows it.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use rapport_common::{settings::Settings, usecase::oauth};

use super::forwarded_https;
use crate::state::AppState;

/// `PUBLIC_URL`, or what the client named.
pub struct Here(pub oauth::Here);

impl FromRequestParts<AppState> for Here {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let url = address(&state.ctx.settings, &parts.headers);
        Ok(Self(oauth::Here { url }))
    }
}

/// `Host` is the client's word: only what a host and a port are made of is believed.
pub fn address(settings: &Settings, headers: &HeaderMap) -> String {
    if let Some(url) = &settings.public_url {
        return url.clone();
    }
    let plain = |host: &&str| {
        let made_of = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        !host.is_empty() && host.len() <= 255 && host.chars().all(made_of)
    };
    let host = headers.get("host").and_then(|value| value.to_str().ok()).filter(plain);
    let scheme = if forwarded_https(headers, settings.trusted_proxies) { "https" } else { "http" };
    format!("{scheme}://{}", host.unwrap_or("127.0.0.1:8000"))
}
