//! Files that are put into a vector store at once.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use rapport_common::{
    domain::{
        file::FileStatus,
        ids::{FileId, UserId, VectorStoreId},
    },
    error::Wrong,
    problems::Problems,
    store::{
        files::Part,
        vector_stores::{self as rows, Batch},
    },
    usecase::vector_stores::{self, AT_ONCE},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    body::{check_chunking, file_id, file_ids, read_attributes},
    files::{StateQuery, page},
    object::FileBatchObject,
};
use crate::{
    error::Result,
    extract::{BatchPath, Caller, Query, VectorStorePath, Wide},
    handlers::chat::mark_replayed,
    state::AppState,
    v1::{lists::PartQuery, responses::stored::ResponseItems},
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct FileBatchBody {
    /// 1-500 of your files; or `files`.
    #[schema(value_type = Option<Vec<String>>)]
    file_ids: Option<Vec<String>>,
    /// 1-500 files, each with attributes of its own.
    #[schema(value_type = Option<Vec<Object>>)]
    files: Option<Vec<BatchedFile>>,
    /// Of all of `file_ids`.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
    /// Only `{"type": "auto"}`.
    #[schema(value_type = Option<Object>)]
    chunking_strategy: Option<Value>,
}

#[derive(Deserialize)]
struct BatchedFile {
    file_id: String,
    attributes: Option<Map<String, Value>>,
    chunking_strategy: Option<Value>,
}

impl FileBatchBody {
    /// The files, each with its attributes.
    fn read(self, problems: &mut Problems) -> Vec<(FileId, Value)> {
        check_chunking(self.chunking_strategy.as_ref(), "chunking_strategy", problems);
        let both = self.file_ids.is_some() && self.files.is_some();
        problems.unless(!both, "files", Wrong::NotWith("file_ids"));
        let (field, count) = match (&self.file_ids, &self.files) {
            (_, Some(files)) => ("files", files.len()),
            (ids, None) => ("file_ids", ids.as_ref().map_or(0, Vec::len)),
        };
        if !(1..=AT_ONCE).contains(&count) {
            problems.add(field, Wrong::Count { min: 1, max: AT_ONCE });
            return Vec::new();
        }
        if let Some(ids) = &self.file_ids {
            let attributes = read_attributes(self.attributes, "attributes", problems);
            return file_ids(ids, problems).into_iter().map(|id| (id, attributes.clone())).collect();
        }
        problems.unless(self.attributes.is_none(), "attributes", Wrong::NotWith("files"));
        let mut all = Vec::new();
        for (at, one) in self.files.into_iter().flatten().enumerate() {
            let field = |name: &str| format!("files[{at}].{name}");
            check_chunking(one.chunking_strategy.as_ref(), &field("chunking_strategy"), problems);
            let attributes = read_attributes(one.attributes, &field("attributes"), problems);
            all.extend(file_id(&one.file_id, &field("file_id"), problems).map(|id| (id, attributes)));
        }
        all
    }
}

/// A batch with the state of its files.
async fn shown(
    state: &AppState,
    user: UserId,
    store: VectorStoreId,
    batch: &Batch,
) -> Result<FileBatchObject> {
    let files = batch.files();
    let all = Part { ascending: true, after: None, limit: files.len() as i64 };
    let mut conn = state.ctx.db.read().await?;
    let members = rows::members(&mut conn, user, store, (&FileStatus::ALL, Some(&files)), all).await?;
    Ok(FileBatchObject::of(store, batch, &members))
}

/// Put files into a vector store
///
/// All of them, or none.
#[utoipa::path(post, path = "/v1/vector_stores/{id}/file_batches", tag = "openai", params(("id" = String, Path),
    ("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    request_body = FileBatchBody, responses((status = 200, description = "The batch", body = FileBatchObject)))]
pub async fn create_batch(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
    Wide(body, repeatable): Wide<FileBatchBody>,
) -> Result<Response> {
    vector_stores::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    let mut problems = Problems::default();
    let files = body.read(&mut problems);
    problems.done()?;
    let (batch, is_repeat) =
        vector_stores::add_batch(&state.ctx, caller.user, id, &files, repeatable.as_ref()).await?;
    let mut response = Answer(shown(&state, caller.user, id, &batch).await?).into_response();
    mark_replayed(&mut response, is_repeat);
    Ok(response)
}

/// Get a batch of files
///
/// How many of them are read. A store keeps its last 100 batches.
#[utoipa::path(get, path = "/v1/vector_stores/{id}/file_batches/{batch_id}", tag = "openai",
    params(("id" = String, Path), ("batch_id" = String, Path)),
    responses((status = 200, description = "The batch", body = FileBatchObject)))]
pub async fn batch(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
    BatchPath(batch): BatchPath,
) -> Result<Answer<FileBatchObject>> {
    let batch = vector_stores::batch(&mut state.ctx.db.read().await?, caller.user, id, batch).await?;
    Ok(Answer(shown(&state, caller.user, id, &batch).await?))
}

/// Cancel a batch of files
///
/// Those that are not read yet go out of the store. They stay your files, and are read.
#[utoipa::path(post, path = "/v1/vector_stores/{id}/file_batches/{batch_id}/cancel", tag = "openai",
    params(("id" = String, Path), ("batch_id" = String, Path)),
    responses((status = 200, description = "The batch", body = FileBatchObject)))]
pub async fn cancel_batch(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
    BatchPath(batch): BatchPath,
) -> Result<Answer<FileBatchObject>> {
    let batch = vector_stores::cancel_batch(&state.ctx, caller.user, id, batch).await?;
    Ok(Answer(shown(&state, caller.user, id, &batch).await?))
}

/// List the files of a batch
///
/// Those that are in the store still.
#[utoipa::path(get, path = "/v1/vector_stores/{id}/file_batches/{batch_id}/files", tag = "openai",
    params(("id" = String, Path), ("batch_id" = String, Path), PartQuery, StateQuery),
    responses((status = 200, description = "Files", body = ResponseItems)))]
pub async fn batch_files(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
    BatchPath(batch): BatchPath,
    Query(query): Query<PartQuery>,
    Query(wanted): Query<StateQuery>,
) -> Result<Answer<ResponseItems>> {
    let batch = vector_stores::batch(&mut state.ctx.db.read().await?, caller.user, id, batch).await?;
    let mut problems = Problems::default();
    let part = query.part(20, 100, &mut problems);
    let states = wanted.states(&mut problems);
    problems.done()?;
    Ok(Answer(page(&state, caller.user, id, (&states, Some(&batch.files())), part).await?))
}
