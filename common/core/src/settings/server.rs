//! How long clients may take, and how many there may be at once.

use std::time::Duration;

use super::Env;

#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// Connections that one process keeps open at once.
    pub max_connections: usize,
    /// Of these, how many may come from one address; 0: as many as want to.
    pub connections_per_address: usize,
    /// Event streams and WebSockets that one user may have open at once on one process.
    pub streams_per_user: usize,
    /// From a new connection to the complete head of its first request.
    pub head: Duration,
    /// From the end of one request to the complete head of the next.
    pub idle: Duration,
    /// The longest pause inside a body.
    pub body_idle: Duration,
    /// A body that goes on arriving must come at least this fast, in bytes a second.
    pub body_rate: u64,
    /// How often a WebSocket or an HTTP/2 connection is asked whether it lives.
    pub ping: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub unread: Duration,
}

impl Default for Server {
    fn default() -> Self {
        server(&mut Env::default(), 0)
    }
}

pub fn server(env: &mut Env, trusted_proxies: usize) -> Server {
    // Behind a proxy all connections come from it.
    let per_address = if trusted_proxies == 0 { 1_000 } else { 0 };
    Server {
        max_connections: env.number("SERVER__MAX_CONNECTIONS", 20_000, 1..=1_000_000) as usize,
        connections_per_address: env.number("SERVER__CONNECTIONS_PER_ADDRESS", per_address, 0..=1_000_000)
            as usize,
        streams_per_user: env.number("SERVER__STREAMS_PER_USER", 100, 1..=1_000_000) as usize,
        head: env.seconds("SERVER__HEAD_SECONDS", 15.0, 0.1..=600.0),
        idle: env.seconds("SERVER__IDLE_SECONDS", 75.0, 0.1..=3_600.0),
        body_idle: env.seconds("SERVER__BODY_IDLE_SECONDS", 20.0, 0.1..=600.0),
        body_rate: env.number("SERVER__BODY_BYTES_PER_SECOND", 1_000, 1..=1_000_000_000),
        ping: env.seconds("SERVER__PING_SECONDS", 15.0, 0.1..=600.0),
        unread: env.seconds("SERVER__UNREAD_SECONDS", 60.0, 0.1..=3_600.0),
    }
}

/// An address that others can build on: a scheme, a host, and a path perhaps.
pub fn public_url(env: &mut Env) -> Option<String> {
    let url = env.optional("PUBLIC_URL")?;
    let rest = url.strip_prefix("https://").or(url.strip_prefix("http://"));
    let plain = |rest: &str| {
        let parts_are =
            |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_~:[]/%".contains(c));
        !rest.is_empty() && !rest.starts_with(['/', ':']) && parts_are(rest)
    };
    if !rest.is_some_and(plain) {
        env.problem("PUBLIC_URL must be http:// or https://, a host, and nothing behind its path");
        return None;
    }
    Some(url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_proxy_no_address_has_a_limit_of_its_own() {
        let limit = |proxies| server(&mut Env::default(), proxies).connections_per_address;
        assert_eq!((limit(0), limit(1)), (1_000, 0));
    }

    #[test]
    fn a_public_url_has_no_end_of_its_own() {
        let read = |url: &str| {
            let mut env = Env::from_pairs([("PUBLIC_URL".to_owned(), url.to_owned())]);
            (public_url(&mut env), env.problems().len())
        };
        assert_eq!(read("https://example.com/rapport/"), (Some("https://example.com/rapport".to_owned()), 0));
        assert_eq!(read("http://[::1]:8000"), (Some("http://[::1]:8000".to_owned()), 0));
        for bad in [
            "example.com",
            "https://",
            "https:///x",
            "https://a/?b",
            "https://a/#b",
            "https://a\"b",
            "ftp://a",
        ] {
            assert_eq!(read(bad), (None, 1), "{bad}");
        }
    }
}
