//! Vector stores themselves: made, listed, shown, changed, deleted.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use rapport_common::{
    domain::ids::{UserId, VectorStoreId},
    error::Wrong,
    problems::Problems,
    store::{self, vector_stores as rows},
    usecase::vector_stores::{self, AT_ONCE},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    body::{check_chunking, check_expiry, check_name, file_ids},
    object::VectorStoreObject,
};
use crate::{
    error::Result,
    extract::{Caller, Query, VectorStorePath, Wide},
    handlers::chat::mark_replayed,
    state::AppState,
    v1::{
        body::NOT_HERE,
        lists::{PartQuery, listed},
        responses::{body::check_metadata, stored::ResponseItems},
    },
};

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct VectorStoreBody {
    #[schema(example = "Manuals")]
    name: Option<String>,
    /// At most 500 of your files.
    #[schema(value_type = Option<Vec<String>>)]
    file_ids: Option<Vec<String>>,
    /// Up to 16 pairs of texts.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// Only `{"type": "auto"}`.
    #[schema(value_type = Option<Object>)]
    chunking_strategy: Option<Value>,
    /// Refused: nothing expires by itself.
    #[schema(value_type = Option<Object>)]
    expires_after: Option<Value>,
    /// Refused.
    description: Option<String>,
}

/// Make a vector store, for OpenAI's clients
///
/// A set of files that are searched together: by `POST /v1/vector_stores/{id}/search`, and by the tool `file_search` of responses.
#[utoipa::path(post, path = "/v1/vector_stores", tag = "openai", request_body = VectorStoreBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 200, description = "The store", body = VectorStoreObject)))]
pub async fn create(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Wide(body, repeatable): Wide<VectorStoreBody>,
) -> Result<Response> {
    let mut problems = Problems::default();
    check_name(body.name.as_deref(), &mut problems);
    check_metadata(body.metadata.as_ref(), &mut problems);
    check_chunking(body.chunking_strategy.as_ref(), "chunking_strategy", &mut problems);
    check_expiry(body.expires_after.as_ref(), &mut problems);
    problems.unless(body.description.is_none(), "description", NOT_HERE);
    let given = body.file_ids.unwrap_or_default();
    let files = if given.len() <= AT_ONCE {
        file_ids(&given, &mut problems)
    } else {
        problems.add("file_ids", Wrong::Count { min: 0, max: AT_ONCE });
        Vec::new()
    };
    problems.done()?;
    let files: Vec<_> = files.into_iter().map(|file| (file, json!({}))).collect();
    let named = (body.name.unwrap_or_default(), Value::Object(body.metadata.unwrap_or_default()));
    let made = vector_stores::create(&state.ctx, caller.user, named, &files, repeatable.as_ref()).await?;
    let mut response = Answer(shown(&state, caller.user, made.0).await?).into_response();
    mark_replayed(&mut response, made.1);
    Ok(response)
}

/// A store with the state of its files.
async fn shown(state: &AppState, user: UserId, row: rows::VectorStore) -> Result<VectorStoreObject> {
    let mut counts = rows::counts(&mut state.ctx.db.read().await?, user, &[row.id]).await?;
    let counts = counts.remove(&row.id).unwrap_or_default();
    Ok(VectorStoreObject::of(row, &counts))
}

/// List vector stores
///
/// The newest first, unless you ask otherwise.
#[utoipa::path(get, path = "/v1/vector_stores", tag = "openai", params(PartQuery),
    responses((status = 200, description = "Stores", body = ResponseItems)))]
pub async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(query): Query<PartQuery>,
) -> Result<Answer<ResponseItems>> {
    let mut problems = Problems::default();
    let part = query.part(20, 100, &mut problems);
    problems.done()?;
    let mut conn = state.ctx.db.read().await?;
    let found = store::vector_stores::list(&mut conn, caller.user, part).await?;
    let ids: Vec<VectorStoreId> = found.iter().map(|row| row.id).collect();
    let counts = rows::counts(&mut conn, caller.user, &ids).await?;
    let of = |row: rows::VectorStore| {
        let counts = counts.get(&row.id).map_or(&[][..], Vec::as_slice);
        json!(VectorStoreObject::of(row, counts))
    };
    Ok(Answer(listed(found.into_iter().map(of).collect(), &part)))
}

/// Get a vector store
///
/// With how many of its files are read.
#[utoipa::path(get, path = "/v1/vector_stores/{id}", tag = "openai", params(("id" = String, Path)),
    responses((status = 200, description = "The store", body = VectorStoreObject)))]
pub async fn get(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
) -> Result<Answer<VectorStoreObject>> {
    let row = vector_stores::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    Ok(Answer(shown(&state, caller.user, row).await?))
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct VectorStoreChange {
    #[schema(example = "Manuals")]
    name: Option<String>,
    /// Up to 16 pairs of texts, in place of those there are.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// Refused: nothing expires by itself.
    #[schema(value_type = Option<Object>)]
    expires_after: Option<Value>,
}

/// Change a vector store
///
/// Its name, or its metadata.
#[utoipa::path(post, path = "/v1/vector_stores/{id}", tag = "openai", params(("id" = String, Path)),
    request_body = VectorStoreChange, responses((status = 200, description = "The store", body = VectorStoreObject)))]
pub async fn change(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
    Wide(body, _): Wide<VectorStoreChange>,
) -> Result<Answer<VectorStoreObject>> {
    let mut problems = Problems::default();
    check_name(body.name.as_deref(), &mut problems);
    check_metadata(body.metadata.as_ref(), &mut problems);
    check_expiry(body.expires_after.as_ref(), &mut problems);
    problems.done()?;
    let metadata = body.metadata.map(Value::Object);
    let row =
        vector_stores::change(&state.ctx, caller.user, id, body.name.as_deref(), metadata.as_ref()).await?;
    Ok(Answer(shown(&state, caller.user, row).await?))
}

/// That a vector store was deleted.
#[derive(Serialize, utoipa::ToSchema)]
pub struct VectorStoreGone {
    #[schema(value_type = String, example = "vs_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: VectorStoreId,
    #[schema(example = "vector_store.deleted")]
    object: &'static str,
    deleted: bool,
}

/// Delete a vector store
///
/// Its files stay.
#[utoipa::path(delete, path = "/v1/vector_stores/{id}", tag = "openai", params(("id" = String, Path)),
    responses((status = 200, description = "It is gone", body = VectorStoreGone)))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
) -> Result<Answer<VectorStoreGone>> {
    vector_stores::delete(&state.ctx, caller.user, id).await?;
    Ok(Answer(VectorStoreGone { id, object: "vector_store.deleted", deleted: true }))
}
