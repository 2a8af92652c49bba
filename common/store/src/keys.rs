//! API keys: only their digests.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements};
use crate::{
    domain::{
        ids::{KeyId, UserId},
        user::UserRole,
    },
    error::Result,
};

statements! {
    INSERT = "insert into api_keys (id, user_id, name, prefix, key_hash, scopes, expires_at, monthly_tokens, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    LIST = "select k.id, k.name, k.prefix, k.scopes, k.expires_at, k.monthly_tokens, k.last_used_at, k.created_at,
        g.key_id is not null as is_client
    from api_keys k left join oauth_grants g on g.key_id = k.id where k.user_id = $1 order by k.id desc";
    COUNT = "select count(*) from api_keys where user_id = $1";
    DELETE = "delete from api_keys where id = $1 and user_id = $2";
    DELETE_ALL = "delete from api_keys where user_id = $1";
    AUTH = "select k.id, k.user_id, k.scopes, k.expires_at, u.is_active, u.role from api_keys k
    join users u on u.id = k.user_id where k.key_hash = $1";
    AUTH_BY_ID = "select k.id, k.user_id, k.scopes, k.expires_at, u.is_active, u.role from api_keys k
    join users u on u.id = k.user_id where k.id = $1 and k.user_id = $2";
    USED = "update api_keys set last_used_at = $2 where id = $1";
    MONTHLY = "select monthly_tokens from api_keys where id = $1 and user_id = $2";
    SPENT = "select cast(coalesce(sum(prompt_tokens + completion_tokens), 0) as bigint) from usage_totals
    where api_key = $1 and user_id = $2 and day >= $3";
}

/// A key as its owner sees it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ApiKey {
    pub id: KeyId,
    pub name: String,
    /// How the key begins.
    pub prefix: String,
    /// What it may be used for; null is everything keys may do.
    pub scopes: Option<Vec<String>>,
    #[serde(serialize_with = "crate::clock::rfc3339_millis::option::serialize")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Tokens it may spend a month (UTC).
    pub monthly_tokens: Option<i64>,
    #[serde(serialize_with = "crate::clock::rfc3339_millis::option::serialize")]
    pub last_used_at: Option<DateTime<Utc>>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    /// An MCP client that signed in by itself has it, as tokens: nobody has its text.
    pub is_client: bool,
}

row!(ApiKey: id, name, prefix, scopes as optional_json, expires_at, monthly_tokens, last_used_at, created_at, is_client);

#[derive(Debug, Clone)]
pub struct KeyState {
    pub id: KeyId,
    pub user_id: UserId,
    pub scopes: Option<Vec<String>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub is_active: bool,
    pub role: UserRole,
}

row!(KeyState: id, user_id, scopes as optional_json, expires_at, is_active, role);

pub async fn insert(tx: &mut Tx, user: UserId, key: &ApiKey, hash: &[u8]) -> Result<(), sqlx::Error> {
    let ApiKey { id, name, prefix, scopes, expires_at, monthly_tokens, created_at, .. } = key;
    let scopes = scopes.as_ref().map(Json);
    execute!(tx, INSERT, id, user, name, prefix, hash, scopes, expires_at, monthly_tokens, created_at)
        .map(drop)
}

pub async fn list(q: &mut impl Querier, user: UserId) -> Result<Vec<ApiKey>, sqlx::Error> {
    fetch_all!(ApiKey, q, LIST, user)
}

pub async fn count(q: &mut impl Querier, user: UserId) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, COUNT, user)?.0)
}

pub async fn delete(tx: &mut Tx, user: UserId, id: KeyId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE, id, user)? == 1)
}

/// Gives how many there were.
pub async fn delete_all(tx: &mut Tx, user: UserId) -> Result<u64, sqlx::Error> {
    execute!(tx, DELETE_ALL, user)
}

/// Whose key has this digest. The one query without a user: the key says who it is.
pub async fn by_hash(q: &mut impl Querier, hash: &[u8]) -> Result<Option<KeyState>, sqlx::Error> {
    fetch_optional!(KeyState, q, AUTH, hash)
}

pub async fn state(q: &mut impl Querier, user: UserId, id: KeyId) -> Result<Option<KeyState>, sqlx::Error> {
    fetch_optional!(KeyState, q, AUTH_BY_ID, id, user)
}

pub async fn used(q: &mut impl Querier, id: KeyId, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(q, USED, id, now).map(drop)
}

/// What a key may spend a month; `None` is no limit, or no such key.
pub async fn monthly_tokens(
    q: &mut impl Querier,
    user: UserId,
    id: KeyId,
) -> Result<Option<i64>, sqlx::Error> {
    Ok(fetch_optional!((Option<i64>,), q, MONTHLY, id, user)?.and_then(|row| row.0))
}

/// Tokens spent with a key since a day.
pub async fn spent(q: &mut impl Querier, user: UserId, id: KeyId, since: &str) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, SPENT, id.to_string(), user, since)?.0)
}
