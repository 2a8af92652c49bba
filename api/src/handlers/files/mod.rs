//! Files that users send.

pub mod attached;
pub mod content;
pub mod knowledge;
pub mod receive;
pub mod uploads;

use axum::{
    Json as Answer,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error,
    domain::{
        file::{File, FileStatus},
        ids::{FileId, JobId},
    },
    error::Code,
    store,
    usecase::files,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    extract::{Caller, FilePath, Json, ListParams, ListQuery, Query},
    page::{Page, Total, listed},
    state::AppState,
};

/// A file as its owner sees it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FileView {
    #[schema(value_type = String, example = "file_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: FileId,
    #[schema(example = "manual.pdf")]
    name: String,
    /// What it is by its content: `text`, `markdown`, `html`, `csv`, `pdf`, `docx`, `xlsx`, `epub`, `png`, `jpeg`, `gif` or `webp`.
    #[schema(example = "pdf")]
    kind: String,
    #[schema(example = "application/pdf")]
    media_type: &'static str,
    bytes: i64,
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    sha256: String,
    /// `queued`, `reading`, `indexed` (its passages can be found), `failed` (see `error`), or `stored` (an image: it has no text).
    #[schema(value_type = String, example = "indexed")]
    status: FileStatus,
    /// Why it could not be read.
    error: Option<String>,
    /// The job that reads it; its progress is in `GET /jobs/{id}`.
    #[schema(value_type = Option<String>)]
    job_id: Option<JobId>,
    pages: Option<i64>,
    /// How many passages it has.
    passages: i64,
    #[serde(with = "rapport_common::clock::rfc3339_millis")]
    created_at: DateTime<Utc>,
    #[serde(with = "rapport_common::clock::rfc3339_millis")]
    updated_at: DateTime<Utc>,
}

impl From<File> for FileView {
    fn from(file: File) -> Self {
        Self {
            media_type: files::media_type(&file),
            id: file.id,
            name: file.name,
            kind: file.kind,
            bytes: file.bytes,
            sha256: file.sha256,
            status: file.status,
            error: file.error,
            job_id: file.job_id,
            pages: file.pages,
            passages: file.chunks,
            created_at: file.created_at,
            updated_at: file.updated_at,
        }
    }
}

listed!(FileList = Page<FileView>, Total::Always);

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FileFilter {
    /// Only those of this status.
    status: Option<String>,
}

/// List files, newest first
///
/// Your files, with what became of them.
#[utoipa::path(get, path = "/files", tag = "files", params(ListParams, FileFilter),
    responses((status = 200, description = "Files", body = FileList)))]
pub async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(filter): Query<FileFilter>,
    ListQuery { limit, start }: ListQuery<FileId>,
) -> Result<Answer<FileList>> {
    let refused = |said| Error::new(Code::BadQuery, format!("`status`: {said}."));
    let status = filter.status.map(|word| word.parse::<FileStatus>()).transpose().map_err(refused)?;
    let (before, skip) = start.parts();
    let mut conn = state.ctx.db.read().await?;
    let (items, total) = store::files::list(&mut conn, caller.user, status, before, limit, skip).await?;
    Ok(Answer(Page::of(items, limit, |last| last.id).with_total(Some(total))))
}

/// What a form holds.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it only describes the body, which is read as it arrives")]
pub struct FileForm {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FileName {
    /// Of a body that is the file itself.
    #[param(example = "manual.pdf")]
    name: Option<String>,
}

/// Send a file
///
/// As a form (`multipart/form-data` with one file), or as the body itself with `?name=`. It is kept as it arrives, however large; for
/// large ones over bad lines see `POST /files/uploads`. What it is tells its content, not its name. A job then takes its text out,
/// and makes passages of it. The same content again gives the file that is there, with 200.
#[utoipa::path(post, path = "/files", tag = "files", params(FileName),
    request_body(content((FileForm = "multipart/form-data"), (Vec<u8> = "application/octet-stream"))),
    responses((status = 201, description = "The file", body = FileView),
              (status = 200, description = "You have a file of this content: that one", body = FileView)))]
pub async fn create(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(named): Query<FileName>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response> {
    let (file, known) =
        receive::whole(&state, caller.user, named.name, &headers, request, receive::any).await?;
    let status = if known { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Answer(FileView::from(file))).into_response())
}

/// Show a file
///
/// Its state, and why it could not be read, if so.
#[utoipa::path(get, path = "/files/{id}", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "The file", body = FileView)))]
pub async fn get(
    State(state): State<AppState>,
    Caller(caller): Caller,
    FilePath(id): FilePath,
) -> Result<Answer<FileView>> {
    let file = files::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    Ok(Answer(file.into()))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct FileChange {
    #[schema(example = "The pump's manual.pdf")]
    name: String,
}

/// Rename a file
///
/// Answers from now on call it so.
#[utoipa::path(patch, path = "/files/{id}", tag = "files", params(("id" = String, Path)), request_body = FileChange,
    responses((status = 200, description = "The file", body = FileView)))]
pub async fn change(
    State(state): State<AppState>,
    Caller(caller): Caller,
    FilePath(id): FilePath,
    Json(body): Json<FileChange>,
) -> Result<Answer<FileView>> {
    Ok(Answer(files::rename(&state.ctx, caller.user, id, &body.name).await?.into()))
}

/// Delete a file
///
/// With its bytes, its passages and their vectors. Sources in old answers keep their quotes.
#[utoipa::path(delete, path = "/files/{id}", tag = "files", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted")))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    FilePath(id): FilePath,
) -> Result<StatusCode> {
    files::delete(&state.ctx, caller.user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read a file again
///
/// One that could not be read, or was read by an older version.
#[utoipa::path(post, path = "/files/{id}/retry", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "The file, with the job that reads it", body = FileView),
              (status = 409, description = "It is being read, or has no text", body = crate::problem::Problem)))]
pub async fn retry(
    State(state): State<AppState>,
    Caller(caller): Caller,
    FilePath(id): FilePath,
) -> Result<Answer<FileView>> {
    Ok(Answer(files::retry(&state.ctx, caller.user, id).await?.into()))
}
