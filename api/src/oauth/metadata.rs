//! What a client that knows nothing finds out: who gives tokens for `/mcp` (RFC 9728), and how (RFC 8414).
//!
//! Both documents belong to an address with a path: theirs is between the host and that path. So a proxy that serves us below a prefix
//! has to pass on `/.well-known/…/prefix` too.

use axum::{
    Json as Answer,
    extract::OriginalUri,
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
};
use rapport_common::{
    Error,
    settings::Settings,
    usecase::oauth::{self, SCOPES},
};
use serde_json::json;

use crate::{
    error::{Failure, Result},
    extract::{Here, address},
};

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const SERVER: &str = "/.well-known/oauth-authorization-server";

/// The path of an address; nothing for a host alone.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}

/// An address with a well-known one put in before its path.
fn well_known(known: &str, url: &str) -> String {
    let path = path_of(url);
    format!("{}{known}{path}", url.strip_suffix(path).unwrap_or(url))
}

/// What the document that is asked for is about, or 404: it is the whole address, or none.
fn check(known: &str, uri: &OriginalUri, url: &str) -> Result<()> {
    let of = uri.path().strip_prefix(known).unwrap_or_default();
    match of.trim_end_matches('/') {
        path if path.is_empty() || path == path_of(url) => Ok(()),
        _ => Err(Failure(Error::not_found("document"))),
    }
}

pub async fn protected_resource(uri: OriginalUri, Here(here): Here) -> Result<Response> {
    check(RESOURCE, &uri, &here.resource())?;
    Ok(Answer(json!({
        "resource": here.resource(),
        "resource_name": "Rapport",
        "authorization_servers": [here.url],
        "scopes_supported": SCOPES,
        "bearer_methods_supported": ["header"],
    }))
    .into_response())
}

pub async fn authorization_server(uri: OriginalUri, Here(oauth::Here { url }): Here) -> Result<Response> {
    check(SERVER, &uri, &url)?;
    Ok(Answer(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "registration_endpoint": format!("{url}/register"),
        "revocation_endpoint": format!("{url}/revoke"),
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
    .into_response())
}

/// What a client without a good token is told: where to find out how it gets one.
pub fn challenge(settings: &Settings, headers: &HeaderMap) -> Option<HeaderValue> {
    let here = oauth::Here { url: address(settings, headers) };
    let (document, scopes) =
        (well_known(RESOURCE, &here.resource()), SCOPES.map(|scope| scope.as_str()).join(" "));
    HeaderValue::from_str(&format!("Bearer resource_metadata=\"{document}\", scope=\"{scopes}\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_comes_behind() {
        let known = |url| well_known(SERVER, url);
        assert_eq!(
            known("http://127.0.0.1:8000"),
            "http://127.0.0.1:8000/.well-known/oauth-authorization-server"
        );
        assert_eq!(
            known("https://a.example/x/y"),
            "https://a.example/.well-known/oauth-authorization-server/x/y"
        );
    }
}
