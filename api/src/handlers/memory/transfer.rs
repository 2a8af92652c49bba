//! Memories out to files and in from files.

use axum::{
    body::{Body, BodyDataStream},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use rapport_common::{
    Error,
    domain::{
        ids::{BlobId, UserId},
        job::{JobKind, JobStatus},
        memory::{MemoryStatus, MemoryType},
    },
    error::{Code, Wrong},
    jobs::payload::{self, ExportPayload, ImportPayload},
    memory::json_upload::{Piece, Scanner},
    store::{self, jobs},
    usecase::{
        blobs,
        memory::{export, import, job},
        repeat::put_in,
    },
};
use serde::{Deserialize, Serialize};

use super::result_of;
use crate::{
    error::{Failure, Result},
    extract::{Caller, JobPath, Json, Prefer, Query, drain, unreadable},
    handlers::{chat::job_response, jobs::JobView},
    state::AppState,
};

/// An upload holds at most this many bytes.
const UPLOAD: usize = 256 * 1_024 * 1_024;
const PART: usize = 512 * 1_024;

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ExportBody {
    /// `json` (default) or `csv`.
    format: Option<String>,
    /// Links too; in JSON only.
    #[serde(default)]
    include_relationships: bool,
    filter_by_status: Option<String>,
    filter_by_type: Option<String>,
}

fn file_headers(format: &str) -> [(header::HeaderName, HeaderValue); 2] {
    let (kind, name) = match format {
        "csv" => ("text/csv; charset=utf-8", "attachment; filename=\"memories.csv\""),
        _ => ("application/json", "attachment; filename=\"memories.json\""),
    };
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static(name)),
    ]
}

/// Export memories
///
/// Streamed. With `Prefer: respond-async` a job writes the file, and its result says where to fetch it. What this gives,
/// `POST /memory/import` takes. Cells that a spreadsheet would run as formulas are made harmless.
#[utoipa::path(post, path = "/memory/export", tag = "memory transfer", request_body = ExportBody,
    params(("Prefer" = Option<String>, Header, description = "`respond-async`")),
    responses((status = 200, description = "The file: `{format, version, memories, relationships?}`, or CSV", body = Object),
              (status = 202, description = "The job that writes it", body = JobView)))]
pub async fn export(
    State(state): State<AppState>,
    Caller(caller): Caller,
    prefer: Prefer,
    Json(body): Json<ExportBody>,
) -> Result<Response> {
    let status = body.filter_by_status.map(|word| word.parse()).transpose();
    let memory_type = body.filter_by_type.map(|word| word.parse()).transpose();
    let spec = ExportPayload {
        format: body.format.unwrap_or_else(|| "json".to_owned()),
        include_relationships: body.include_relationships,
        status: status.map_err(|_| Error::field("filter_by_status", MemoryStatus::one_of()))?,
        memory_type: memory_type.map_err(|_| Error::field("filter_by_type", MemoryType::one_of()))?,
    };
    export::check(&spec)?;
    if prefer.respond_async {
        let new = job(&state.ctx, caller.user, &spec)?;
        let (job, _) = put_in(&state.ctx, caller.user, new, "export", None).await?;
        return Ok(job_response(&caller, job));
    }
    let headers = file_headers(&spec.format);
    let pieces = export::pieces(state.ctx.clone(), caller.user, spec).map_ok(Bytes::from);
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Download an exported file
///
/// The file that an export job wrote. It is kept for a day.
#[utoipa::path(get, path = "/memory/exports/{id}", tag = "memory transfer", params(("id" = String, Path)),
    responses((status = 200, description = "The file", body = Object),
              (status = 409, description = "It is not written yet", body = crate::problem::Problem)))]
pub async fn download(
    State(state): State<AppState>,
    Caller(caller): Caller,
    JobPath(id): JobPath,
) -> Result<Response> {
    let mut conn = state.ctx.db.read().await?;
    let job = jobs::get(&mut conn, caller.user, id).await?.filter(|job| job.kind == JobKind::Export);
    let job = job.ok_or_else(|| Error::not_found("export"))?;
    let spec: ExportPayload = payload::read(&job)?;
    drop(conn);
    Ok((file_headers(&spec.format), kept_file(&state, &caller, &job).await?).into_response())
}

/// What an export's job has written, while it is kept.
pub async fn kept_file(
    state: &AppState,
    caller: &rapport_common::auth::Caller,
    job: &rapport_common::domain::job::Job,
) -> Result<Body> {
    if job.status != JobStatus::Succeeded {
        let detail = format!("The export is {}.", job.status.as_str());
        return Err(Error::new(Code::WrongState, detail).into());
    }
    let blob = BlobId(job.id.0);
    let parts = store::blobs::count(&mut state.ctx.db.read().await?, caller.user, blob).await?;
    if parts == 0 {
        return Err(Error::not_found("export: it was kept for a day").into());
    }
    let (ctx, user) = (state.ctx.clone(), caller.user);
    let pieces = futures::stream::iter(0..parts).then(move |part| {
        let ctx = ctx.clone();
        async move {
            let found = store::blobs::part(&mut ctx.db.read().await?, user, blob, part).await?;
            found.map(Bytes::from).ok_or_else(|| Error::not_found("export"))
        }
    });
    Ok(Body::from_stream(pieces))
}

/// What the body holds: `memories` is a list of memories, or CSV as one text.
#[derive(Deserialize, utoipa::ToSchema)]
#[expect(dead_code, reason = "it only describes the body, which is read as it arrives")]
pub struct ImportBody {
    #[schema(value_type = Object, example = json!([{"content": "Likes hiking", "memory_type": "preference"}]))]
    memories: serde_json::Value,
    /// `json` (default) or `csv`.
    format: Option<String>,
    /// `skip_duplicates` (default), `overwrite` or `merge`.
    merge_strategy: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Imported {
    imported: i64,
    skipped: i64,
    merged: i64,
    links: i64,
    /// Questions about what cannot be true together, at most 1,000; detection finds the rest.
    conflicts: i64,
    /// The first 200.
    errors: Vec<ImportError>,
    errors_total: i64,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ImportError {
    /// Counted from 1.
    row: i64,
    message: String,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// For a body that is the file itself (`text/csv`, or a JSON list).
    merge_strategy: Option<String>,
}

/// Collects an upload into parts of the database.
struct Spool<'a> {
    state: &'a AppState,
    user: UserId,
    blob: BlobId,
    held: Vec<u8>,
    parts: i64,
    rows: i64,
}

impl Spool<'_> {
    fn line(&mut self, mark: &[u8], bytes: &[u8]) {
        self.held.extend_from_slice(mark);
        self.held.extend_from_slice(bytes);
        self.held.push(b'\n');
    }

    async fn flush(&mut self, least: usize) -> Result<()> {
        if self.rows > import::ROWS {
            self.throw_away().await?;
            let detail = format!("The file has more than {} rows: split it.", import::ROWS);
            return Err(Error::new(Code::TooLarge, detail).into());
        }
        if self.held.len() < least.max(1) {
            return Ok(());
        }
        blobs::add(&self.state.ctx, self.user, self.blob, self.parts, &self.held).await?;
        self.parts += 1;
        self.held.clear();
        Ok(())
    }

    async fn throw_away(&mut self) -> Result<()> {
        if self.parts > 0 {
            blobs::delete(&self.state.ctx, self.user, self.blob).await?;
        }
        Ok(())
    }
}

/// Reads a body of JSON as it arrives. Gives (format, strategy).
async fn read_json(
    spool: &mut Spool<'_>,
    mut body: impl futures::Stream<Item = Result<Bytes>> + Unpin,
) -> Result<(String, Option<String>)> {
    let malformed = |problem: String| {
        Failure(Error::new(Code::Malformed, format!("The body is not valid JSON: {problem}.")))
    };
    let (mut scanner, mut pieces, mut is_text) = (Scanner::default(), Vec::new(), false);
    while let Some(chunk) = body.next().await {
        scanner.feed(&chunk?, &mut pieces).map_err(malformed)?;
        for piece in pieces.drain(..) {
            match piece {
                Piece::Element("relationships", bytes) => spool.line(b"~", &bytes),
                Piece::Element(_, bytes) => {
                    spool.rows += 1;
                    spool.line(b"", &bytes);
                }
                Piece::Text(text) => {
                    is_text = true;
                    spool.rows += text.bytes().filter(|byte| *byte == b'\n').count() as i64;
                    spool.held.extend_from_slice(text.as_bytes());
                }
                // Only a scanner that was told to pass over anything gives this.
                Piece::TooLarge => {}
            }
        }
        spool.flush(PART).await?;
    }
    let values = scanner.finish().map_err(malformed)?;
    let text = |name: &str| values.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let format = text("format").unwrap_or_else(|| if is_text { "csv" } else { "json" }.to_owned());
    let fits = match format.as_str() {
        "json" => !is_text,
        "csv" => is_text || spool.rows == 0,
        _ => return Err(Error::field("format", Wrong::Either(&["json", "csv"])).into()),
    };
    if !fits {
        let wrong = Wrong::Unfit("must be a list of memories for json, and one text for csv");
        return Err(Error::field("memories", wrong).into());
    }
    Ok((format, text("merge_strategy")))
}

/// Import memories
///
/// Takes what export gives, however large: the body is read as it arrives, a job takes it in with progress, and this waits
/// for it as chat does. A row that is wrong is reported with its number, and the rest goes in. `text/csv` bodies are taken
/// too. At most 1,000,000 rows and 256 MiB; a row holds at most 64 KiB, and in CSV
/// 100 columns. What is not known beside the memories is skipped.
#[utoipa::path(post, path = "/memory/import", tag = "memory transfer", request_body = ImportBody,
    params(ImportQuery, ("Prefer" = Option<String>, Header, description = "`respond-async` or `wait=N` (0-120 seconds)")),
    responses((status = 200, description = "How many of each", body = Imported),
              (status = 202, description = "Not done yet: the job", body = JobView)))]
pub async fn import(
    State(state): State<AppState>,
    Caller(caller): Caller,
    prefer: Prefer,
    Query(query): Query<ImportQuery>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_lowercase();
    let mut body = request.into_body().into_data_stream();
    if kind != "application/json" && kind != "text/csv" {
        drain(body).await;
        let detail = "The body must be application/json or text/csv.";
        return Err(Error::new(Code::UnsupportedMediaType, detail).into());
    }
    let mut spool =
        Spool { state: &state, user: caller.user, blob: BlobId::new(), held: Vec::new(), parts: 0, rows: 0 };
    let read = read_body(&mut spool, &kind, &mut body).await;
    let (format, strategy) = match read {
        Ok(read) => read,
        Err(failure) => {
            drain(body).await;
            spool.throw_away().await?;
            return Err(failure);
        }
    };
    let merge_strategy = strategy.or(query.merge_strategy).unwrap_or_else(|| "skip_duplicates".to_owned());
    if !import::STRATEGIES.contains(&merge_strategy.as_str()) {
        spool.throw_away().await?;
        return Err(Error::field("merge_strategy", Wrong::OneOf(import::STRATEGIES.join(", "))).into());
    }
    spool.flush(0).await?;
    let payload = ImportPayload { blob_id: spool.blob, format, merge_strategy, rows: spool.rows };
    let job = import::enqueue(&state.ctx, caller.user, payload).await?;
    result_of(&state, &caller, (job, false), prefer).await
}

async fn read_body(
    spool: &mut Spool<'_>,
    kind: &str,
    body: &mut BodyDataStream,
) -> Result<(String, Option<String>)> {
    let mut total = 0;
    let mut chunks = Box::pin(body.map(move |chunk| {
        let chunk = chunk.map_err(unreadable)?;
        total += chunk.len();
        if total > UPLOAD {
            return Err(Failure(Error::new(
                Code::TooLarge,
                format!("The body is larger than {UPLOAD} bytes."),
            )));
        }
        Ok(chunk)
    }));
    if kind == "application/json" {
        return read_json(spool, chunks).await;
    }
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        spool.rows += chunk.iter().filter(|byte| **byte == b'\n').count() as i64;
        spool.held.extend_from_slice(&chunk);
        spool.flush(PART).await?;
    }
    Ok(("csv".to_owned(), None))
}
