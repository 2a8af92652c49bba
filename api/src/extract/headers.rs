//! Request headers with a meaning of ours.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use rapport_common::{
    Error,
    domain::{event::EventId, idempotency::IdempotencyKey},
    error::Code,
    telemetry::trace::TraceContext,
};

use crate::{error::Failure, state::AppState};

/// `Prefer: respond-async` or `Prefer: wait=N` (RFC 7240); others are ignored, as the RFC says.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Prefer {
    pub respond_async: bool,
    /// Seconds, 0-120.
    pub wait: Option<u64>,
}

impl Prefer {
    fn parse(headers: &HeaderMap) -> Result<Self, Error> {
        let mut prefer = Self::default();
        for value in headers.get_all("prefer") {
            let text = value.to_str().unwrap_or_default().to_lowercase();
            for part in text.split([',', ';']).map(str::trim) {
                if part == "respond-async" {
                    prefer.respond_async = true;
                } else if let Some(seconds) = part.strip_prefix("wait=") {
                    let seconds = seconds.trim_matches('"').parse().ok().filter(|seconds| *seconds <= 120);
                    let refused =
                        || Error::new(Code::Malformed, "`Prefer: wait` must be from 0 to 120 seconds.");
                    prefer.wait = Some(seconds.ok_or_else(refused)?);
                }
            }
        }
        Ok(prefer)
    }
}

impl FromRequestParts<AppState> for Prefer {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Failure> {
        Ok(Self::parse(&parts.headers)?)
    }
}

/// The header `Idempotency-Key`. Bodies of JSON take it along: [`Keyed`](super::Keyed).
pub struct KeyHeader(pub Option<IdempotencyKey>);

impl FromRequestParts<AppState> for KeyHeader {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Failure> {
        Ok(Self(idempotency_key(&parts.headers)?))
    }
}

pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Error> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    match IdempotencyKey::try_from(value.to_str().unwrap_or_default().to_owned()) {
        Ok(key) if values.next().is_none() => Ok(Some(key)),
        _ => {
            let detail = "`Idempotency-Key` must be given once, as 1 to 255 visible ASCII characters.";
            Err(Error::new(Code::Malformed, detail))
        }
    }
}

/// The request's place in its trace: the caller's, or a new one.
#[derive(Clone, Copy)]
pub struct Trace(pub TraceContext);

impl FromRequestParts<AppState> for Trace {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Failure> {
        Ok(parts.extensions.get::<Trace>().copied().unwrap_or_else(|| Trace(TraceContext::root())))
    }
}

/// Where to resume: `Last-Event-ID`, or `?after=`.
pub fn after_event(headers: &HeaderMap, query: Option<&str>) -> Result<EventId, Error> {
    let header = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
    match header.or(query).filter(|text| !text.is_empty()) {
        None => Ok(EventId::START),
        Some(text) => {
            let refused = |_| Error::new(Code::BadQuery, "The last event id must look like `1-17`.");
            text.trim().parse().map_err(refused)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read_and_unknown_ones_ignored() {
        let parse = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", text.parse().unwrap());
            Prefer::parse(&headers)
        };
        assert!(parse("respond-async, handling=lenient").unwrap().respond_async);
        assert_eq!(parse("wait=10").unwrap().wait, Some(10));
        assert!(parse("wait=1000").is_err());
        assert!(parse("wait=x").is_err());
    }
}
