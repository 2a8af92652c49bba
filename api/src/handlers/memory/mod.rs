//! The caller's memory.

pub mod analytics;
pub mod conflicts;
pub mod crud;
pub mod events;
pub mod extract;
pub mod history;
pub mod links;
pub mod list;
pub mod merge;
pub mod privacy;
pub mod search;
pub mod transfer;
pub mod verify;
mod views;

use std::time::Duration;

use axum::{
    Json as Answer,
    response::{IntoResponse, Response},
};
use rapport_common::{
    Error, auth,
    domain::{
        ids::MemoryId,
        job::{Job, JobStatus},
    },
    follow::wait_final,
};

use super::chat::{error_of, job_response, mark_replayed};
use crate::{
    error::{Failure, Result},
    extract::Prefer,
    state::AppState,
};

/// Ids of a body: a malformed one is nobody's.
pub fn memory_ids(texts: &[String]) -> Result<Vec<MemoryId>> {
    let parse = |text: &String| text.parse().map_err(|_| Failure(Error::not_found("memory")));
    texts.iter().map(parse).collect()
}

pub fn memory_id(text: &str) -> Result<MemoryId> {
    text.parse().map_err(|_| Failure(Error::not_found("memory")))
}

/// Waits for a job and gives its result; the job itself, when it is not done in time.
pub async fn result_of(
    state: &AppState,
    caller: &auth::Caller,
    (job, replayed): (Job, bool),
    prefer: Prefer,
) -> Result<Response> {
    let wait = match prefer {
        Prefer { wait: Some(seconds), .. } => Duration::from_secs(seconds),
        Prefer { respond_async: true, .. } => Duration::ZERO,
        _ => state.ctx.settings.chat.wait,
    };
    let job = if wait.is_zero() {
        job
    } else {
        let waited = wait_final(&state.ctx, caller.user, job.id, wait).await?;
        waited.ok_or_else(|| Error::not_found("job"))?
    };
    let mut response = match job.status {
        JobStatus::Succeeded => Answer(job.result.unwrap_or_default()).into_response(),
        JobStatus::Failed | JobStatus::Cancelled => {
            return Err(Failure(error_of(&job.error.unwrap_or_default())));
        }
        JobStatus::Queued | JobStatus::Running => job_response(caller, job),
    };
    mark_replayed(&mut response, replayed);
    Ok(response)
}
