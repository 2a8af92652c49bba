//! Queues and workers: how they stand, and holding a queue up.

use axum::{Json as Answer, extract::State, http::StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use rapport_common::{
    clock,
    domain::job::Queue,
    store::{self, admin as rows},
    usecase::admin,
};
use serde::Serialize;

use super::actor;
use crate::{
    error::Result,
    extract::{Address, Caller, QueuePath},
    state::AppState,
};

/// A worker that was not heard of for so long is gone.
const LIVING: TimeDelta = TimeDelta::seconds(30);

#[derive(Serialize, utoipa::ToSchema)]
pub struct QueueView {
    #[schema(example = "chat")]
    name: &'static str,
    /// Jobs that wait.
    depth: i64,
    /// Seconds since the oldest became due; 0 when nothing is.
    oldest_age: i64,
    running: i64,
    /// Ended well in the last minute.
    done_per_minute: i64,
    failed_per_minute: i64,
    is_paused: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct WorkerView {
    name: String,
    queues: Vec<String>,
    concurrency: i64,
    #[serde(with = "clock::rfc3339_millis")]
    started_at: DateTime<Utc>,
    /// Its last heartbeat.
    #[serde(with = "clock::rfc3339_millis")]
    seen_at: DateTime<Utc>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Queues {
    queues: Vec<QueueView>,
    workers: Vec<WorkerView>,
}

/// Show queues and workers
///
/// Depth, age of the oldest job, running jobs, jobs done and failed per minute, and each worker's last heartbeat.
#[utoipa::path(get, path = "/admin/queues", tag = "admin",
    responses((status = 200, description = "Queues and workers", body = Queues)))]
pub async fn queues(State(state): State<AppState>, _: Caller) -> Result<Answer<Queues>> {
    let now = clock::now();
    let mut conn = state.ctx.db.read().await?;
    let open = rows::queues(&mut conn).await?;
    let ended = rows::ended(&mut conn, now - TimeDelta::minutes(1)).await?;
    let paused = rows::paused(&mut conn).await?;
    let workers = store::workers::living(&mut conn, now - LIVING).await?;
    let view = |queue: Queue| {
        let name = queue.as_str();
        let waiting = open.iter().find(|open| open.queue == name);
        let finished = ended.iter().find(|ended| ended.queue == name);
        let oldest = waiting.and_then(|open| open.oldest);
        QueueView {
            name,
            depth: waiting.map_or(0, |open| open.waiting),
            oldest_age: oldest.map_or(0, |oldest| (now - oldest).num_seconds().max(0)),
            running: waiting.map_or(0, |open| open.running),
            done_per_minute: finished.map_or(0, |ended| ended.done),
            failed_per_minute: finished.map_or(0, |ended| ended.failed),
            is_paused: paused.iter().any(|found| found == name),
        }
    };
    let workers = workers.into_iter().map(|worker| WorkerView {
        queues: worker.queues.split(',').map(str::to_owned).collect(),
        name: worker.name,
        concurrency: worker.concurrency,
        started_at: worker.started_at,
        seen_at: worker.seen_at,
    });
    Ok(Answer(Queues { queues: Queue::ALL.into_iter().map(view).collect(), workers: workers.collect() }))
}

/// Pause a queue
///
/// Jobs that run go on; new ones wait. Workers notice within a second.
#[utoipa::path(post, path = "/admin/queues/{queue}/pause", tag = "admin", params(("queue" = String, Path)),
    responses((status = 204, description = "Paused")))]
pub async fn pause(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    QueuePath(queue): QueuePath,
) -> Result<StatusCode> {
    admin::pause(&state.ctx, &actor(&caller, address), queue, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Resume a queue
///
/// Workers take jobs from it again within a second.
#[utoipa::path(post, path = "/admin/queues/{queue}/resume", tag = "admin", params(("queue" = String, Path)),
    responses((status = 204, description = "Resumed")))]
pub async fn resume(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    QueuePath(queue): QueuePath,
) -> Result<StatusCode> {
    admin::pause(&state.ctx, &actor(&caller, address), queue, false).await?;
    Ok(StatusCode::NO_CONTENT)
}
