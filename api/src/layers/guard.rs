//! Authenticates once, then counts the request against its rate limit.
//!
//! Three classes, each with a count of its own: `auth` (sign-in routes, by address, with a tight rate of its own), `chat`
//! (sending messages, by user or API key) and `read` (everything else, ten times the rate). Probes, metrics and documents
//! are not counted.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rapport_common::{
    Error, auth, clock,
    error::Code,
    limits::{Decision, Rate, network},
    settings::RateLimit,
    telemetry::metrics::METRICS,
};

use crate::{
    error::Failure,
    extract::{Identity, authenticate, client, policy_path},
    state::AppState,
};

#[derive(Clone, Copy, PartialEq)]
pub enum Class {
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

    /// `None`: there is no limit.
    fn rate(self, limits: &RateLimit) -> Option<Rate> {
        let (per_minute, burst) = (limits.requests_per_minute, limits.burst);
        (per_minute > 0).then_some(match self {
            Class::Auth => Rate::per_minute(limits.sign_ins_per_minute, limits.sign_ins_per_minute),
            Class::Chat => Rate::per_minute(per_minute, burst),
            Class::Read => Rate::per_minute(per_minute * 10, burst * 10),
        })
    }
}

/// The class of a route; `None` is not counted.
fn class(method: &Method, path: &str) -> Option<Class> {
    let path = policy_path(path);
    let open =
        ["/health", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/redoc", "/start", "/ui"];
    if path == "/" || path.is_empty() || open.iter().any(|open| path.starts_with(open)) {
        return None;
    }
    let signs_in = [
        "/auth/login",
        "/auth/token",
        "/auth/register",
        "/auth/request-otp",
        "/auth/verify-otp",
        "/auth/forgot-password",
        "/auth/reset-password",
    ];
    if method == Method::POST && signs_in.contains(&path) {
        return Some(Class::Auth);
    }
    let sends = ["/chat", "/chat/stream", "/chat/branch", "/chat/regenerate"].contains(&path)
        || path.starts_with("/conversations/") && path.ends_with("/messages");
    if method == Method::POST && sends {
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
    let decision = match class {
        Some(class) => {
            let who = match &identity {
                Identity::Somebody(caller) if class != Class::Auth => counted_as(caller),
                _ => network(address(&state, &request)),
            };
            count(&state, class, &who).await
        }
        None => None,
    };
    if let Some(decision) = decision
        && !decision.allowed
    {
        return with_headers(Failure(too_many(&decision)).into_response(), &decision);
    }
    request.extensions_mut().insert(identity);
    let response = next.run(request).await;
    match decision {
        Some(decision) => with_headers(response, &decision),
        None => response,
    }
}

/// Whose count a request is on: an API key has one of its own.
fn counted_as(caller: &auth::Caller) -> String {
    caller.key().map_or_else(|| caller.user.to_string(), |key| key.to_string())
}

async fn count(state: &AppState, class: Class, who: &str) -> Option<Decision> {
    let rate = class.rate(&state.ctx.settings.rate_limit)?;
    let decision = state.ctx.limits.check(&format!("{}:{who}", class.as_str()), rate).await;
    if !decision.allowed {
        METRICS.rate_limited.with_label_values(&[class.as_str()]).inc();
    }
    Some(decision)
}

fn too_many(decision: &Decision) -> Error {
    let seconds = decision.retry_after.as_secs_f64().ceil() as u64;
    Error::new(Code::RateLimited, format!("Too many requests. Try again in {seconds} s."))
        .retry_after(seconds)
}

/// A message over a WebSocket counts like a `POST /chat`.
pub async fn message(state: &AppState, caller: &auth::Caller) -> Result<(), Error> {
    match count(state, Class::Chat, &counted_as(caller)).await {
        Some(decision) if !decision.allowed => Err(too_many(&decision)),
        _ => Ok(()),
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
        let path = "/api/conversations/sess_1/messages";
        assert!(class(&Method::POST, path) == Some(Class::Chat));
        assert!(class(&Method::GET, path) == Some(Class::Read));
    }
}
