//! The files of a vector store.

use axum::{Json as Answer, extract::State};
use rapport_common::{
    domain::{
        file::FileStatus,
        ids::{FileId, UserId, VectorStoreId},
    },
    error::{Error, Wrong},
    problems::Problems,
    store::{chunks, files::Part, vector_stores as rows},
    usecase::vector_stores,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    body::{check_chunking, file_id, read_attributes},
    object::{STATES, VectorStoreFileObject},
};
use crate::{
    error::Result,
    extract::{Caller, MemberPath, Query, VectorStorePath, Wide},
    state::AppState,
    v1::{
        lists::{PartQuery, listed},
        responses::stored::ResponseItems,
    },
};

/// Passages that are shown at once: a MiB of text.
const PASSAGES: i64 = 1_000;

#[derive(Deserialize, utoipa::ToSchema)]
pub struct VectorStoreFileBody {
    #[schema(example = "file_06dqz6ef8swq1bnx1rc6a2k8t4")]
    file_id: String,
    /// Up to 16 texts, numbers or booleans, which searches can be narrowed by.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
    /// Only `{"type": "auto"}`.
    #[schema(value_type = Option<Object>)]
    chunking_strategy: Option<Value>,
}

/// Put a file into a vector store
///
/// It can be found there as soon as it is read. One that is in it gets these attributes.
#[utoipa::path(post, path = "/v1/vector_stores/{id}/files", tag = "openai", params(("id" = String, Path)),
    request_body = VectorStoreFileBody, responses((status = 200, description = "The file", body = VectorStoreFileObject)))]
pub async fn add(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
    Wide(body, _): Wide<VectorStoreFileBody>,
) -> Result<Answer<VectorStoreFileObject>> {
    vector_stores::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    let mut problems = Problems::default();
    let file = file_id(&body.file_id, "file_id", &mut problems);
    let attributes = read_attributes(body.attributes, "attributes", &mut problems);
    check_chunking(body.chunking_strategy.as_ref(), "chunking_strategy", &mut problems);
    let file = problems.unless_wrong(file)?;
    let added = vector_stores::add(&state.ctx, caller.user, id, file, attributes).await?;
    Ok(Answer(VectorStoreFileObject::of(id, added)))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StateQuery {
    /// Only those that are `in_progress`, `completed`, `failed` or `cancelled`.
    filter: Option<String>,
}

impl StateQuery {
    /// The states that are meant.
    pub fn states(&self, problems: &mut Problems) -> Vec<FileStatus> {
        let Some(word) = &self.filter else { return FileStatus::ALL.to_vec() };
        let found = STATES.iter().find(|(known, _)| known == word);
        let words = || Wrong::OneOf(STATES.map(|(known, _)| known).join(", "));
        if found.is_none() {
            problems.add("filter", words());
        }
        found.map_or_else(Vec::new, |(_, states)| states.to_vec())
    }
}

/// A part of a store's files; only some of them, if those are named.
pub async fn page(
    state: &AppState,
    user: UserId,
    store: VectorStoreId,
    (states, among): (&[FileStatus], Option<&[FileId]>),
    part: Part<FileId>,
) -> Result<ResponseItems> {
    let mut conn = state.ctx.db.read().await?;
    let found = rows::members(&mut conn, user, store, (states, among), part).await?;
    let found = found.into_iter().map(|member| json!(VectorStoreFileObject::of(store, member))).collect();
    Ok(listed(found, &part))
}

/// List the files of a vector store
///
/// In the order of the files' own age, the newest first unless you ask otherwise.
#[utoipa::path(get, path = "/v1/vector_stores/{id}/files", tag = "openai", params(("id" = String, Path), PartQuery, StateQuery),
    responses((status = 200, description = "Files", body = ResponseItems)))]
pub async fn members(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
    Query(query): Query<PartQuery>,
    Query(wanted): Query<StateQuery>,
) -> Result<Answer<ResponseItems>> {
    vector_stores::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    let mut problems = Problems::default();
    let part = query.part(20, 100, &mut problems);
    let states = wanted.states(&mut problems);
    problems.done()?;
    Ok(Answer(page(&state, caller.user, id, (&states, None), part).await?))
}

/// Get a file of a vector store
///
/// Whether it can be found, and if not, why.
#[utoipa::path(get, path = "/v1/vector_stores/{id}/files/{file_id}", tag = "openai",
    params(("id" = String, Path), ("file_id" = String, Path)),
    responses((status = 200, description = "The file", body = VectorStoreFileObject)))]
pub async fn member(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
    MemberPath(file): MemberPath,
) -> Result<Answer<VectorStoreFileObject>> {
    let found = vector_stores::member(&mut state.ctx.db.read().await?, caller.user, id, file).await?;
    Ok(Answer(VectorStoreFileObject::of(id, found)))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct AttributesBody {
    /// Up to 16 texts, numbers or booleans, in place of those there are.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
}

/// Change a file's attributes in a vector store
///
/// All of them anew.
#[utoipa::path(post, path = "/v1/vector_stores/{id}/files/{file_id}", tag = "openai",
    params(("id" = String, Path), ("file_id" = String, Path)), request_body = AttributesBody,
    responses((status = 200, description = "The file", body = VectorStoreFileObject)))]
pub async fn set_attributes(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
    MemberPath(file): MemberPath,
    Wide(body, _): Wide<AttributesBody>,
) -> Result<Answer<VectorStoreFileObject>> {
    let mut problems = Problems::default();
    let attributes = read_attributes(body.attributes, "attributes", &mut problems);
    problems.done()?;
    let changed = vector_stores::set_attributes(&state.ctx, caller.user, id, file, &attributes).await?;
    Ok(Answer(VectorStoreFileObject::of(id, changed)))
}

/// That a file was taken out of a vector store.
#[derive(Serialize, utoipa::ToSchema)]
pub struct VectorStoreFileGone {
    #[schema(value_type = String, example = "file_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: FileId,
    #[schema(example = "vector_store.file.deleted")]
    object: &'static str,
    deleted: bool,
}

/// Take a file out of a vector store
///
/// It stays your file, and in other stores.
#[utoipa::path(delete, path = "/v1/vector_stores/{id}/files/{file_id}", tag = "openai",
    params(("id" = String, Path), ("file_id" = String, Path)),
    responses((status = 200, description = "It is out", body = VectorStoreFileGone)))]
pub async fn remove(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
    MemberPath(file): MemberPath,
) -> Result<Answer<VectorStoreFileGone>> {
    vector_stores::remove(&state.ctx, caller.user, id, file).await?;
    Ok(Answer(VectorStoreFileGone { id: file, object: "vector_store.file.deleted", deleted: true }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TextQuery {
    /// The `next_page` of the page before.
    page: Option<String>,
}

/// A file's text, as OpenAI's clients expect it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct VectorStoreFileText {
    #[schema(example = "vector_store.file_content.page")]
    object: &'static str,
    /// A passage each.
    #[schema(value_type = Vec<Object>)]
    data: Vec<Value>,
    has_more: bool,
    /// What to give as `page` for the next ones.
    next_page: Option<String>,
}

/// Get the text of a vector store's file
///
/// Its passages, in order, a thousand at once.
#[utoipa::path(get, path = "/v1/vector_stores/{id}/files/{file_id}/content", tag = "openai",
    params(("id" = String, Path), ("file_id" = String, Path), TextQuery),
    responses((status = 200, description = "Its text", body = VectorStoreFileText)))]
pub async fn text(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
    MemberPath(file): MemberPath,
    Query(query): Query<TextQuery>,
) -> Result<Answer<VectorStoreFileText>> {
    let page = query.page.as_deref().map_or(Ok(-1), str::parse::<i64>);
    let page = page.ok().filter(|page| *page >= -1);
    let page = page.ok_or_else(|| Error::field("page", Wrong::Unfit("is no `next_page` of this list")))?;
    let mut conn = state.ctx.db.read().await?;
    vector_stores::member(&mut conn, caller.user, id, file).await?;
    let mut found = chunks::page(&mut conn, caller.user, file, page, PASSAGES + 1, 0).await?;
    let has_more = found.len() as i64 > PASSAGES;
    found.truncate(PASSAGES as usize);
    let next_page = found.last().filter(|_| has_more).map(|last| last.n.to_string());
    let data = found.into_iter().map(|chunk| json!({"type": "text", "text": chunk.content})).collect();
    Ok(Answer(VectorStoreFileText { object: "vector_store.file_content.page", data, has_more, next_page }))
}
