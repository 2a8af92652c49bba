//! Staying signed in in a browser: the refresh token in a cookie that no script can read.
//!
//! A page asks for it with `X-Rapport-Session: cookie`, which no form and no other site can send. The cookie has no `Path`,
//! so a browser gives it back below `…/auth/` only, at whatever prefix a proxy put us. Only refreshing and signing out read it.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::Response,
};
use rapport_common::{Error, error::Code};

use crate::{error::Failure, extract::forwarded_https, state::AppState};

const NAME: &str = "rapport_refresh";

/// How a client keeps its refresh token.
pub struct InCookie {
    /// It wants a cookie.
    pub wanted: bool,
    /// What the browser sent.
    pub token: Option<String>,
    is_https: bool,
}

impl FromRequestParts<AppState> for InCookie {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        let headers = &parts.headers;
        let is_https = forwarded_https(headers, state.ctx.settings.trusted_proxies);
        let Some(asked) = headers.get("x-rapport-session") else {
            return Ok(Self { wanted: false, token: None, is_https });
        };
        if asked.as_bytes() != b"cookie" {
            return Err(Failure(Error::new(Code::Malformed, "`X-Rapport-Session` must be `cookie`.")));
        }
        if headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() != b"same-origin") {
            return Err(Failure(Error::new(Code::Forbidden, "Only a page of this service may do this.")));
        }
        Ok(Self { wanted: true, token: token(headers), is_https })
    }
}

/// The refresh token among the cookies a browser sent.
pub fn token(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == NAME && !value.is_empty()).map(|(_, value)| value.to_owned())
}

impl InCookie {
    /// Puts a refresh token into the browser, for as long as it is good.
    pub fn set(&self, response: &mut Response, token: &str, seconds: u64) {
        self.write(response, &format!("{token}; Max-Age={seconds}"));
    }

    pub fn clear(&self, response: &mut Response) {
        self.write(response, "; Max-Age=0");
    }

    fn write(&self, response: &mut Response, value: &str) {
        let secure = if self.is_https { "; Secure" } else { "" };
        let cookie = format!("{NAME}={value}; HttpOnly; SameSite=Strict{secure}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        assert_eq!(token(&headers), None);
        headers.insert(header::COOKIE, HeaderValue::from_static("a=1; rapport_refresh=abc; b=2"));
        assert_eq!(token(&headers).as_deref(), Some("abc"));
        headers.insert(header::COOKIE, HeaderValue::from_static("xrapport_refresh=abc; rapport_refresh="));
        assert_eq!(token(&headers), None);
    }
}
