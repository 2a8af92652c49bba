//! What happened that matters for security.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_all, row, statements};
use crate::domain::ids::{AuditId, UserId};

macro_rules! list {
    ($which:literal) => {
        concat!(
            "select id, user_id, actor, event, address, detail, created_at from audit_log where ",
            $which,
            " order by id desc limit $2"
        )
    };
}

statements! {
    INSERT = "insert into audit_log (id, user_id, actor, event, address, detail, created_at)
    values ($1, $2, $3, $4, $5, $6, $7)";
    /// For the admin, over all users.
    LIST = list!("id < $1");
    OF_USER = list!("id < $1 and user_id = $3");
    /// A condition that may be left out would be no reason to read along an index.
    OF_EVENT = list!("id < $1 and event = $3 and ($4 is null or user_id = $4)");
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
    match (event, user) {
        (Some(event), user) => fetch_all!(Entry, q, OF_EVENT, before, limit, event, user),
        (None, Some(user)) => fetch_all!(Entry, q, OF_USER, before, limit, user),
        (None, None) => fetch_all!(Entry, q, LIST, before, limit),
    }
}
