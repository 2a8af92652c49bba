//! MCP clients that users let in, and their tokens: only their digests.

use chrono::{DateTime, Utc};

use super::{
    db::{Querier, Tx, execute, fetch_optional, row, statements},
    keys::KeyState,
};
use crate::{
    domain::ids::{KeyId, UserId},
    error::Result,
};

statements! {
    INSERT_GRANT = "insert into oauth_grants (key_id, user_id, client, redirect_uri, challenge, resource, created_at)
    values ($1, $2, $3, $4, $5, $6, $7)";
    INSERT_TOKEN = "insert into oauth_tokens (token_hash, key_id, kind, expires_at) values ($1, $2, $3, $4)";
    /// Without a user: the token says whose it is.
    FIND = "select t.kind, t.expires_at, t.used_at, g.key_id, g.user_id, g.client, g.redirect_uri, g.challenge, g.resource,
        k.scopes, u.is_active
    from oauth_tokens t join oauth_grants g on g.key_id = t.key_id join api_keys k on k.id = g.key_id
    join users u on u.id = g.user_id where t.token_hash = $1";
    USE = "update oauth_tokens set used_at = $2 where token_hash = $1 and used_at is null";
    /// The same as `keys::AUTH`, by the token: it ends before the key does.
    AUTH = "select k.id, k.user_id, k.scopes, t.expires_at, u.is_active, u.role
    from oauth_tokens t join api_keys k on k.id = t.key_id join users u on u.id = k.user_id
    where t.token_hash = $1 and t.kind = 'access'";
    EXTEND = "update api_keys set expires_at = $3 where id = $1 and user_id = $2";
    /// Those that ended before a time, and of each kind the oldest of more than fifty: a client that trades in a loop leaves no more.
    PRUNE = "delete from oauth_tokens where key_id = $1 and (expires_at < $2
        or token_hash in (select token_hash from oauth_tokens where key_id = $1 and kind = 'access'
            order by expires_at desc, token_hash limit 1000 offset 50)
        or token_hash in (select token_hash from oauth_tokens where key_id = $1 and kind = 'refresh'
            order by expires_at desc, token_hash limit 1000 offset 50))";
    LOCK = "update api_keys set expires_at = expires_at where id = $1 and user_id = $2";
    DROP_EXPIRED = "delete from api_keys where user_id = $1 and expires_at < $2
    and id in (select key_id from oauth_grants where user_id = $1)";
}

/// What somebody was let in for.
pub struct Grant<'a> {
    pub key: KeyId,
    pub client: &'a [u8],
    pub redirect_uri: &'a str,
    pub challenge: &'a [u8],
    pub resource: &'a str,
}

pub async fn insert_grant(
    tx: &mut Tx,
    user: UserId,
    grant: &Grant<'_>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let Grant { key, client, redirect_uri, challenge, resource } = grant;
    execute!(tx, INSERT_GRANT, key, user, *client, *redirect_uri, *challenge, *resource, now).map(drop)
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To be traded for the others, once.
    Code,
    Access,
    Refresh,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Code => "code",
            Kind::Access => "access",
            Kind::Refresh => "refresh",
        }
    }
}

pub async fn insert_token(
    tx: &mut Tx,
    key: KeyId,
    kind: Kind,
    hash: &[u8],
    expires_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, INSERT_TOKEN, hash, key, kind.as_str(), expires_at).map(drop)
}

/// A token as it was given, with what it was given for.
pub struct Token {
    pub kind: String,
    pub expires_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
    pub key_id: KeyId,
    pub user_id: UserId,
    pub client: Vec<u8>,
    pub redirect_uri: String,
    pub challenge: Vec<u8>,
    pub resource: String,
    pub scopes: Vec<String>,
    pub is_active: bool,
}

row!(Token: kind, expires_at, used_at, key_id, user_id, client, redirect_uri, challenge, resource, scopes as json, is_active);

pub async fn find(tx: &mut Tx, hash: &[u8]) -> Result<Option<Token>, sqlx::Error> {
    fetch_optional!(Token, tx, FIND, hash)
}

/// Keeps a client's key, and with it its tokens, until the transaction ends. `false`: it was deleted meanwhile.
pub async fn lock(tx: &mut Tx, user: UserId, key: KeyId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, LOCK, key, user)? == 1)
}

/// Marks a token used. `false` when another request was faster.
pub async fn mark_used(tx: &mut Tx, hash: &[u8], now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, USE, hash, now)? == 1)
}

/// Whom an access token lets in.
pub async fn by_access(q: &mut impl Querier, hash: &[u8]) -> Result<Option<KeyState>, sqlx::Error> {
    fetch_optional!(KeyState, q, AUTH, hash)
}

/// The key lasts as long as its newest token.
pub async fn extend(tx: &mut Tx, user: UserId, key: KeyId, until: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(tx, EXTEND, key, user, until).map(drop)
}

/// Forgets a client's tokens that ended before a time, and those it has far too many of.
pub async fn prune(tx: &mut Tx, key: KeyId, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(tx, PRUNE, key, before).map(drop)
}

/// Forgets a user's clients that did not come back in time.
pub async fn drop_expired(tx: &mut Tx, user: UserId, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(tx, DROP_EXPIRED, user, before).map(drop)
}
