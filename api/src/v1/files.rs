//! `/v1/files`: the same files as `/api/v1/files`, as OpenAI's clients see them.

use axum::{
    Json as Answer,
    extract::{Request, State},
    http::{HeaderMap, header},
    response::Response,
};
use rapport_common::{
    Error,
    domain::{
        file::{File, FileStatus},
        ids::FileId,
    },
    error::{Code, Wrong},
    problems::Problems,
    store,
    usecase::files,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    body::NOT_HERE,
    lists::{PartQuery, listed},
    responses::stored::ResponseItems,
};
use crate::{
    error::Result,
    extract::{Caller, FilePath, Query, drain},
    handlers::files::{
        content,
        receive::{self, Fields},
    },
    state::AppState,
};

/// What a file may be for here. Others are for what is not done here.
const PURPOSES: [&str; 3] = ["assistants", "user_data", "vision"];
/// What a file is for whose sender did not say it.
const DATA: &str = "user_data";
/// Files of one list.
const MOST: i64 = 10_000;

/// A file, as OpenAI's clients expect it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FileObject {
    #[schema(value_type = String, example = "file_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: FileId,
    #[schema(example = "file")]
    object: &'static str,
    bytes: i64,
    created_at: i64,
    /// Always null: a file stays until it is deleted.
    expires_at: Option<i64>,
    #[schema(example = "manual.pdf")]
    filename: String,
    #[schema(example = "assistants")]
    purpose: String,
    /// `uploaded` (it waits to be read), `processed`, or `error` (see `status_details`).
    #[schema(example = "processed")]
    status: &'static str,
    /// Why it could not be read.
    status_details: Option<String>,
}

impl From<File> for FileObject {
    fn from(file: File) -> Self {
        let status = match file.status {
            FileStatus::Queued | FileStatus::Reading => "uploaded",
            FileStatus::Indexed | FileStatus::Stored => "processed",
            FileStatus::Failed => "error",
        };
        Self {
            id: file.id,
            object: "file",
            bytes: file.bytes,
            created_at: file.created_at.timestamp(),
            expires_at: None,
            filename: file.name,
            purpose: file.purpose.unwrap_or_else(|| DATA.to_owned()),
            status,
            status_details: file.error,
        }
    }
}

/// A form with a file.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it only describes the body, which is read as it arrives")]
pub struct FileUpload {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// `assistants`, `user_data` or `vision`.
    #[schema(example = "assistants")]
    purpose: String,
}

fn purpose_of(fields: Fields) -> Result<Option<String>, Error> {
    let mut problems = Problems::default();
    let mut purpose = None;
    for (name, bytes) in fields {
        match name.as_str() {
            "purpose" if purpose.is_some() => problems.add("purpose", Wrong::GivenTwice),
            "purpose" => purpose = Some(String::from_utf8_lossy(&bytes).into_owned()),
            "file" => problems.add("file", Wrong::GivenTwice),
            name if name.starts_with("expires_after") => problems.add("expires_after", NOT_HERE),
            name => {
                let name: String = name.chars().take(100).collect();
                problems.add(name, Wrong::UnknownAmong("file, purpose".to_owned()));
            }
        }
    }
    match purpose.as_deref() {
        None => problems.add("purpose", Wrong::Required),
        Some(one) if PURPOSES.contains(&one) => {}
        Some(_) => problems.add("purpose", Wrong::Unfit("must be assistants, user_data or vision here")),
    }
    problems.done()?;
    Ok(purpose)
}

/// Send a file, for OpenAI's clients
///
/// A form with `file` and `purpose`. A job then takes its text out. The same content again is the same file, which is for what was said
/// last.
#[utoipa::path(post, path = "/v1/files", tag = "openai", request_body(content((FileUpload = "multipart/form-data"))),
    responses((status = 200, description = "The file", body = FileObject)))]
pub async fn create(
    State(state): State<AppState>,
    Caller(caller): Caller,
    headers: HeaderMap,
    request: Request,
) -> Result<Answer<FileObject>> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.to_lowercase().starts_with("multipart/form-data") {
        drain(request.into_body().into_data_stream()).await;
        let detail = "The body must be a form, with `Content-Type: multipart/form-data`.";
        return Err(Error::new(Code::UnsupportedMediaType, detail).into());
    }
    let (file, _) = receive::whole(&state, caller.user, None, &headers, request, purpose_of).await?;
    Ok(Answer(file.into()))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PurposeQuery {
    /// Only those for this.
    purpose: Option<String>,
}

/// List files, for OpenAI's clients
///
/// Your files, the newest first unless you ask otherwise. Those that were sent by `/api/v1/files` are `user_data`.
#[utoipa::path(get, path = "/v1/files", tag = "openai", params(PartQuery, PurposeQuery),
    responses((status = 200, description = "Files", body = ResponseItems)))]
pub async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(query): Query<PartQuery>,
    Query(wanted): Query<PurposeQuery>,
) -> Result<Answer<ResponseItems>> {
    let mut problems = Problems::default();
    let part = query.part(MOST, MOST, &mut problems);
    problems.done()?;
    let mut conn = state.ctx.db.read().await?;
    let found = store::files::of_purpose(&mut conn, caller.user, wanted.purpose.as_deref(), part).await?;
    let found = found.into_iter().map(|file| json!(FileObject::from(file))).collect();
    Ok(Answer(listed(found, &part)))
}

/// Get a file, for OpenAI's clients
///
/// What is known of it; its content has a route of its own.
#[utoipa::path(get, path = "/v1/files/{id}", tag = "openai", params(("id" = String, Path)),
    responses((status = 200, description = "The file", body = FileObject)))]
pub async fn get(
    State(state): State<AppState>,
    Caller(caller): Caller,
    FilePath(id): FilePath,
) -> Result<Answer<FileObject>> {
    Ok(Answer(files::get(&mut state.ctx.db.read().await?, caller.user, id).await?.into()))
}

/// That a file was deleted.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FileGone {
    #[schema(value_type = String, example = "file_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: FileId,
    #[schema(example = "file")]
    object: &'static str,
    deleted: bool,
}

/// Delete a file, for OpenAI's clients
///
/// It goes out of all vector stores, conversations and projects.
#[utoipa::path(delete, path = "/v1/files/{id}", tag = "openai", params(("id" = String, Path)),
    responses((status = 200, description = "It is gone", body = FileGone)))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    FilePath(id): FilePath,
) -> Result<Answer<FileGone>> {
    files::delete(&state.ctx, caller.user, id).await?;
    Ok(Answer(FileGone { id, object: "file", deleted: true }))
}

/// Download a file, for OpenAI's clients
///
/// As it was sent, whatever it is for.
#[utoipa::path(get, path = "/v1/files/{id}/content", tag = "openai",
    params(("id" = String, Path), ("Range" = Option<String>, Header, description = "`bytes=0-99`")),
    responses((status = 200, description = "The file", content(
                  (Vec<u8> = "application/octet-stream"), (Vec<u8> = "text/plain"), (Vec<u8> = "text/markdown"), (Vec<u8> = "text/html"),
                  (Vec<u8> = "text/csv"), (Vec<u8> = "application/pdf"), (Vec<u8> = "image/png"))),
              (status = 206, description = "A part of it", content((Vec<u8> = "application/octet-stream"), (Vec<u8> = "text/plain"))),
              (status = 304, description = "It is the one you have"),
              (status = 416, description = "There is no such part", body = crate::v1_error::OpenAiError)))]
pub async fn file_content(
    State(state): State<AppState>,
    Caller(caller): Caller,
    FilePath(id): FilePath,
    headers: HeaderMap,
) -> Result<Response> {
    content::give(&state, caller.user, id, &headers).await
}
