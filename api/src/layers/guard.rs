//! Authenticates once, counts the request against its rate limit, and refuses who may not do it.
//!
//! No handler can forget to refuse. Only where a ticket may stand for the token is it left to the handler that reads it.
//!
//! What is stated of the request's route (who may call it, how it counts) is looked up here, and goes on with the request.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderValue, Method, header},
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
    extract::{Also, Asked, Identity, authenticate, client},
    oauth::challenge,
    policy::{Class, Rule, Stated},
    state::AppState,
    v1_error,
};

impl Class {
    fn as_str(self) -> &'static str {
        match self {
            Class::Auth => "auth",
            Class::Chat => "chat",
            Class::Read | Class::Uncounted => "read",
        }
    }

    /// `None`: there is no limit.
    fn rate(self, limits: &RateLimit) -> Option<Rate> {
        let (per_minute, burst) = (limits.requests_per_minute, limits.burst);
        let rate = match self {
            Class::Auth => Rate::per_minute(limits.sign_ins_per_minute, limits.sign_ins_per_minute),
            Class::Chat => Rate::per_minute(per_minute, burst),
            Class::Read => Rate::per_minute(per_minute * 10, burst * 10),
            Class::Uncounted => return None,
        };
        (per_minute > 0).then_some(rate)
    }
}

/// What is stated of every route, by its whole path as it is mounted.
#[derive(Default)]
pub struct Rules(HashMap<String, Vec<(Method, Rule)>>);

impl Rules {
    pub fn add(&mut self, mount: &str, stated: &[Stated]) {
        for Stated { method, path, rule } in stated {
            self.0.entry(format!("{mount}{path}")).or_default().push((method.clone(), *rule));
        }
    }

    pub fn of(&self, method: &Method, path: &str) -> Option<Rule> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let all = self.0.get(path)?;
        all.iter().find(|(of, _)| of == method).map(|(_, rule)| *rule)
    }

    /// What is stated of a request's route, and how it counts: pages and documents are no routes of the API, and are not
    /// counted; what leads nowhere is.
    fn of_request(&self, request: &Request) -> (Option<Rule>, Class) {
        let Some(path) = request.extensions().get::<MatchedPath>() else { return (None, Class::Read) };
        let rule = self.of(request.method(), path.as_str());
        let is_ours = self.0.contains_key(path.as_str());
        (rule, rule.map_or(if is_ours { Class::Read } else { Class::Uncounted }, |rule| rule.class))
    }
}

fn address(state: &AppState, request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    client(request.headers(), peer, state.ctx.settings.trusted_proxies)
}

pub async fn guard(
    State((state, rules)): State<(AppState, Arc<Rules>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let (rule, class) = rules.of_request(&request);
    let is_v1 = v1_error::is_below(request.uri().path());
    let also = Also {
        x_api_key: v1_error::is_anthropics(request.uri().path()),
        client_tokens: rule.is_some_and(|rule| rule.takes_clients),
    };
    let identity = authenticate(&state, request.headers(), also).await;
    let who = match &identity {
        Identity::Somebody(caller) if class != Class::Auth => counted_as(caller),
        _ => network(address(&state, &request)),
    };
    let decision = count(&state, class, &who).await;
    if let Some(decision) = decision
        && !decision.allowed
    {
        return with_headers(Failure(too_many(&decision)).into_response(), &decision, is_v1);
    }
    // What somebody changes shows where they follow it, in whichever of their tabs.
    let changes = match &identity {
        Identity::Somebody(caller) if !request.method().is_safe() => Some(caller.user),
        _ => None,
    };
    let asked = Asked { identity, rule };
    let refused = match rule {
        Some(rule) if !rule.who.is_public() && !rule.takes_tickets => asked.caller().err(),
        _ => None,
    };
    let response = match refused {
        Some(error) => {
            let is_nobody = error.code == Code::Unauthorized && also.client_tokens;
            let mut response = Failure(error).into_response();
            if let Some(how) = is_nobody.then(|| challenge(&state.ctx.settings, request.headers())).flatten()
            {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
            }
            response
        }
        None => {
            request.extensions_mut().insert(asked);
            next.run(request).await
        }
    };
    if let Some(user) = changes.filter(|_| response.status().is_success()) {
        state.ctx.bells.ring(user, None);
    }
    match decision {
        Some(decision) => with_headers(response, &decision, is_v1),
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

fn with_headers(mut response: Response, decision: &Decision, is_v1: bool) -> Response {
    let reset = clock::now().timestamp() + decision.reset.as_secs_f64().ceil() as i64;
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", HeaderValue::from(decision.limit));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(decision.remaining));
    headers.insert("x-ratelimit-reset", HeaderValue::from(reset));
    if is_v1 {
        headers.insert("x-ratelimit-limit-requests", HeaderValue::from(decision.limit));
        headers.insert("x-ratelimit-remaining-requests", HeaderValue::from(decision.remaining));
        let pause = format!("{}ms", decision.reset.as_millis());
        if let Ok(pause) = HeaderValue::from_str(&pause) {
            headers.insert("x-ratelimit-reset-requests", pause);
        }
    }
    response
}
