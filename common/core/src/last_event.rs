//! What the last event of a job says, made of what the ledger has.

use serde_json::{Value, json};

use crate::{
    domain::{
        event::{Event, EventId},
        job::{Job, JobStatus},
    },
    error::{Code, Error},
};

/// Why an answer ended that is the deployment's fallback message: no model gave it.
pub const FALLBACK: &str = "fallback";

/// The final event as the ledger has it, under the highest number of the last attempt.
pub fn final_event_of(job: &Job) -> Option<Event> {
    let id = EventId::last_of(job.attempt);
    let (name, data) = final_name_and_data(job.status, job.result.as_ref(), job.error.as_ref())?;
    Some(Event::new(id, name, data))
}

/// Whether a chat's result is the deployment's fallback message.
pub fn is_fallback(result: &Value) -> bool {
    result["finish_reason"] == FALLBACK
}

/// What the last event of a job says.
pub fn final_name_and_data(
    status: JobStatus,
    result: Option<&Value>,
    error: Option<&Value>,
) -> Option<(&'static str, Value)> {
    match status {
        JobStatus::Succeeded => Some(("done", result.cloned().unwrap_or_else(|| json!({})))),
        JobStatus::Cancelled => {
            Some(("done", result.cloned().unwrap_or_else(|| json!({"finish_reason": "cancelled"}))))
        }
        // No model answered, but something was said instead; the job keeps the error.
        JobStatus::Failed if result.is_some_and(is_fallback) => Some(("done", result.cloned()?)),
        JobStatus::Failed => {
            let unknown = || Error::new(Code::JobFailed, "The job failed.").problem(None);
            Some(("error", error.cloned().unwrap_or_else(unknown)))
        }
        JobStatus::Queued | JobStatus::Running => None,
    }
}
