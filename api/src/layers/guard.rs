//! Authenticates once, then counts the request against its rate limit.
//!
//! Three classes, each with a count of its own: `auth` (sign-in routes, by address), `chat` (sending messages, by user or API key)
//! and `read` (everything else, ten times the rate). Probes, metrics and documents are not counted.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rapport_common::{
    Error, clock,
    error::Code,
    limits::{Decision, Rate},
    telemetry::metrics::METRICS,
};

use crate::{
    error::Failure,
    extract::{Identity, authenticate, client, policy_path},
    state::AppState,
};

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Auth,
    Chat,
    Read,
}

impl Class {
    fn as_str(self) -> &'static str {
        match self {
            Class::Auth => "auth",
            Class::Chat => "chat",
            Class::Read => "read",
        }
    }
}

/// The class of a route; `None` is not counted.
fn class(method: &Method, path: &str) -> Option<Class> {
    let path = policy_path(path);
    let open = ["/health", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json"];
    if path == "/" || path.is_empty() || open.iter().any(|open| path.starts_with(open)) {
        return None;
    }
    let signs_in = [
        "/auth/login",
        "/auth/token",
        "/auth/register",
        "/auth/refresh",
        "/auth/request-otp",
        "/auth/verify-otp",
        "/auth/forgot-password",
        "/auth/reset-password",
    ];
    if method == Method::POST && signs_in.contains(&path) {
        return Some(Class::Auth);
    }
    if method == Method::POST
        && (["/chat", "/chat/stream", "/chat/branch", "/chat/regenerate"].contains(&path))
    {
        return Some(Class::Chat);
    }
    Some(Class::Read)
}

fn address(state: &AppState, request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    client(request.headers(), peer, state.ctx.settings.trusted_proxies)
}

pub async fn guard(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let class = class(request.method(), request.uri().path());
    let identity = authenticate(&state, request.headers()).await;
    let rate = state.ctx.settings.rate_limit;
    let decision = match class {
        Some(class) if rate.requests_per_minute > 0 => {
            let who = match &identity {
                Identity::Somebody(caller) if class != Class::Auth => match caller.key() {
                    Some(key) => key.to_string(),
                    None => caller.user.to_string(),
                },
                _ => address(&state, &request).to_string(),
            };
            let times = if class == Class::Read { 10 } else { 1 };
            let rate = Rate { per_minute: rate.requests_per_minute * times, burst: rate.burst * times };
            Some((class, state.ctx.limits.check(&format!("{}:{who}", class.as_str()), rate).await))
        }
        _ => None,
    };
    if let Some((class, decision)) = decision
        && !decision.allowed
    {
        METRICS.rate_limited.with_label_values(&[class.as_str()]).inc();
        let error =
            Error::new(Code::RateLimited, "Too many requests. Try again after the time in `Retry-After`.")
                .retry_after(decision.retry_after.as_secs_f64().ceil() as u64);
        return with_headers(Failure(error).into_response(), &decision);
    }
    request.extensions_mut().insert(identity);
    let response = next.run(request).await;
    match decision {
        Some((_, decision)) => with_headers(response, &decision),
        None => response,
    }
}

fn with_headers(mut response: Response, decision: &Decision) -> Response {
    let reset = clock::now().timestamp() + decision.reset.as_secs_f64().ceil() as i64;
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", HeaderValue::from(decision.limit));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(decision.remaining));
    headers.insert("x-ratelimit-reset", HeaderValue::from(reset));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_share_a_class() {
        for path in ["/chat", "/api/chat", "/api/v1/chat"] {
            assert!(class(&Method::POST, path) == Some(Class::Chat));
        }
        assert!(class(&Method::GET, "/api/v1/health").is_none());
    }
}
