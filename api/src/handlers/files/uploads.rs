//! Files that come in several requests, as tus 1.0 has it: make an upload, ask where it goes on, send on.

use std::sync::Arc;

use axum::{
    Json as Answer,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use data_encoding::BASE64;
use futures::{Stream, StreamExt};
use rapport_common::{
    Error,
    domain::ids::{FileId, UploadId, UserId},
    error::{Code, Wrong},
    store::uploads::{self, Upload},
    usecase::files,
};
use serde::Serialize;

use super::receive::take;
use crate::{
    error::Result,
    extract::{Caller, UploadPath, drain, unreadable},
    state::AppState,
};

const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const METADATA: &str = "upload-metadata";
const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const PIECES: &str = "application/offset+octet-stream";

/// A file on its way.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UploadView {
    #[schema(value_type = String, example = "upload_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: UploadId,
    name: String,
    /// How many bytes there are to be.
    length: Option<i64>,
    /// How many have come: where the next request goes on.
    offset: i64,
    /// The file, once all has come.
    #[schema(value_type = Option<String>)]
    file_id: Option<FileId>,
}

impl From<&Upload> for UploadView {
    fn from(upload: &Upload) -> Self {
        Self {
            id: upload.id,
            name: upload.name.clone(),
            length: upload.length,
            offset: upload.received,
            file_id: upload.file_id,
        }
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Error> {
    let found = headers.get(name).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let refused =
        || Error::new(Code::Malformed, format!("The header `{name}` must be there, and a whole number."));
    found.filter(|number| *number <= i64::MAX as u64).ok_or_else(refused)
}

/// `filename bWFudWFsLnBkZg==,is_confidential`
fn file_name(headers: &HeaderMap) -> Result<String, Error> {
    let metadata = headers.get(METADATA).and_then(|value| value.to_str().ok()).unwrap_or_default();
    for pair in metadata.split(',') {
        if let Some((key, value)) = pair.trim().split_once(' ')
            && ["filename", "name"].contains(&key)
        {
            let name =
                BASE64.decode(value.trim().as_bytes()).ok().and_then(|name| String::from_utf8(name).ok());
            return name
                .ok_or_else(|| Error::field("Upload-Metadata", Wrong::Unfit("must be base64 of UTF-8")));
        }
    }
    Ok("file".to_owned())
}

/// What tells a client of tus where the upload is.
fn told(upload: &Upload, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(RESUMABLE, VERSION);
    headers.insert(OFFSET, HeaderValue::from(upload.received));
    if let Some(length) = upload.length {
        headers.insert(LENGTH, HeaderValue::from(length));
    }
    if let Some(file) = upload.file_id
        && let Ok(place) = HeaderValue::from_str(&format!("/api/v1/files/{file}"))
    {
        headers.insert(header::CONTENT_LOCATION, place);
    }
}

/// Begin a resumable upload
///
/// As tus 1.0 has it: `Upload-Length` says how many bytes there are to be, `Upload-Metadata` the name (`filename` and its base64). Send
/// them to the answer's `Location` with `PATCH`. An upload that nobody goes on with for a day is thrown away.
#[utoipa::path(post, path = "/files/uploads", tag = "files",
    params(("Upload-Length" = i64, Header, description = "Bytes of the file"),
           ("Upload-Metadata" = Option<String>, Header, description = "`filename bWFudWFsLnBkZg==`")),
    responses((status = 201, description = "The upload; `Location` is where to send", body = UploadView),
              (status = 413, description = "It is too large, or there is no room for it", body = crate::problem::Problem),
              (status = 422, description = "The length or the name is not allowed", body = crate::problem::Problem)))]
pub async fn create(
    State(state): State<AppState>,
    Caller(caller): Caller,
    headers: HeaderMap,
) -> Result<Response> {
    let (length, name) = (number(&headers, &LENGTH)?, file_name(&headers)?);
    let upload = files::begin(&state.ctx, caller.user, &name, Some(length)).await?.upload;
    let mut response = (StatusCode::CREATED, Answer(UploadView::from(&upload))).into_response();
    told(&upload, &mut response);
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/files/uploads/{}", upload.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

async fn found(state: &AppState, user: UserId, id: UploadId) -> Result<Upload> {
    let found = uploads::get(&mut state.ctx.db.read().await?, user, id).await?;
    found.ok_or_else(|| Error::not_found("upload").into())
}

/// Show how far an upload is
///
/// `Upload-Offset` says where to go on; so does `HEAD`. When all has come, `file_id` names the file, for a day.
#[utoipa::path(get, path = "/files/uploads/{id}", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "The upload", body = UploadView)))]
pub async fn get(
    State(state): State<AppState>,
    Caller(caller): Caller,
    UploadPath(id): UploadPath,
) -> Result<Response> {
    let upload = found(&state, caller.user, id).await?;
    let mut response = Answer(UploadView::from(&upload)).into_response();
    told(&upload, &mut response);
    Ok(response)
}

/// Send on
///
/// Bytes from `Upload-Offset` on, as many as there are or as the line lets through: what came is kept. With the last one the file is
/// made, and `Content-Location` names it.
#[utoipa::path(patch, path = "/files/uploads/{id}", tag = "files",
    params(("id" = String, Path), ("Upload-Offset" = i64, Header, description = "Where these bytes begin")),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 204, description = "They are kept; `Upload-Offset` is where to go on"),
              (status = 409, description = "The upload goes on elsewhere, or by another request", body = crate::problem::Problem)))]
pub async fn send(
    State(state): State<AppState>,
    Caller(caller): Caller,
    UploadPath(id): UploadPath,
    headers: HeaderMap,
    request: Request,
) -> Result<Response> {
    let mut body = Box::pin(request.into_body().into_data_stream().map(|chunk| chunk.map_err(unreadable)));
    let sent = take_in(&state, caller.user, id, &headers, &mut body).await;
    if sent.is_err() {
        drain(body).await;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    told(&sent?, &mut response);
    Ok(response)
}

async fn take_in(
    state: &AppState,
    user: UserId,
    id: UploadId,
    headers: &HeaderMap,
    body: &mut (impl Stream<Item = Result<Bytes, Error>> + Unpin),
) -> Result<Upload> {
    found(state, user, id).await?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind != PIECES {
        let detail = format!("The body must be {PIECES}.");
        return Err(Error::new(Code::UnsupportedMediaType, detail).into());
    }
    let offset = number(headers, &OFFSET)?;
    let place = Arc::new(state.receiving.take(user).await?);
    let mut receiver = files::resume(&state.ctx, user, id, offset).await?.holding(place);
    let cut = match take(&mut receiver, body).await {
        Ok(()) => None,
        // What came of a request that broke off is kept.
        Err(error) if error.code == Code::Malformed => Some(error),
        Err(error) => return Err(error.into()),
    };
    if receiver.is_whole() {
        let mut upload = receiver.upload.clone();
        let (file, _known) = receiver.finish().await?;
        upload.file_id = Some(file.id);
        upload.received = file.bytes;
        return Ok(upload);
    }
    receiver.keep().await?;
    match cut {
        Some(error) => Err(error.into()),
        None => Ok(receiver.upload),
    }
}

/// Give an upload up
///
/// What came of it is thrown away. A file that it became stays.
#[utoipa::path(delete, path = "/files/uploads/{id}", tag = "files", params(("id" = String, Path)),
    responses((status = 204, description = "Gone")))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    UploadPath(id): UploadPath,
) -> Result<Response> {
    files::withdraw(&state.ctx, caller.user, id).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(RESUMABLE, VERSION);
    Ok(response)
}
