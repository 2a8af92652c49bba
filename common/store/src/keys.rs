//! API keys: only their digests.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional};
use crate::{
    domain::{
        ids::{KeyId, UserId},
        user::UserRole,
    },
    error::Result,
};

const INSERT: &str = "insert into api_keys (id, user_id, name, prefix, key_hash, scopes, expires_at, monthly_tokens, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const LIST: &str =
    "select id, name, prefix, scopes, expires_at, monthly_tokens, last_used_at, created_at from api_keys
    where user_id = $1 order by id desc";
const COUNT: &str = "select count(*) from api_keys where user_id = $1";
const DELETE: &str = "delete from api_keys where id = $1 and user_id = $2";
const DELETE_ALL: &str = "delete from api_keys where user_id = $1";
const AUTH: &str = "select k.id, k.user_id, k.scopes, k.expires_at, u.is_active, u.role from api_keys k
    join users u on u.id = k.user_id where k.key_hash = $1";
const AUTH_BY_ID: &str = "select k.id, k.user_id, k.scopes, k.expires_at, u.is_active, u.role from api_keys k
    join users u on u.id = k.user_id where k.id = $1 and k.user_id = $2";
const USED: &str = "update api_keys set last_used_at = $2 where id = $1";
const MONTHLY: &str = "select monthly_tokens from api_keys where id = $1 and user_id = $2";
const SPENT: &str =
    "select cast(coalesce(sum(prompt_tokens + completion_tokens), 0) as bigint) from usage_totals
    where api_key = $1 and user_id = $2 and day >= $3";

pub(super) const SQL: &[&str] =
    &[INSERT, LIST, COUNT, DELETE, DELETE_ALL, AUTH, AUTH_BY_ID, USED, MONTHLY, SPENT];

/// A key as its owner sees it.
#[derive(Debug, Clone, serde::Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub struct ApiKey {
    #[schema(value_type = String, example = "key_06dqz6ef8swq1bnx1rc6a2k8t4")]
    pub id: KeyId,
    #[schema(example = "my script")]
    pub name: String,
    /// How the key begins.
    #[schema(example = "rk_3fQx")]
    pub prefix: String,
    /// What it may be used for; null is everything keys may do.
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<Json<Vec<String>>>,
    #[serde(serialize_with = "crate::clock::rfc3339_millis::option::serialize")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Tokens it may spend a month (UTC).
    pub monthly_tokens: Option<i64>,
    #[serde(serialize_with = "crate::clock::rfc3339_millis::option::serialize")]
    pub last_used_at: Option<DateTime<Utc>>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, sqlx::FromRow)]
pub struct KeyState {
    pub id: KeyId,
    pub user_id: UserId,
    pub scopes: Option<Json<Vec<String>>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub is_active: bool,
    pub role: UserRole,
}

pub async fn insert(tx: &mut Tx, user: UserId, key: &ApiKey, hash: &[u8]) -> Result<(), sqlx::Error> {
    let ApiKey { id, name, prefix, scopes, expires_at, monthly_tokens, created_at, .. } = key;
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
