//! How MCP clients sign in: OAuth 2.1 with PKCE, as the specification of MCP asks for
//! (<https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization>), in three steps.
//!
//! - [`clients`]: a client says what it is and where codes may be sent, and gets an id that says just that, under our MAC.
//! - [`allow`]: a user who is signed in lets it in. That makes an API key for it whose text nobody has, and a code.
//! - [`tokens`]: the client trades the code for tokens, and its refresh token for the next ones.
//!
//! So what a client may do, how it is listed, counted, deleted and erased is what is true of API keys.

pub mod allow;
pub mod clients;
pub mod tokens;

use crate::domain::user::Scope;

/// What clients can be given: what `/mcp` offers.
pub const SCOPES: [Scope; 2] = [Scope::Memory, Scope::Chat];

/// Where this service is, as its clients know it.
#[derive(Debug, Clone)]
pub struct Here {
    /// The service itself, which is also who gives tokens: without a `/` at its end.
    pub url: String,
}

impl Here {
    /// What tokens are good for.
    pub fn resource(&self) -> String {
        format!("{}/mcp", self.url)
    }

    /// Whether a client means that. Programs differ in the case of a host, and in a `/` at the end.
    fn is_resource(&self, given: &str) -> bool {
        let parse = |url: &str| url::Url::parse(url.trim_end_matches('/')).ok();
        parse(given).is_some() && parse(given) == parse(&self.resource())
    }
}
