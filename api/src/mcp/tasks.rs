//! Calls that a client looks at instead of waiting for them. A task is the job: it outlives every process, and anybody who may see the
//! job may see it. <https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks>

use axum::{
    Json as Answer,
    response::{IntoResponse, Response},
};
use rapport_common::{
    auth, clock,
    domain::{
        event::EventId,
        ids::JobId,
        job::{Job, JobKind, JobStatus},
        user::Scope,
    },
    error::Code,
    follow::wait_final,
    usecase::{cancel_job::cancel_job, send_message::Accepted},
};
use serde_json::{Value, json};

use super::{
    ENDED_EARLY, WRONG_PARAMETERS, refusal, result_of, said,
    send::{Heard, tell_all, with_task},
};
use crate::{
    content,
    error::Result,
    handlers::{chat::ended, jobs},
    state::AppState,
    stream,
};

/// How soon a client may look again, in milliseconds.
const LOOK_AGAIN: u64 = 1_000;
const NO_TASK: &str = "there is no such task";

/// What is told of a task: a job that a message made.
fn view(job: &Job) -> Value {
    let status = match job.status {
        JobStatus::Queued | JobStatus::Running => "working",
        JobStatus::Succeeded => "completed",
        JobStatus::Failed => "failed",
        JobStatus::Cancelled => "cancelled",
    };
    let changed = job.finished_at.or(job.started_at).unwrap_or(job.created_at);
    task(job.id, status, job.status.as_str(), [job.created_at, changed])
}

fn task(
    id: JobId,
    status: &str,
    message: &str,
    [created, changed]: [chrono::DateTime<chrono::Utc>; 2],
) -> Value {
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    // It is kept as long as the job: no client decides that.
    json!({"taskId": id, "status": status, "statusMessage": message, "createdAt": time(created), "lastUpdatedAt": time(changed),
           "ttl": null, "pollInterval": LOOK_AGAIN})
}

/// A task that was just made, of a message that is answered from now on.
pub async fn created(state: &AppState, accepted: &Accepted) -> Value {
    accepted.start(&state.ctx).await;
    let now = clock::now();
    json!({"task": task(accepted.job, "working", JobStatus::Queued.as_str(), [now, now])})
}

/// The job of a task; `None`: there is no such task for this caller.
async fn find(state: &AppState, caller: &auth::Caller, parameters: &Value) -> Result<Option<Job>> {
    let Some(id) = parameters["taskId"].as_str().and_then(|id| id.parse::<JobId>().ok()) else {
        return Ok(None);
    };
    if !caller.may(Scope::Chat) {
        return Ok(None);
    }
    match jobs::load(state, caller, id).await {
        Ok(job) => Ok(Some(job).filter(|job| job.kind == JobKind::Chat && job.session_id.is_some())),
        Err(failure) if failure.0.code == Code::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// `tasks/get`.
pub async fn get(
    state: &AppState,
    caller: &auth::Caller,
    id: &Value,
    parameters: &Value,
) -> Result<Response> {
    Ok(match find(state, caller, parameters).await? {
        Some(job) => Answer(result_of(id, view(&job))).into_response(),
        None => refusal(id, WRONG_PARAMETERS, NO_TASK),
    })
}

/// `tasks/cancel`. The words that were said until then are kept.
pub async fn cancel(
    state: &AppState,
    caller: &auth::Caller,
    id: &Value,
    parameters: &Value,
) -> Result<Response> {
    let Some(job) = find(state, caller, parameters).await? else {
        return Ok(refusal(id, WRONG_PARAMETERS, NO_TASK));
    };
    match cancel_job(&state.ctx, caller.user, job.id).await {
        Ok(job) => {
            // A running one stops within a second. For its client it has stopped now.
            let mut view = view(&job);
            view["status"] = json!("cancelled");
            Ok(Answer(result_of(id, view)).into_response())
        }
        Err(error) if error.code == Code::WrongState => Ok(refusal(id, WRONG_PARAMETERS, &error.detail)),
        Err(error) => Err(error.into()),
    }
}

/// `tasks/result`: waits for the end, as long as `POST /chat` does; with its progress, as long as it takes.
pub async fn result(
    state: &AppState,
    caller: &auth::Caller,
    id: &Value,
    parameters: &Value,
    progress: Option<Value>,
) -> Result<Response> {
    let Some(job) = find(state, caller, parameters).await? else {
        return Ok(refusal(id, WRONG_PARAMETERS, NO_TASK));
    };
    let task = json!(job.id);
    if let Some(token) = progress {
        let slot = state.slots.take(caller.user, "sse")?;
        let events = stream::job_events(state, caller, &job, EventId::START, false);
        return Ok(tell_all(state, Heard { id: id.clone(), token, task: Some(task), slot }, events));
    }
    let waited = wait_final(&state.ctx, caller.user, job.id, state.ctx.settings.chat.wait).await?;
    let Some(job) = waited else { return Ok(refusal(id, WRONG_PARAMETERS, NO_TASK)) };
    Ok(match ended(job) {
        Ok(reply) => {
            let result = said(reply.map(|reply| content::answer(caller, reply)));
            Answer(result_of(id, with_task(result, Some(&task)))).into_response()
        }
        Err(_) => refusal(id, ENDED_EARLY, "the task is still working: ask again"),
    })
}
