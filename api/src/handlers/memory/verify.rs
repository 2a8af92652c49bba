//! What users say of their memories.

use axum::{Json as Answer, extract::State};
use rapport_common::{
    Error,
    domain::memory::MemoryView,
    error::Wrong,
    problems::Problems,
    usecase::memory::edit::{self, Action, Verdict},
};
use serde::{Deserialize, Serialize};

use super::memory_id;
use crate::{
    error::Result,
    extract::{Caller, Json, MemoryPath},
    state::AppState,
};

/// Memories verified in one request at most.
const MOST: usize = 200;

#[derive(Deserialize, utoipa::ToSchema)]
pub struct VerifyBody {
    /// `confirm`, `reject` or `correct`.
    #[schema(example = "confirm")]
    action: String,
    /// For `correct`.
    corrected_content: Option<String>,
    /// 0-1.
    corrected_importance: Option<f64>,
    feedback: Option<String>,
}

impl VerifyBody {
    fn verdict(self) -> Result<Verdict> {
        let action = match self.action.as_str() {
            "confirm" => Action::Confirm,
            "reject" => Action::Reject,
            "correct" => Action::Correct,
            _ => return Err(Error::field("action", Wrong::Either(&["confirm", "reject", "correct"])).into()),
        };
        let mut problems = Problems::default();
        // Looked at only where it is used.
        let content = self.corrected_content.filter(|_| action == Action::Correct);
        let corrected_content = problems.checked("corrected_content", content);
        let feedback = problems.checked("feedback", self.feedback);
        problems.done()?;
        Ok(Verdict { action, corrected_content, corrected_importance: self.corrected_importance, feedback })
    }
}

/// Confirm, reject or correct a memory
///
/// A rejected one stays and keeps the same fact, in these or other words, from coming back.
#[utoipa::path(post, path = "/memory/{id}/verify", tag = "memory", params(("id" = String, Path)), request_body = VerifyBody,
    responses((status = 200, description = "The memory", body = MemoryView),
              (status = 409, description = "It is history, or another one says the same", body = crate::problem::Problem)))]
pub async fn verify(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
    Json(body): Json<VerifyBody>,
) -> Result<Answer<MemoryView>> {
    let memory = edit::verify(&state.ctx, caller.user, id, &body.verdict()?).await?;
    Ok(Answer(edit::view(&mut state.ctx.db.read().await?, caller.user, memory).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct VerifyOne {
    #[schema(example = "mem_06dqz6ef8swq1bnx1rc6a2k8t4")]
    memory_id: String,
    #[serde(flatten)]
    verdict: VerifyBody,
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct VerifyMany {
    /// 1-200.
    verifications: Vec<VerifyOne>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Verified {
    verified: usize,
    memories: Vec<MemoryView>,
}

/// Confirm, reject or correct many memories
///
/// All of them, or none when one of them cannot be changed.
#[utoipa::path(post, path = "/memory/verify", tag = "memory", request_body = VerifyMany,
    responses((status = 200, description = "The memories", body = Verified),
              (status = 404, description = "One of them is not there, or another user's", body = crate::problem::Problem),
              (status = 409, description = "One of them is history", body = crate::problem::Problem)))]
pub async fn verify_many(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Json(body): Json<VerifyMany>,
) -> Result<Answer<Verified>> {
    if body.verifications.is_empty() || body.verifications.len() > MOST {
        return Err(Error::field("verifications", Wrong::Count { min: 1, max: MOST }).into());
    }
    let mut all = Vec::with_capacity(body.verifications.len());
    for one in body.verifications {
        all.push((memory_id(&one.memory_id)?, one.verdict.verdict()?));
    }
    let verified = edit::verify_many(&state.ctx, caller.user, &all).await?;
    let memories = edit::views(&mut state.ctx.db.read().await?, caller.user, verified).await?;
    Ok(Answer(Verified { verified: memories.len(), memories }))
}
