//! Who may do what, and see what: every route has a policy, by the beginning of its path; the longest one counts. A test
//! compares this with the API's description, so that a route without a policy does not pass.
//!
//! What an API key may see is told by [`Content`], whichever route it comes by: `/jobs` and `/events` are open to keys of
//! several scopes, and each sees of them what is its own. [`crate::content`] does it.

use rapport_common::{
    Error,
    auth::{Caller, Proof},
    domain::job::JobKind,
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
    pub const fn scope(self) -> &'static str {
        match self {
            Content::Conversations => "chat",
            Content::Memories => "memory",
            Content::Projects => "projects",
            Content::Account => "account",
        }
    }

    /// What a job of this kind was given, makes and tells.
    pub const fn of_job(kind: JobKind) -> Self {
        match kind {
            JobKind::Chat | JobKind::Title | JobKind::Probe => Content::Conversations,
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

fn without_scope(scope: &str) -> Error {
    Error::new(Code::KeyForbidden, format!("This API key does not have the scope `{scope}`."))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Nobody needs to be signed in.
    Public,
    /// Whoever is signed in, and API keys with this scope.
    User(&'static str),
    /// Whoever is signed in, and API keys with `chat` or `memory`: what they see there is told by [`Content`].
    Both,
    /// Whoever is signed in with a password; no API key.
    Login,
    /// Admins, and their API keys with the scope `admin`.
    Admin,
}

const POLICIES: [(&str, Policy); 30] = [
    ("/admin", Policy::Admin),
    ("/analytics", Policy::User("account")),
    ("/api-keys", Policy::Login),
    ("/auth/change-password", Policy::Login),
    ("/auth/forgot-password", Policy::Public),
    ("/auth/login", Policy::Public),
    ("/auth/logout", Policy::Login),
    ("/auth/me", Policy::User("account")),
    ("/auth/refresh", Policy::Public),
    ("/auth/register", Policy::Public),
    ("/auth/request-otp", Policy::Public),
    ("/auth/reset-password", Policy::Public),
    ("/auth/token", Policy::Public),
    ("/auth/verify-otp", Policy::Public),
    ("/auth/ws-ticket", Policy::Both),
    ("/chat", Policy::User("chat")),
    ("/conversations", Policy::User("chat")),
    ("/events", Policy::Both),
    ("/health", Policy::Public),
    ("/history", Policy::User("chat")),
    ("/jobs", Policy::Both),
    ("/livez", Policy::Public),
    ("/memory", Policy::User("memory")),
    ("/models", Policy::User("chat")),
    ("/projects", Policy::User("projects")),
    ("/readyz", Policy::Public),
    ("/settings", Policy::User("account")),
    ("/tools", Policy::User("chat")),
    ("/ui/boot", Policy::Public),
    // A webhook says what was answered and remembered, and outlives a key: more than any one scope gives.
    ("/webhooks", Policy::Login),
];

/// The account itself can only be changed by who knows its password.
const ACCOUNT: [(&str, &str, Policy); 6] = [
    ("GET", "/users/me", Policy::User("account")),
    ("PATCH", "/users/me", Policy::Login),
    ("DELETE", "/users/me", Policy::Login),
    ("POST", "/users/me/deactivate", Policy::Login),
    ("GET", "/users/me/export", Policy::Login),
    ("GET", "/users/me/exports", Policy::Login),
];

/// The policy of a route, by its method and its path without `/api/v1`. `None`: nobody has stated one.
pub fn of(method: &str, path: &str) -> Option<Policy> {
    let begins =
        |start: &str| path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let account = ACCOUNT.iter().filter(|(of, start, _)| *of == method && begins(start));
    if let Some((.., policy)) = account.max_by_key(|(_, start, _)| start.len()) {
        return Some(*policy);
    }
    let found = POLICIES.iter().filter(|(start, _)| begins(start));
    found.max_by_key(|(start, _)| start.len()).map(|(_, policy)| *policy)
}

/// Whether a caller may use a route.
pub fn check(caller: &Caller, method: &str, path: &str) -> Result<(), Error> {
    let forbidden = |detail: &str| Err(Error::new(Code::Forbidden, detail));
    match of(method, path.trim_end_matches('/')) {
        Some(Policy::Public) => Ok(()),
        Some(Policy::User(scope)) if caller.may(scope) => Ok(()),
        Some(Policy::User(scope)) => Err(without_scope(scope)),
        Some(Policy::Both) if caller.may("chat") || caller.may("memory") => Ok(()),
        Some(Policy::Both) => Err(without_scope("chat")),
        Some(Policy::Login) if matches!(caller.proof, Proof::Login(_)) => Ok(()),
        Some(Policy::Login) => {
            Err(Error::new(Code::KeyForbidden, "No API key may do this: sign in with the password."))
        }
        Some(Policy::Admin) if caller.role != "admin" => forbidden("Only an admin may do this."),
        Some(Policy::Admin) if !caller.may("admin") => Err(without_scope("admin")),
        Some(Policy::Admin) => Ok(()),
        None => forbidden("Nobody may do this: the route has no policy."),
    }
}
