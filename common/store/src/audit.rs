//! What happened that matters for security.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_all, row, statements};
use crate::domain::ids::{AuditId, UserId};

statements! {
    INSERT = "insert into audit_log (id, user_id, actor, event, address, detail, created_at)
    values ($1, $2, $3, $4, $5, $6, $7)";
    /// For the admin, over all users.
    LIST = "select id, user_id, actor, event, address, detail, created_at from audit_log
    where id < $1 and ($2 is null or user_id = $2) and ($3 is null or event = $3) order by id desc limit $4";
}

#[derive(Debug, Clone, serde::Serialize)]
pub struct Entry {
    pub id: AuditId,
    /// Whom it is about.
    pub user_id: Option<UserId>,
    /// Who did it: a user's id, or `command line`.
    pub actor: String,
    pub event: String,
    pub address: Option<String>,
    pub detail: Option<Value>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
}

row!(Entry: id, user_id, actor, event, address, detail as optional_json, created_at);

/// Something to be written down.
pub struct New<'a> {
    /// Whom it is about.
    pub user: Option<UserId>,
    pub actor: &'a str,
    pub event: &'a str,
    pub address: Option<&'a str>,
    pub detail: Option<Value>,
}

pub async fn insert(tx: &mut Tx, new: New<'_>, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let New { user, actor, event, address, detail } = new;
    execute!(tx, INSERT, AuditId::new(), user, actor, event, address, detail.map(Json), now).map(drop)
}

pub async fn list(
    q: &mut impl Querier,
    before: Option<AuditId>,
    user: Option<UserId>,
    event: Option<&str>,
    limit: i64,
) -> Result<Vec<Entry>, sqlx::Error> {
    let before = before.unwrap_or(AuditId(uuid::Uuid::from_bytes([0xff; 16])));
    fetch_all!(Entry, q, LIST, before, user, event, limit)
}
