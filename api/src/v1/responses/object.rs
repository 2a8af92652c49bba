//! A response as it is shown: what was asked, and what came of it.

use chrono::{DateTime, Utc};
use rapport_common::{
    domain::{
        ids::JobId,
        job::{Job, JobStatus},
    },
    error::Code,
};
use serde_json::{Value, json};

use super::items;
use crate::v1::answer::Said;

/// What a response's events and its object are made of.
#[derive(Clone)]
pub struct Asked {
    pub job: JobId,
    pub created_at: DateTime<Utc>,
    /// What the client chose, in the words of the object (`Wanted::shown`).
    pub shown: Value,
    /// What is searched for in files before it is answered, if something is.
    pub queries: Option<Vec<String>>,
}

/// What became of it.
pub enum State<'a> {
    Queued,
    InProgress,
    Said(&'a Said),
    /// The problem.
    Failed(&'a Value),
}

impl Asked {
    /// The whole object: every field is there.
    pub fn object(&self, state: &State<'_>, completed_at: Option<DateTime<Utc>>) -> Value {
        let mut object = self.shown.clone();
        let status = status(state);
        object["id"] = json!(items::item_id("resp", self.job));
        object["object"] = json!("response");
        object["created_at"] = json!(self.created_at.timestamp());
        object["status"] = json!(status);
        object["completed_at"] =
            json!(completed_at.filter(|_| status == "completed").map(|at| at.timestamp()));
        for (field, value) in
            [("error", Value::Null), ("incomplete_details", Value::Null), ("usage", Value::Null)]
        {
            object[field] = value;
        }
        object["output"] = json!([]);
        match state {
            State::Queued | State::InProgress => {}
            State::Failed(problem) => object["error"] = error(problem),
            State::Said(said) => {
                let item = if status == "completed" { "completed" } else { "incomplete" };
                object["output"] = items::of_answer(self.job, said, item).into();
                object["model"] = json!(said.model());
                object["usage"] = usage(said);
                if let Some(reason) = incomplete(said) {
                    object["incomplete_details"] = json!({"reason": reason});
                }
            }
        }
        object
    }

    /// The same of what the ledger has.
    pub fn of_job(&self, job: &Job) -> Value {
        match job.status {
            JobStatus::Queued => self.object(&State::Queued, None),
            JobStatus::Running => self.object(&State::InProgress, None),
            JobStatus::Failed => {
                self.object(&State::Failed(job.error.as_ref().unwrap_or(&Value::Null)), job.finished_at)
            }
            JobStatus::Succeeded | JobStatus::Cancelled => {
                let cancelled = json!({"finish_reason": "cancelled"});
                let said = Said(job.result.clone().unwrap_or(cancelled));
                self.object(&State::Said(&said), job.finished_at)
            }
        }
    }
}

fn status(state: &State<'_>) -> &'static str {
    match state {
        State::Queued => "queued",
        State::InProgress => "in_progress",
        State::Failed(_) => "failed",
        State::Said(said) if said.0["finish_reason"] == "cancelled" => "cancelled",
        State::Said(said) if incomplete(said).is_some() => "incomplete",
        State::Said(_) => "completed",
    }
}

fn incomplete(said: &Said) -> Option<&'static str> {
    match said.0["finish_reason"].as_str() {
        Some("length") => Some("max_output_tokens"),
        Some("content_filter") => Some("content_filter"),
        _ => None,
    }
}

/// What is not counted apart is 0: clients want the fields.
fn usage(said: &Said) -> Value {
    let count = |field: &str| said.0["usage"][field].as_i64().unwrap_or(0);
    json!({
        "input_tokens": count("prompt_tokens"),
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": count("completion_tokens"),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": count("total_tokens"),
    })
}

/// The codes are few: the rest is in the sentence.
fn error(problem: &Value) -> Value {
    let code = problem["code"].as_str().and_then(Code::from_name);
    let code = match code {
        Some(Code::RateLimited | Code::ProviderRateLimited | Code::BudgetSpent) => "rate_limit_exceeded",
        Some(Code::Invalid | Code::ProviderRefused) => "invalid_prompt",
        _ => "server_error",
    };
    json!({"code": code, "message": problem["detail"].as_str().unwrap_or("The response failed.")})
}
