//! Files that a conversation, or all of a project's, may look into.

use axum::{Json as Answer, extract::State};
use rapport_common::{domain::ids::FileId, store::files::Named, usecase::files};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    extract::{Caller, Json, ProjectPath, SessionPath},
    state::AppState,
};

/// At most 100 files.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct AttachedBody {
    #[schema(value_type = Vec<String>, example = json!([]))]
    file_ids: Vec<FileId>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct AttachedFile {
    #[schema(value_type = String)]
    id: FileId,
    #[schema(example = "manual.pdf")]
    name: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Attached {
    #[schema(value_type = Vec<String>)]
    file_ids: Vec<FileId>,
    files: Vec<AttachedFile>,
}

impl From<Vec<Named>> for Attached {
    fn from(named: Vec<Named>) -> Self {
        let files: Vec<_> =
            named.into_iter().map(|file| AttachedFile { id: file.id, name: file.name }).collect();
        Self { file_ids: files.iter().map(|file| file.id).collect(), files }
    }
}

/// Show a session's files
///
/// What its answers may look into, besides the files of its project.
#[utoipa::path(get, path = "/chat/sessions/{id}/files", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "Its files", body = Attached)))]
pub async fn of_session(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SessionPath(id): SessionPath,
) -> Result<Answer<Attached>> {
    Ok(Answer(files::of_session(&state.ctx, caller.user, id).await?.into()))
}

/// Say which files a session may look into
///
/// All of them anew. Answers then get passages that bear on the question, and name those they rest on in `sources`.
#[utoipa::path(put, path = "/chat/sessions/{id}/files", tag = "files", params(("id" = String, Path)), request_body = AttachedBody,
    responses((status = 200, description = "Its files", body = Attached)))]
pub async fn set_of_session(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SessionPath(id): SessionPath,
    Json(body): Json<AttachedBody>,
) -> Result<Answer<Attached>> {
    Ok(Answer(files::set_of_session(&state.ctx, caller.user, id, body.file_ids).await?.into()))
}

/// Show a project's files
///
/// What the answers of all its conversations may look into.
#[utoipa::path(get, path = "/projects/{id}/files", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "Its files", body = Attached)))]
pub async fn of_project(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
) -> Result<Answer<Attached>> {
    Ok(Answer(files::of_project(&state.ctx, caller.user, id).await?.into()))
}

/// Say which files a project's conversations may look into
///
/// All of them anew.
#[utoipa::path(put, path = "/projects/{id}/files", tag = "files", params(("id" = String, Path)), request_body = AttachedBody,
    responses((status = 200, description = "Its files", body = Attached)))]
pub async fn set_of_project(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    Json(body): Json<AttachedBody>,
) -> Result<Answer<Attached>> {
    Ok(Answer(files::set_of_project(&state.ctx, caller.user, id, body.file_ids).await?.into()))
}
