//! Webhooks: who else hears of what happens.

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use rapport_common::{Error, domain::ids::DeliveryId, store, usecase::webhooks};
use serde::{Deserialize, Serialize};

use crate::{
    bodies::{Delivery, Webhook},
    error::Result,
    extract::{Caller, DeliveryPath, Keyed, NoPages, SkipParams, SkipQuery, WebhookPath},
    page::{List, listed},
    state::AppState,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct WebhookBody {
    /// http or https, on the public internet.
    #[schema(example = "https://example.com/rapport")]
    url: String,
    /// Some of `job.succeeded`, `job.failed`, `memory.created`.
    #[schema(example = json!(["job.failed"]))]
    events: Vec<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct WebhookMade {
    #[serde(flatten)]
    webhook: Webhook,
    /// For checking signatures (Standard Webhooks): shown once.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    secret: String,
}

listed!(WebhookList = List<Webhook>);

/// List webhooks
///
/// Their addresses and events; never their secrets.
#[utoipa::path(get, path = "/webhooks", tag = "webhooks",
    responses((status = 200, description = "Webhooks, without their secrets", body = WebhookList)))]
pub async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    _: NoPages,
) -> Result<Answer<WebhookList>> {
    Ok(Answer(List::of(store::webhooks::list(&mut state.ctx.db.read().await?, caller.user).await?)))
}

/// Create a webhook
///
/// What happens is sent as Standard Webhooks says: `webhook-id`, `webhook-timestamp`, `webhook-signature`. A receiver that does
/// not answer with 2xx within 15 seconds gets it again, up to seven times over about twenty hours.
#[utoipa::path(post, path = "/webhooks", tag = "webhooks", request_body = WebhookBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 201, description = "The webhook and its secret", body = WebhookMade),
              (status = 409, description = "There are too many", body = crate::problem::Problem)))]
pub async fn create(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Keyed(body, repeatable): Keyed<WebhookBody>,
) -> Result<Response> {
    let made = webhooks::create(&state.ctx, caller.user, &body.url, body.events, repeatable.as_ref()).await?;
    let (row, secret, replayed) = made;
    let made = WebhookMade { webhook: row.into(), secret };
    let mut response = (StatusCode::CREATED, Answer(made)).into_response();
    super::chat::mark_replayed(&mut response, replayed);
    Ok(response)
}

/// Delete a webhook
///
/// Nothing more is sent to it, and its deliveries are deleted.
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted")))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    WebhookPath(id): WebhookPath,
) -> Result<StatusCode> {
    webhooks::delete(&state.ctx, caller.user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

listed!(DeliveryList = List<Delivery>);

/// List the deliveries of a webhook, newest first
///
/// What was sent, how often it was tried, and what came back.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", tag = "webhooks", params(("id" = String, Path), SkipParams),
    responses((status = 200, description = "Deliveries, kept for a month", body = DeliveryList)))]
pub async fn deliveries(
    State(state): State<AppState>,
    Caller(caller): Caller,
    WebhookPath(id): WebhookPath,
    SkipQuery { limit, skip }: SkipQuery,
) -> Result<Answer<DeliveryList>> {
    let mut conn = state.ctx.db.read().await?;
    if store::webhooks::get(&mut conn, caller.user, id).await?.is_none() {
        return Err(Error::not_found("webhook").into());
    }
    Ok(Answer(List::of(store::webhooks::deliveries(&mut conn, caller.user, id, limit, skip).await?)))
}

/// Send a delivery again
///
/// The same message with the same id, once more.
#[utoipa::path(post, path = "/webhooks/{id}/deliveries/{delivery_id}/redeliver", tag = "webhooks",
    params(("id" = String, Path), ("delivery_id" = String, Path)),
    responses((status = 202, description = "It will be sent again")))]
pub async fn redeliver(
    State(state): State<AppState>,
    Caller(caller): Caller,
    WebhookPath(id): WebhookPath,
    DeliveryPath(delivery): DeliveryPath,
) -> Result<StatusCode> {
    webhooks::redeliver(&state.ctx, caller.user, id, delivery).await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Tested {
    #[schema(value_type = String)]
    delivery_id: DeliveryId,
}

/// Try a webhook
///
/// Sends a `webhook.test` event, signed like all others. What came of it is among the deliveries.
#[utoipa::path(post, path = "/webhooks/{id}/test", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 202, description = "It will be sent", body = Tested)))]
pub async fn test(
    State(state): State<AppState>,
    Caller(caller): Caller,
    WebhookPath(id): WebhookPath,
) -> Result<(StatusCode, Answer<Tested>)> {
    let delivery_id = webhooks::test(&state.ctx, caller.user, id).await?;
    Ok((StatusCode::ACCEPTED, Answer(Tested { delivery_id })))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct DeliveryBody {
    /// As it would be sent now; null when what it is about is gone.
    #[schema(value_type = Option<Object>)]
    body: Option<serde_json::Value>,
}

/// Show what a delivery says
///
/// The JSON that the receiver gets.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries/{delivery_id}", tag = "webhooks",
    params(("id" = String, Path), ("delivery_id" = String, Path)),
    responses((status = 200, description = "Its body", body = DeliveryBody)))]
pub async fn said(
    State(state): State<AppState>,
    Caller(caller): Caller,
    WebhookPath(id): WebhookPath,
    DeliveryPath(delivery): DeliveryPath,
) -> Result<Answer<DeliveryBody>> {
    Ok(Answer(DeliveryBody { body: webhooks::said(&state.ctx, caller.user, id, delivery).await? }))
}
