//! Places inside that requests of users and models may reach all the same.

use ipnet::IpNet;
use url::Url;

/// Somewhere that is allowed though it is inside: a host, a host and port, or a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    Host(String, Option<u16>),
    Network(IpNet),
}

impl std::fmt::Display for Allowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Allowed::Host(host, Some(port)) => write!(f, "{host}:{port}"),
            Allowed::Host(host, None) => f.write_str(host),
            Allowed::Network(network) => network.fmt(f),
        }
    }
}

impl std::str::FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_lowercase();
        if text.contains('/') {
            return text
                .parse()
                .map(Allowed::Network)
                .map_err(|_| format!("{text:?} is no network (10.0.0.0/8)"));
        }
        // Parsed as a URL would be, so that `127.1` and `127.0.0.1` are the same host.
        let url =
            Url::parse(&format!("http://{text}")).map_err(|_| format!("{text:?} is no host or host:port"))?;
        let plain = url.path() == "/" && url.username().is_empty() && url.query().is_none();
        let host = url.host_str().filter(|_| plain).ok_or_else(|| format!("{text:?} is no host"))?;
        let named_port = text.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let port = url.port().or_else(|| named_port.and_then(|(_, port)| port.parse().ok()));
        Ok(Allowed::Host(host.to_owned(), port))
    }
}
