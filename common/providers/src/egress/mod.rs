//! HTTP to places that a user or a model can name: tools, webhooks, MCP servers.
//!
//! Only http and https; a host's names are resolved once, and the addresses that were checked are the ones connected to,
//! so a name that changes between the two (DNS rebinding) gains nothing; no private, loopback, link-local or metadata
//! address, except those that configuration allows; each redirect is checked like the first address; time and size are
//! bounded; no proxy of the environment stands in between.

pub mod address;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{
    Client, Method, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{AUTHORIZATION, COOKIE, HeaderMap, LOCATION},
    redirect,
};
use url::{Host, Url};

const REDIRECTS: usize = 5;
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take in all, also one that is read in pieces.
const WHOLE: Duration = Duration::from_secs(120);
const NOT_NAMED: EgressError = EgressError::Refused("this deployment does not allow its host");

/// Turns a name into addresses: the system, or a test.
#[async_trait]
pub trait Lookup: Send + Sync {
    async fn lookup(&self, name: &str) -> std::io::Result<Vec<IpAddr>>;
}

pub struct System;

#[async_trait]
impl Lookup for System {
    async fn lookup(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    #[error("the address is not allowed: {0}")]
    Refused(&'static str),
    #[error("it did not answer in time")]
    Timeout,
    #[error("the connection failed")]
    Network,
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("it redirected too often")]
    Redirects,
    #[error("it redirected to another place")]
    Elsewhere,
}

pub use rapport_core::settings::Allowed;

#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    /// For all of it, redirects included.
    pub within: Duration,
    /// Bytes of the answer's body.
    pub at_most: usize,
    /// Whether it may be redirected to another origin. Headers of the caller's own go along, but for well-known secrets.
    pub elsewhere: bool,
}

impl Request {
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            headers: HeaderMap::new(),
            body: None,
            within: Duration::from_secs(10),
            at_most: 1 << 20,
            elsewhere: true,
        }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Clone)]
pub struct Egress {
    /// Checks what names resolve to.
    guarded: Client,
    /// For hosts that configuration allows.
    open: Client,
    allow: Arc<Vec<Allowed>>,
    /// Whether there is nothing else than what configuration allows.
    closed: bool,
}

/// Resolves a name and keeps only what may be connected to: all of its addresses must be public.
struct Guard {
    lookup: Arc<dyn Lookup>,
    allow: Arc<Vec<Allowed>>,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, allow) = (Arc::clone(&self.lookup), Arc::clone(&self.allow));
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await?;
            let may = |address: &IpAddr| address::is_public(*address) || in_network(&allow, *address);
            if found.is_empty() || !found.iter().all(may) {
                return Err("its name leads to an address that is not allowed".into());
            }
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

fn in_network(allow: &[Allowed], address: IpAddr) -> bool {
    allow.iter().any(|allowed| matches!(allowed, Allowed::Network(network) if network.contains(&address)))
}

impl Egress {
    pub fn new(allow: Vec<Allowed>, lookup: Arc<dyn Lookup>) -> Result<Self, reqwest::Error> {
        let allow = Arc::new(allow);
        let builder = || {
            Client::builder()
                .connect_timeout(CONNECT)
                // Whatever a caller waits for: a server that drips keeps no connection longer.
                .timeout(WHOLE)
                .pool_idle_timeout(Duration::from_secs(30))
                .no_proxy()
                .redirect(redirect::Policy::none())
                .user_agent(concat!("rapport/", env!("CARGO_PKG_VERSION")))
        };
        let guard = Guard { lookup, allow: Arc::clone(&allow) };
        Ok(Self {
            guarded: builder().dns_resolver(Arc::new(guard)).build()?,
            open: builder().build()?,
            allow,
            closed: false,
        })
    }

    /// To the named places alone, be they inside or on the public internet.
    pub fn only(allow: Vec<Allowed>, lookup: Arc<dyn Lookup>) -> Result<Self, reqwest::Error> {
        Ok(Self { closed: true, ..Self::new(allow, lookup)? })
    }

    /// Checks an address as it is written, before anything is resolved; gives the client that may be used for it.
    pub fn check(&self, url: &Url) -> Result<&Client, EgressError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EgressError::Refused("only http and https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Refused("no user or password in it"));
        }
        let host = url.host().ok_or(EgressError::Refused("it names no host"))?;
        let text = url.host_str().unwrap_or_default().trim_end_matches('.').to_lowercase();
        let port = url.port_or_known_default();
        let named = |allowed: &Allowed| match allowed {
            Allowed::Host(host, only) => *host == text && (only.is_none() || *only == port),
            Allowed::Network(_) => false,
        };
        if self.allow.iter().any(named) {
            return Ok(&self.open);
        }
        let address = match host {
            Host::Domain(_) if self.closed => return Err(NOT_NAMED),
            Host::Domain(_) => return Ok(&self.guarded), // the resolver looks
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        if in_network(&self.allow, address) || !self.closed && address::is_public(address) {
            Ok(&self.guarded)
        } else if self.closed {
            Err(NOT_NAMED)
        } else {
            Err(EgressError::Refused("it is not on the public internet"))
        }
    }

    /// Parses and checks an address that somebody gave.
    pub fn check_text(&self, url: &str) -> Result<Url, EgressError> {
        let url = Url::parse(url).map_err(|_| EgressError::Refused("it is no URL"))?;
        self.check(&url).map(|_| url)
    }

    /// The client for an address that is known to be fine, for libraries that want one.
    pub fn client_for(&self, url: &str) -> Result<Client, EgressError> {
        let url = self.check_text(url)?;
        self.check(&url).cloned()
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: Request) -> Result<Answer, EgressError> {
        let within = request.within;
        tokio::time::timeout(within, self.follow(request)).await.map_err(|_| EgressError::Timeout)?
    }

    async fn follow(&self, request: Request) -> Result<Answer, EgressError> {
        let Request { mut method, url, mut headers, mut body, at_most, elsewhere, .. } = request;
        let mut url = Url::parse(&url).map_err(|_| EgressError::Refused("it is no URL"))?;
        for _ in 0..=REDIRECTS {
            let client = self.check(&url)?;
            let mut call = client.request(method.clone(), url.clone()).headers(headers.clone());
            if let Some(body) = &body {
                call = call.body(body.clone());
            }
            let answer = call.send().await.map_err(|error| cause(&error))?;
            let next = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let Some(next) = next.filter(|_| answer.status().is_redirection()) else {
                return read(answer, at_most).await;
            };
            let next = url.join(next).map_err(|_| EgressError::Refused("it redirects to no URL"))?;
            if next.origin() != url.origin() {
                if !elsewhere {
                    return Err(EgressError::Elsewhere);
                }
                headers.remove(AUTHORIZATION);
                headers.remove(COOKIE);
                headers.remove("x-api-key");
            }
            let keeps =
                matches!(answer.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            if !keeps && method != Method::HEAD {
                (method, body) = (Method::GET, None);
            }
            url = next;
        }
        Err(EgressError::Redirects)
    }
}

fn cause(error: &reqwest::Error) -> EgressError {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if inner.to_string().contains("is not allowed") {
            return EgressError::Refused("its name leads to an address that is not on the public internet");
        }
        source = inner.source();
    }
    if error.is_timeout() { EgressError::Timeout } else { EgressError::Network }
}

async fn read(mut answer: reqwest::Response, at_most: usize) -> Result<Answer, EgressError> {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| cause(&error))? {
        if body.len() + chunk.len() > at_most {
            return Err(EgressError::TooLarge(at_most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body: body.into() })
}

#[cfg(test)]
mod tests;
