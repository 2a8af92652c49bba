//! A file's bytes, and the passages that were made of it.

use axum::{
    Json as Answer,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use rapport_common::{
    Error,
    domain::{
        file::File,
        ids::{FileId, PassageId, UserId},
    },
    error::Code,
    store::chunks::{self, Chunk},
    telemetry::metrics::METRICS,
    usecase::files,
};
use serde::Serialize;

use crate::{
    error::Result,
    extract::{Caller, FilePath, ListParams, ListQuery},
    page::{Page, listed},
    state::AppState,
};

/// Whatever the file says, a browser saves it, guesses nothing of it, and runs nothing in it.
const POLICY: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");

/// Download a file
///
/// As it was sent. `Range` gives a part of it, `If-None-Match` with its `ETag` nothing if it is known.
#[utoipa::path(get, path = "/files/{id}/content", tag = "files",
    params(("id" = String, Path), ("Range" = Option<String>, Header, description = "`bytes=0-99`")),
    responses((status = 200, description = "The file", content(
                  (Vec<u8> = "application/octet-stream"), (Vec<u8> = "text/plain"), (Vec<u8> = "text/markdown"), (Vec<u8> = "text/html"),
                  (Vec<u8> = "text/csv"), (Vec<u8> = "application/pdf"), (Vec<u8> = "image/png"))),
              (status = 206, description = "A part of it", content((Vec<u8> = "application/octet-stream"), (Vec<u8> = "text/plain"))),
              (status = 304, description = "It is the one you have"),
              (status = 416, description = "There is no such part", body = crate::problem::Problem)))]
pub async fn content(
    State(state): State<AppState>,
    Caller(caller): Caller,
    FilePath(id): FilePath,
    headers: HeaderMap,
) -> Result<Response> {
    give(&state, caller.user, id, &headers).await
}

/// A file's bytes, or what of them is asked for.
pub async fn give(state: &AppState, user: UserId, id: FileId, headers: &HeaderMap) -> Result<Response> {
    let file = files::get(&mut state.ctx.db.read().await?, user, id).await?;
    let tag = format!("\"{}\"", file.sha256);
    let said = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let size = file.bytes as u64;
    if said(header::IF_NONE_MATCH)
        .is_some_and(|known| known == "*" || known.split(',').any(|one| one.trim() == tag))
    {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe(&mut response, &file, &tag);
        return Ok(response);
    }
    // A range of another version is none of this one.
    let is_same = said(header::IF_RANGE).is_none_or(|known| known == tag);
    let asked = said(header::RANGE).filter(|_| is_same);
    let range = match asked.map(|text| parse(text, size)) {
        None | Some(Asked::Whole) => 0..size,
        Some(Asked::Part(range)) => range,
        Some(Asked::Beyond) => return Ok(beyond(size)),
    };
    let is_part = range != (0..size);
    let (from, to) = (range.start, range.end);
    let bytes = files::content(&state.ctx, &file, range).inspect(|part| {
        let count = part.as_ref().map_or(0, |part| part.len() as u64);
        METRICS.file_bytes.with_label_values(&["out"]).inc_by(count);
    });
    let mut response = Body::from_stream(bytes).into_response();
    describe(&mut response, &file, &tag);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    if is_part {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        if let Ok(place) = HeaderValue::from_str(&format!("bytes {from}-{}/{size}", to - 1)) {
            response.headers_mut().insert(header::CONTENT_RANGE, place);
        }
    }
    Ok(response)
}

fn beyond(size: u64) -> Response {
    let error = Error::new(Code::BadRange, format!("The file has {size} bytes: there is no such part."));
    let mut response = crate::error::Failure(error).into_response();
    if let Ok(place) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, place);
    }
    response
}

fn describe(response: &mut Response, file: &File, tag: &str) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(files::media_type(file)));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    if let Ok(disposition) = HeaderValue::from_str(&disposition(&file.name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
}

/// The name in ASCII for old programs, and as it is (RFC 6266).
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[derive(Debug, PartialEq)]
enum Asked {
    Whole,
    Part(std::ops::Range<u64>),
    Beyond,
}

/// One range of bytes; what is none, or several, is answered with the whole file, as RFC 9110 allows.
fn parse(text: &str, size: u64) -> Asked {
    let range = text.trim().strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'));
    let Some((from, to)) = range.filter(|(_, to)| !to.contains(',')) else { return Asked::Whole };
    let (from, to) = (from.trim(), to.trim());
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(from), number(to)) {
        (Some(from), _) if from >= size => Asked::Beyond,
        (Some(from), Some(to)) if to >= from => Asked::Part(from..to.saturating_add(1).min(size)),
        (Some(from), None) if to.is_empty() => Asked::Part(from..size),
        (None, Some(0)) if from.is_empty() => Asked::Beyond,
        (None, Some(last)) if from.is_empty() => Asked::Part(size.saturating_sub(last)..size),
        _ => Asked::Whole,
    }
}

/// A part of a file's text.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PassageView {
    #[schema(value_type = String, example = "psg_06dqz6ef8swq1bnx1rc6a2k8t4")]
    pub id: PassageId,
    #[schema(value_type = String)]
    pub file_id: FileId,
    /// Its place in the file, from 0.
    pub n: i64,
    pub page: Option<i64>,
    /// Under which it stands; empty for none.
    pub heading: String,
    /// Where it begins and ends in the file's text, in characters.
    pub start: i64,
    pub end: i64,
    pub text: String,
}

impl From<Chunk> for PassageView {
    fn from(chunk: Chunk) -> Self {
        Self {
            id: chunk.id,
            file_id: chunk.file_id,
            n: chunk.n,
            page: chunk.page,
            heading: chunk.heading,
            start: chunk.start,
            end: chunk.start + chunk.content.chars().count() as i64,
            text: chunk.content,
        }
    }
}

listed!(PassageList = Page<PassageView>);

/// List a file's passages, in order
///
/// Its text, as it was taken out of it. One after another, with a line break between, they are all of it.
#[utoipa::path(get, path = "/files/{id}/passages", tag = "files", params(("id" = String, Path), ListParams),
    responses((status = 200, description = "Passages", body = PassageList)))]
pub async fn passages(
    State(state): State<AppState>,
    Caller(caller): Caller,
    FilePath(id): FilePath,
    ListQuery { limit, start }: ListQuery<i64>,
) -> Result<Answer<PassageList>> {
    let (after, skip) = start.parts();
    let mut conn = state.ctx.db.read().await?;
    files::get(&mut conn, caller.user, id).await?;
    let found = chunks::page(&mut conn, caller.user, id, after.unwrap_or(-1), limit, skip).await?;
    Ok(Answer(Page::of(found, limit, |last| last.n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        for (text, asked) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=2-", Asked::Part(2..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-30", Asked::Part(0..10)),
            ("bytes=5-99999999999999999999999", Asked::Part(5..10)),
            ("bytes=10-", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=3-2", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("items=0-1", Asked::Whole),
            ("bytes=-", Asked::Whole),
        ] {
            assert_eq!(parse(text, 10), asked, "{text}");
        }
    }

    #[test]
    fn a_name_cannot_end_its_header() {
        assert_eq!(disposition("a\"b.pdf"), "attachment; filename=\"a_b.pdf\"; filename*=UTF-8''a%22b.pdf");
        assert!(HeaderValue::from_str(&disposition("ঢাকা \r\n x.pdf")).is_ok());
    }
}
