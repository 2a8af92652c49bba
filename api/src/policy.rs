//! Who may do what, and see what. What is stated of a route stands in its line of the table of routes ([`crate::table`]).
//!
//! What an API key may see is told by [`Content`], whichever route it comes by: `/jobs` and `/events` are open to keys of
//! several scopes, and each sees of them what is its own. [`crate::content`] does it.

use axum::http::Method;
use rapport_common::{
    Error,
    auth::{Caller, Proof},
    domain::{
        job::JobKind,
        user::{Scope, UserRole},
    },
    error::Code,
};

/// What belongs to a user. A key sees what its scopes name, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Messages of both sides, titles, what tools were asked and said.
    Conversations,
    /// Memories, with the words they were taken from; what was found in them for a prompt; what jobs say of them.
    Memories,
    /// Projects, prompts, their templates.
    Projects,
    /// The profile, settings, usage, mail, exports of everything.
    Account,
}

impl Content {
    /// The scope that shows it.
    pub const fn scope(self) -> Scope {
        match self {
            Content::Conversations => Scope::Chat,
            Content::Memories => Scope::Memory,
            Content::Projects => Scope::Projects,
            Content::Account => Scope::Account,
        }
    }

    /// What a job of this kind was given, makes and tells.
    pub const fn of_job(kind: JobKind) -> Self {
        match kind {
            JobKind::Chat | JobKind::Title | JobKind::ChatImport | JobKind::Ingest | JobKind::Probe => {
                Content::Conversations
            }
            JobKind::MemoryExtraction
            | JobKind::Embedding
            | JobKind::Consolidation
            | JobKind::Backfill
            | JobKind::Import
            | JobKind::Export => Content::Memories,
            JobKind::Mail | JobKind::Erase | JobKind::AccountExport | JobKind::Webhook => Content::Account,
        }
    }

    pub fn is_for(self, caller: &Caller) -> bool {
        caller.may(self.scope())
    }

    /// Refuses who may not see it.
    pub fn check(self, caller: &Caller) -> Result<(), Error> {
        if self.is_for(caller) { Ok(()) } else { Err(without_scope(self.scope())) }
    }
}

fn without_scope(scope: Scope) -> Error {
    Error::new(Code::KeyForbidden, format!("This API key does not have the scope `{scope}`."))
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Nobody needs to be signed in, for this reason.
    Public(&'static str),
    /// Whoever is signed in, and API keys with this scope.
    User(Scope),
    /// Whoever is signed in, and API keys with `chat` or `memory`: what they see there is told by [`Content`].
    Both,
    /// Whoever is signed in with a password; no API key.
    Login,
    /// Admins, and their API keys with the scope `admin`.
    Admin,
}

impl Policy {
    pub fn is_public(self) -> bool {
        matches!(self, Policy::Public(_))
    }

    /// Whether a caller may do it.
    pub fn check(self, caller: &Caller) -> Result<(), Error> {
        let forbidden = |detail: &str| Err(Error::new(Code::Forbidden, detail));
        match self {
            Policy::Public(_) => Ok(()),
            Policy::User(scope) if caller.may(scope) => Ok(()),
            Policy::User(scope) => Err(without_scope(scope)),
            Policy::Both if caller.may(Scope::Chat) || caller.may(Scope::Memory) => Ok(()),
            Policy::Both => Err(without_scope(Scope::Chat)),
            Policy::Login if matches!(caller.proof, Proof::Login(_)) => Ok(()),
            Policy::Login => {
                Err(Error::new(Code::KeyForbidden, "No API key may do this: sign in with the password."))
            }
            Policy::Admin if caller.role != UserRole::Admin => forbidden("Only an admin may do this."),
            Policy::Admin if !caller.may(Scope::Admin) => Err(without_scope(Scope::Admin)),
            Policy::Admin => Ok(()),
        }
    }
}

/// How a route's calls are counted, each class on a count of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Signing in: by address, with a tight rate of its own.
    Auth,
    /// Sending messages: by user or API key.
    Chat,
    /// Everything else: by user or API key, ten times the rate.
    Read,
    /// Probes.
    Uncounted,
}

/// What is stated of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub who: Policy,
    pub class: Class,
    /// Whether a ticket in the address may stand for the token: for streams, whose clients cannot set headers.
    pub takes_tickets: bool,
    /// Whether tokens of MCP clients are good here.
    pub takes_clients: bool,
}

/// One operation: its method, its path below the mount (`/chat/sessions/{id}`), and what is stated of it.
pub struct Stated {
    pub method: Method,
    pub path: String,
    pub rule: Rule,
}
