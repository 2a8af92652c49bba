//! Who is calling. A layer authenticates each request once; handlers that take [`Caller`] need somebody.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::HeaderMap, http::request::Parts};
use rapport_common::{Error, auth, error::Code};

use crate::{error::Failure, policy::Rule, state::AppState};

/// Whether a path came by the canonical routes and not by one of their aliases.
pub fn is_versioned(path: &str) -> bool {
    path.starts_with("/api/v1/")
}

/// What the authentication layer found.
#[derive(Clone)]
pub enum Identity {
    Nobody,
    Somebody(auth::Caller),
    /// A token was given and is not good.
    Refused(Arc<Error>),
}

/// Who asks, and what is stated of the route. Handlers that take a ticket in place of a token look at both.
#[derive(Clone)]
pub struct Asked {
    pub identity: Identity,
    /// `None`: the route is none of the table's.
    pub rule: Option<Rule>,
}

impl Asked {
    /// Whether `caller` may do what the route does.
    pub fn check(&self, caller: &auth::Caller) -> Result<(), Error> {
        match self.rule {
            Some(rule) => rule.who.check(caller),
            None => Err(Error::new(Code::Forbidden, "Nobody may do this: the route has no policy.")),
        }
    }

    /// Who may do what the route does, by the token of the request.
    pub fn caller(&self) -> Result<auth::Caller, Error> {
        match &self.identity {
            Identity::Somebody(caller) => self.check(caller).map(|()| caller.clone()),
            Identity::Refused(error) => {
                let mut again = Error::new(error.code, error.detail.clone()).because(error.to_string());
                again.retry_after = error.retry_after;
                Err(again)
            }
            Identity::Nobody => Err(sign_in_first()),
        }
    }
}

fn sign_in_first() -> Error {
    Error::new(Code::Unauthorized, "This needs an access token: sign in first.")
}

/// Somebody with a good access token.
pub struct Caller(pub auth::Caller);

/// The token of an `Authorization: Bearer` header. Two such headers are an attack or a mistake: refused.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let refused = |detail: &str| Error::new(Code::Unauthorized, detail);
    let mut values = headers.get_all("authorization").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused("There is more than one Authorization header."));
    }
    let text = value.to_str().map_err(|_| refused("The Authorization header is unreadable."))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(refused("The Authorization header must be `Bearer` and an access token."));
    }
    Ok(Some(token.trim()))
}

/// The key that Anthropic's clients show in a header of its own, where there is no `Authorization`.
fn api_key(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-api-key")?.to_str().ok().map(str::trim).filter(|key| !key.is_empty())
}

/// What a route takes besides the usual tokens and keys.
#[derive(Debug, Clone, Copy, Default)]
pub struct Also {
    /// Keys in `x-api-key`.
    pub x_api_key: bool,
    /// Tokens of MCP clients.
    pub client_tokens: bool,
}

pub async fn authenticate(state: &AppState, headers: &HeaderMap, also: Also) -> Identity {
    let token = match bearer(headers) {
        Ok(None) => match api_key(headers).filter(|_| also.x_api_key) {
            Some(key) => key,
            None => return Identity::Nobody,
        },
        Ok(Some(token)) => token,
        Err(error) => return Identity::Refused(Arc::new(error)),
    };
    let (auth, db) = (&state.ctx.auth, &state.ctx.db);
    let found = match also.client_tokens {
        true => auth.caller_or_client(db, token).await,
        false => auth.caller(db, token).await,
    };
    match found {
        Ok(caller) => Identity::Somebody(caller),
        Err(error) => Identity::Refused(Arc::new(error)),
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Failure> {
        let nobody = || Failure(sign_in_first());
        parts.extensions.get::<Asked>().ok_or_else(nobody)?.caller().map(Self).map_err(Failure)
    }
}
