//! Is it well? For people, load balancers and Prometheus.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json as Answer,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use rapport_common::{Result, clock, store, telemetry::metrics::METRICS};
use serde::Serialize;

use crate::state::AppState;

#[derive(Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `healthy`, `degraded` (it answers, but something is away) or `unhealthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    #[schema(example = "rapport")]
    service: &'static str,
    version: &'static str,
    #[schema(example = "connected")]
    database: &'static str,
    #[schema(example = "connected")]
    queue: &'static str,
    /// Where vectors are searched; `none` in this version.
    #[schema(example = "none")]
    vectors: &'static str,
    /// Living worker processes, per queue.
    workers: BTreeMap<String, u64>,
    #[serde(with = "clock::rfc3339_millis")]
    timestamp: DateTime<Utc>,
}

/// A dependency that takes longer counts as away.
const PROBE_DEADLINE: Duration = Duration::from_secs(2);

async fn look(state: &AppState) -> Health {
    let ctx = &state.ctx;
    let now = clock::now();
    let living = TimeDelta::from_std(ctx.settings.queue.lease).unwrap_or(TimeDelta::seconds(15));
    let database = tokio::time::timeout(PROBE_DEADLINE, async {
        store::workers::living(&mut ctx.db.read().await?, now - living).await
    })
    .await
    .ok()
    .and_then(Result::ok);
    let queue_ok =
        tokio::time::timeout(PROBE_DEADLINE, ctx.wire.ping()).await.is_ok_and(|answer| answer.is_ok());
    let mut workers = BTreeMap::new();
    for worker in database.iter().flatten() {
        for queue in worker.queues.split(',') {
            *workers.entry(queue.to_owned()).or_default() += 1;
        }
    }
    let status = match &database {
        None => "unhealthy",
        Some(_) if !queue_ok || !workers.contains_key("chat") => "degraded",
        Some(_) => "healthy",
    };
    let word = |ok: bool| if ok { "connected" } else { "disconnected" };
    Health {
        status,
        service: "rapport",
        version: env!("CARGO_PKG_VERSION"),
        database: word(database.is_some()),
        queue: word(queue_ok),
        vectors: "none",
        workers,
        timestamp: now,
    }
}

/// Show whether the service is healthy
///
/// Database, queue, vectors and workers. 503 when it cannot work.
#[utoipa::path(get, path = "/health", tag = "service", security(()),
    responses((status = 200, description = "It answers", body = Health),
              (status = 503, description = "The database cannot be reached", body = Health)))]
pub async fn health(State(state): State<AppState>) -> (StatusCode, Answer<Health>) {
    let health = look(&state).await;
    let status = if health.status == "unhealthy" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Answer(health))
}

/// Check that the process is alive
///
/// Always 200 while the process runs. Looks at nothing else.
#[utoipa::path(get, path = "/livez", tag = "service", security(()),
    responses((status = 200, description = "`ok`", body = String, content_type = "text/plain")))]
pub async fn livez() -> &'static str {
    "ok"
}

/// Check that the process can take requests
///
/// 503 while the database is not reachable, or cannot be written to (a full disk).
#[utoipa::path(get, path = "/readyz", tag = "service", security(()),
    responses((status = 200, description = "`ok`", body = String, content_type = "text/plain"),
              (status = 503, description = "Stopping, or the database cannot be reached", body = String, content_type = "text/plain")))]
pub async fn readyz(State(state): State<AppState>) -> (StatusCode, &'static str) {
    if state.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping");
    }
    let reachable = tokio::time::timeout(PROBE_DEADLINE, state.ctx.db.missing_migrations()).await;
    if !matches!(reachable, Ok(Ok(Some(0)))) {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database cannot be reached, or its schema is not current",
        );
    }
    const FULL: &str = "the disk is full: nothing can be stored";
    match tokio::time::timeout(PROBE_DEADLINE, state.writing.check(&state.ctx.db)).await {
        _ if store::db::was_full(FULL_LATELY) => (StatusCode::SERVICE_UNAVAILABLE, FULL),
        Ok(Ok(())) => (StatusCode::OK, "ok"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be written to"),
    }
}

/// How long a process is not ready after it met a full disk.
const FULL_LATELY: Duration = Duration::from_secs(5);

/// Prometheus' metrics.
pub async fn metrics() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], METRICS.render()).into_response()
}
