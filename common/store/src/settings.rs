//! What users have set, as one JSON object each.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_optional, statements};
use crate::domain::ids::UserId;

statements! {
    GET = "select settings from user_settings where user_id = $1";
    PUT = "insert into user_settings (user_id, settings, updated_at) values ($1, $2, $3)
    on conflict (user_id) do update set settings = $2, updated_at = $3";
}

pub async fn get(q: &mut impl Querier, user: UserId) -> Result<Option<Value>, sqlx::Error> {
    Ok(fetch_optional!((Json<Value>,), q, GET, user)?.map(|row| row.0.0))
}

pub async fn put(tx: &mut Tx, user: UserId, settings: &Value, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(tx, PUT, user, Json(settings), now).map(drop)
}
