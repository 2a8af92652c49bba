//! Search in files.

use axum::{Json as Answer, extract::State};
use rapport_common::{
    Error,
    domain::ids::{FileId, ProjectId, SessionId},
    error::{FieldError, Wrong},
    memory::rank::{Explained, Mode},
    usecase::{
        files::search::{self, Within},
        memory::search::passages::Passage,
    },
};
use serde::{Deserialize, Serialize};

use super::content::PassageView;
use crate::{
    error::Result,
    extract::{Caller, Json},
    page::{List, listed},
    policy::Content,
    state::AppState,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct KnowledgeBody {
    #[schema(example = "When does the pump stop?")]
    query: String,
    /// 1-100, 10 by default.
    limit: Option<i64>,
    /// `hybrid` (default), `semantic` or `keyword`.
    mode: Option<String>,
    /// Only in these files, at most 100. Without them, and without a session or a project: in all of yours.
    #[schema(value_type = Option<Vec<String>>)]
    file_ids: Option<Vec<FileId>>,
    /// Only in the files of this session.
    #[schema(value_type = Option<String>)]
    session_id: Option<SessionId>,
    /// Only in the files of this project.
    #[schema(value_type = Option<String>)]
    project_id: Option<ProjectId>,
    /// Whether each hit says what its score is made of.
    #[serde(default)]
    explain: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct PassageHit {
    passage: PassageView,
    /// The file's name.
    #[schema(example = "manual.pdf")]
    file: String,
    /// Likeness in meaning (cosine), 0-1.
    similarity_score: f64,
    /// What the list is ordered by.
    score: f64,
    #[schema(example = "shares the words pump, stop")]
    relevance_reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Explained>,
}

listed!(PassageHits = List<PassageHit>);

fn view(found: Passage, explain: bool) -> PassageHit {
    PassageHit {
        passage: found.chunk.into(),
        file: found.file,
        similarity_score: found.explained.cosine.clamp(0.0, 1.0),
        score: found.explained.score,
        relevance_reason: found.reason,
        explain: explain.then_some(found.explained),
    }
}

/// What a request asks for: the question, how, and how many.
fn checked(body: &KnowledgeBody) -> Result<(Mode, usize)> {
    let mut errors = Vec::new();
    let length = body.query.trim().chars().count();
    if length == 0 || length > 2_000 || body.query.contains('\0') {
        errors.push(FieldError::new("query", Wrong::Text { min: 1, max: 2_000 }));
    }
    let limit = body.limit.unwrap_or(10);
    if !(1..=100).contains(&limit) {
        errors.push(FieldError::new("limit", Wrong::Range { min: 1, max: 100 }));
    }
    if body.file_ids.as_ref().is_some_and(|ids| ids.len() > 100) {
        errors.push(FieldError::new("file_ids", Wrong::Count { min: 0, max: 100 }));
    }
    let mode = match body.mode.as_deref() {
        Some("semantic") => Mode::Semantic,
        Some("keyword") => Mode::Keyword,
        Some("hybrid") | None => Mode::Hybrid,
        Some(_) => {
            errors.push(FieldError::new("mode", Wrong::Either(&["semantic", "keyword", "hybrid"])));
            Mode::Hybrid
        }
    };
    if errors.is_empty() { Ok((mode, limit as usize)) } else { Err(Error::fields(errors).into()) }
}

/// Search in files
///
/// Passages by words (BM25), by meaning (vectors), or both joined; the best first. What is not about the question is left out.
#[utoipa::path(post, path = "/knowledge/search", tag = "files", request_body = KnowledgeBody,
    responses((status = 200, description = "What was found", body = PassageHits),
              (status = 404, description = "There is no such file, session or project", body = crate::problem::Problem)))]
pub async fn search(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Json(body): Json<KnowledgeBody>,
) -> Result<Answer<PassageHits>> {
    let (mode, limit) = checked(&body)?;
    if body.project_id.is_some() {
        Content::Projects.check(&caller)?;
    }
    let within = Within { files: body.file_ids, session: body.session_id, project: body.project_id };
    let found = search::search(&state.ctx, caller.user, &within, (&body.query, mode), limit).await?;
    Ok(Answer(List::of(found.into_iter().map(|one| view(one, body.explain)).collect())))
}
