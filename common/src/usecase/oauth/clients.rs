//! Clients that register themselves (RFC 7591). Anybody may, so nothing is kept of them: a client's id holds its name and its addresses,
//! and a MAC that says that we gave it. However many register, they take no room.

use chrono::{DateTime, Utc};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::{Context, Error, Result, clock, domain::texts::Name, error::Code};

/// Addresses of one client, and the bytes of each.
const ADDRESSES: usize = 12;
const ADDRESS_BYTES: usize = 500;
/// Bytes of a client's id. It goes into the address of a page.
const ID_BYTES: usize = 6_000;
/// Schemes of programs that have none of the form that RFC 8252 asks for, `com.example.program`.
const PROGRAMS: [&str; 4] = ["cursor", "vscode", "vscode-insiders", "windsurf"];
const NAMELESS: &str = "MCP client";

/// What a client says of itself.
#[derive(Debug, Default)]
pub struct Metadata {
    pub name: Option<String>,
    pub redirect_uris: Vec<String>,
}

/// A client that we know by its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// Its own word for itself.
    #[serde(rename = "n")]
    pub name: String,
    /// Where codes may be sent.
    #[serde(rename = "r")]
    pub redirect_uris: Vec<String>,
    /// When it registered, in seconds.
    #[serde(rename = "t")]
    pub issued_at: i64,
}

/// Gives a client its id.
pub fn register(ctx: &Context, metadata: Metadata) -> Result<(String, Client)> {
    let client = checked(metadata, clock::now())?;
    let said = serde_json::to_vec(&client).map_err(Error::internal)?;
    let mac = ctx.auth.digest(&parts(&said));
    let id = format!("{}.{}", BASE64URL_NOPAD.encode(&said), BASE64URL_NOPAD.encode(&mac));
    if id.len() > ID_BYTES {
        return Err(Error::new(Code::OAuthRedirect, "The addresses are too long together."));
    }
    Ok((id, client))
}

/// The client with this id.
pub fn known(ctx: &Context, id: &str) -> Option<Client> {
    let (said, mac) = id.split_once('.').filter(|_| id.len() <= ID_BYTES)?;
    let said = BASE64URL_NOPAD.decode(said.as_bytes()).ok()?;
    let mac = BASE64URL_NOPAD.decode(mac.as_bytes()).ok()?;
    ctx.auth.was_digest(&parts(&said), &mac).then(|| serde_json::from_slice(&said).ok())?
}

fn parts(said: &[u8]) -> [&[u8]; 2] {
    [b"oauth-client", said]
}

fn checked(metadata: Metadata, now: DateTime<Utc>) -> Result<Client> {
    let Metadata { name, redirect_uris } = metadata;
    let name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| NAMELESS.to_owned());
    let name = Name::try_from(name).ok().map(Name::into_string).filter(|name| !name.chars().any(turns));
    let name = name.ok_or_else(|| {
        let detail = "`client_name` must be a line of 1 to 100 characters, none of which turns the direction of writing.";
        Error::new(Code::OAuthMetadata, detail)
    })?;
    let wrong = |detail: String| Err(Error::new(Code::OAuthRedirect, detail));
    if redirect_uris.is_empty() || redirect_uris.len() > ADDRESSES {
        return wrong(format!("`redirect_uris` must name 1 to {ADDRESSES} addresses."));
    }
    if let Some(at) = redirect_uris.iter().position(|uri| !may_be_sent_codes(uri)) {
        return wrong(format!(
            "`redirect_uris[{at}]` must be https, http at 127.0.0.1, [::1] or localhost, or a program's own scheme \
             (com.example.program:/path), of at most {ADDRESS_BYTES} characters, without a fragment, a name or a password."
        ));
    }
    Ok(Client { name, redirect_uris, issued_at: now.timestamp() })
}

/// Signs that let a name look like another one.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn may_be_sent_codes(uri: &str) -> bool {
    let plain = uri.len() <= ADDRESS_BYTES && uri.bytes().all(|b| b.is_ascii_graphic());
    let Some(url) = Url::parse(uri).ok().filter(|_| plain) else { return false };
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_this_machine(&url),
        scheme => scheme.contains('.') || PROGRAMS.contains(&scheme),
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

impl Client {
    /// Whether codes for it may be sent to this address: one that it registered, as it registered it. Of one at this machine the port
    /// is free, because a program takes what it gets (RFC 8252, 7.3).
    pub fn takes(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|own| own == uri || is_same_but_for_port(own, uri))
    }
}

fn is_same_but_for_port(own: &str, uri: &str) -> bool {
    let without_port = |text: &str| {
        let mut url = Url::parse(text).ok().filter(|_| may_be_sent_codes(text))?;
        let local = url.scheme() == "http" && is_this_machine(&url);
        local.then(|| url.set_port(None).ok().map(|()| url))?
    };
    without_port(own).is_some_and(|own| without_port(uri) == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sent_to_programs_and_sites_alone() {
        for good in [
            "https://claude.ai/api/mcp/auth_callback",
            "https://example.com:8443/cb?tenant=1",
            "http://127.0.0.1:33418/",
            "http://localhost/callback",
            "http://[::1]:1/cb",
            "com.example.program:/oauth",
            "cursor://anysphere.cursor-mcp/oauth/callback",
        ] {
            assert!(may_be_sent_codes(good), "{good}");
        }
        for bad in [
            "",
            "http://example.com/cb",
            "http://localhost.example.com/cb",
            "http://127.0.0.1@example.com/cb",
            "https://user:password@example.com/",
            "https://example.com/#x",
            "https://",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "ftp://example.com/",
            "/callback",
            "https://example.com/a b",
            "https://exa\nmple.com/",
        ] {
            assert!(!may_be_sent_codes(bad), "{bad}");
        }
    }

    #[test]
    fn only_the_port_of_this_machine_is_free() {
        let client = |uris: &[&str]| Client {
            name: "c".to_owned(),
            redirect_uris: uris.iter().map(|&uri| uri.to_owned()).collect(),
            issued_at: 0,
        };
        let local = client(&["http://127.0.0.1/cb", "http://localhost:1/cb"]);
        assert!(local.takes("http://127.0.0.1:5050/cb") && local.takes("http://localhost/cb"));
        for bad in
            ["http://127.0.0.1:5050/other", "http://127.0.0.2/cb", "https://127.0.0.1/cb", "http://[::1]/cb"]
        {
            assert!(!local.takes(bad), "{bad}");
        }
        let site = client(&["https://example.com/cb"]);
        assert!(site.takes("https://example.com/cb"));
        for bad in [
            "https://example.com/cb/",
            "https://example.com:8443/cb",
            "https://example.com/cb?x=1",
            "https://EXAMPLE.com/cb",
        ] {
            assert!(!site.takes(bad), "{bad}");
        }
    }

    #[test]
    fn a_name_cannot_turn_the_line_around() {
        let named = |name: &str| {
            let metadata =
                Metadata { name: Some(name.to_owned()), redirect_uris: vec!["http://localhost/".to_owned()] };
            checked(metadata, clock::now()).map(|client| client.name).map_err(|error| error.code)
        };
        assert_eq!(named("বাংলা ক্লায়েন্ট"), Ok("বাংলা ক্লায়েন্ট".to_owned()));
        assert_eq!(named("  "), Ok(NAMELESS.to_owned()));
        for bad in ["a\u{202e}b", "a\nb", &"x".repeat(101)] {
            assert_eq!(named(bad), Err(Code::OAuthMetadata));
        }
    }
}
