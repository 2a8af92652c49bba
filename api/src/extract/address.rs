//! Where a request comes from, as far as the configured proxies are believed.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, request::Parts},
};

use crate::state::AppState;

/// The client's address as text.
pub struct Address(pub String);

impl FromRequestParts<AppState> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        Ok(Self(client(&parts.headers, peer, state.ctx.settings.trusted_proxies).to_string()))
    }
}

/// The client's address: the peer's, or what the trusted proxies say.
pub fn client(headers: &HeaderMap, peer: Option<IpAddr>, trusted: usize) -> IpAddr {
    forwarded_for(headers, trusted).or(peer).unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

/// The address that the outermost trusted proxy saw: the n-th from the right.
fn forwarded_for(headers: &HeaderMap, trusted: usize) -> Option<IpAddr> {
    if trusted == 0 {
        return None;
    }
    let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let all = values.collect::<Vec<_>>().join(",");
    all.rsplit(',').nth(trusted - 1)?.trim().parse().ok()
}

/// Whether the client reached the outermost trusted proxy over HTTPS. Proxies add to this header less often than they
/// replace it: with fewer entries than proxies, the first one counts.
pub fn forwarded_https(headers: &HeaderMap, trusted: usize) -> bool {
    if trusted == 0 {
        return false;
    }
    let values = headers.get_all("x-forwarded-proto").iter().filter_map(|value| value.to_str().ok());
    let all = values.collect::<Vec<_>>().join(",");
    let entries = all.rsplit(',').map(str::trim).take(trusted);
    entries.last().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_believed_from_trusted_proxies_only() {
        let https = |value: &str, trusted| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-proto", value.parse().unwrap());
            forwarded_https(&headers, trusted)
        };
        assert!(!https("https", 0));
        assert!(https("https", 1) && https("https", 2) && https("HTTPS, http", 2));
        assert!(!https("http", 1) && !https("https, http", 1) && !https("", 1));
        assert!(!forwarded_https(&HeaderMap::new(), 1));
    }

    #[test]
    fn only_as_many_proxies_as_configured_are_believed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.1".parse().unwrap());
        assert_eq!(forwarded_for(&headers, 0), None);
        assert_eq!(forwarded_for(&headers, 1), "10.0.0.1".parse().ok());
        assert_eq!(forwarded_for(&headers, 2), "1.2.3.4".parse().ok());
        assert_eq!(forwarded_for(&headers, 9), None);
    }
}
