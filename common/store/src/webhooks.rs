//! Webhooks, and what they were told. Deliveries are written by triggers, with what they are about.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use uuid::Uuid;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements};
use crate::{
    domain::ids::{DeliveryId, UserId, WebhookId},
    error::Result,
};

statements! {
    INSERT =
        "insert into webhooks (id, user_id, url, events, wants_jobs_done, wants_jobs_failed, wants_memories, sealed, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    LIST = "select id, url, events, created_at from webhooks where user_id = $1 order by id desc";
    COUNT = "select count(*) from webhooks where user_id = $1";
    GET = "select url, sealed from webhooks where id = $1 and user_id = $2";
    DELETE = "delete from webhooks where id = $1 and user_id = $2";
    DELETE_ALL = "delete from webhooks where user_id = $1";
    DELIVERIES = "select id, event, subject, status, attempts, answer, error, next_at, created_at, delivered_at
    from webhook_deliveries where webhook_id = $1 and ", checked!("user_id = $2"), " order by created_at desc, id limit $3 offset $4";
    DELIVERY = "select d.id, d.webhook_id, d.event, d.subject, d.status, d.attempts, d.created_at from webhook_deliveries d
    where d.id = $1 and d.user_id = $2";
    DUE = "select id, user_id from webhook_deliveries where status = 'pending' and next_at <= $1 order by next_at limit $2";
    PUT_OFF = "update webhook_deliveries set next_at = $2 where id = $1 and status = 'pending'";
    DONE =
        "update webhook_deliveries set status = 'delivered', attempts = attempts + 1, answer = $3, error = null, delivered_at = $4
    where id = $1 and user_id = $2";
    FAILED = "update webhook_deliveries set status = $3, attempts = attempts + 1, answer = $4, error = $5, next_at = $6
    where id = $1 and user_id = $2";
    AGAIN = "update webhook_deliveries set status = 'pending', attempts = 0, next_at = $4
    where id = $1 and webhook_id = $2 and user_id = $3";
    TELL = "insert into webhook_deliveries (id, webhook_id, user_id, event, subject, next_at, created_at)
    select $1, id, user_id, $4, id, $5, $5 from webhooks where id = $2 and user_id = $3";
}

#[derive(Debug, Clone, serde::Serialize)]
pub struct Webhook {
    pub id: WebhookId,
    pub url: String,
    /// `job.succeeded`, `job.failed`, `memory.created`.
    pub events: Vec<String>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
}

row!(Webhook: id, url, events as json, created_at);

/// One delivery as its owner sees it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Also the `webhook-id` header.
    pub id: DeliveryId,
    pub event: String,
    pub subject: Uuid,
    /// `pending`, `delivered` or `failed`.
    pub status: String,
    pub attempts: i64,
    /// The last HTTP status.
    pub answer: Option<i64>,
    pub error: Option<String>,
    pub next_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub delivered_at: Option<DateTime<Utc>>,
}

row!(Delivery: id, event, subject, status, attempts, answer, error, next_at, created_at, delivered_at);

#[derive(Debug)]
pub struct Due {
    pub id: DeliveryId,
    pub webhook_id: WebhookId,
    pub event: String,
    pub subject: Uuid,
    pub status: String,
    pub attempts: i64,
    pub created_at: DateTime<Utc>,
}

row!(Due: id, webhook_id, event, subject, status, attempts, created_at);

pub async fn insert(tx: &mut Tx, user: UserId, hook: &Webhook, sealed: &[u8]) -> Result<(), sqlx::Error> {
    let wants = |event: &str| hook.events.iter().any(|wanted| wanted == event);
    let (done, failed, memories) = (wants("job.succeeded"), wants("job.failed"), wants("memory.created"));
    execute!(
        tx,
        INSERT,
        hook.id,
        user,
        &hook.url,
        Json(&hook.events),
        done,
        failed,
        memories,
        sealed,
        hook.created_at
    )
    .map(drop)
}

pub async fn list(q: &mut impl Querier, user: UserId) -> Result<Vec<Webhook>, sqlx::Error> {
    fetch_all!(Webhook, q, LIST, user)
}

pub async fn count(q: &mut impl Querier, user: UserId) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, COUNT, user)?.0)
}

/// (URL, sealed secret)
pub async fn get(
    q: &mut impl Querier,
    user: UserId,
    id: WebhookId,
) -> Result<Option<(String, Vec<u8>)>, sqlx::Error> {
    fetch_optional!((String, Vec<u8>), q, GET, id, user)
}

pub async fn delete(tx: &mut Tx, user: UserId, id: WebhookId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE, id, user)? == 1)
}

/// With all that they were to be told. Gives how many there were.
pub async fn delete_all(tx: &mut Tx, user: UserId) -> Result<u64, sqlx::Error> {
    execute!(tx, DELETE_ALL, user)
}

pub async fn deliveries(
    q: &mut impl Querier,
    user: UserId,
    hook: WebhookId,
    limit: i64,
    skip: i64,
) -> Result<Vec<Delivery>, sqlx::Error> {
    fetch_all!(Delivery, q, DELIVERIES, hook, user, limit, skip)
}

pub async fn delivery(
    q: &mut impl Querier,
    user: UserId,
    id: DeliveryId,
) -> Result<Option<Due>, sqlx::Error> {
    fetch_optional!(Due, q, DELIVERY, id, user)
}

/// What is to be told now. For the sweep, over all users.
pub async fn due(
    q: &mut impl Querier,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(DeliveryId, UserId)>, sqlx::Error> {
    fetch_all!((DeliveryId, UserId), q, DUE, now, limit)
}

pub async fn put_off(tx: &mut Tx, id: DeliveryId, until: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(tx, PUT_OFF, id, until).map(drop)
}

pub async fn done(
    tx: &mut Tx,
    user: UserId,
    id: DeliveryId,
    answer: i64,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, DONE, id, user, answer, now).map(drop)
}

/// How a delivery failed.
pub struct Failure<'a> {
    /// The status that came back, if one did.
    pub answer: Option<i64>,
    pub error: &'a str,
    /// When it is tried again, if it is.
    pub next: Option<DateTime<Utc>>,
}

/// A try that failed; for good when there is no next one.
pub async fn failed(
    tx: &mut Tx,
    user: UserId,
    id: DeliveryId,
    failure: Failure<'_>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let Failure { answer, error, next } = failure;
    let status = if next.is_some() { "pending" } else { "failed" };
    execute!(tx, FAILED, id, user, status, answer, error, next.unwrap_or(now)).map(drop)
}

pub async fn again(
    tx: &mut Tx,
    user: UserId,
    hook: WebhookId,
    id: DeliveryId,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, AGAIN, id, hook, user, now)? == 1)
}

/// Puts in a delivery about the webhook itself. `false`: the user has no such webhook.
pub async fn tell(
    tx: &mut Tx,
    user: UserId,
    hook: WebhookId,
    id: DeliveryId,
    event: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, TELL, id, hook, user, event, now)? == 1)
}
