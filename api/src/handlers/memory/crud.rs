//! Memories one by one.

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error, clock,
    domain::{
        ids::{ChangeId, MemoryId, UserId},
        memory::{Action, Actor, Memory, MemoryStatus, MemoryType, MemoryView},
        patch::Patch,
    },
    error::Code,
    memory::builtin_embedder::from_bytes,
    store::{
        Querier,
        memories::{self, Filter, Sort, Wanted},
        memory_log::{self, Change},
        terms::Corpus,
        vectors,
    },
    usecase::memory::{
        edit::{self, Added, Draft},
        undo, uuids,
    },
};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    error::Result,
    extract::{
        Caller, IdempotencyKey, Json, MemoryPath, Page, Query, Raw, Skips, decode_cursor, encode_cursor,
    },
    handlers::chat::mark_replayed,
    state::AppState,
};

#[derive(Serialize, utoipa::ToSchema)]
pub struct MemoryList {
    items: Vec<MemoryView>,
    total: i64,
    next_cursor: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MemoryFilter {
    /// `preference`, `fact`, `topic`, `relationship`, `goal` or `experience`.
    memory_type: Option<String>,
    /// A status, or `all`. Default: those that are pending or confirmed.
    status: Option<String>,
    /// Text that the memory contains.
    q: Option<String>,
    /// With the default status: expired ones too.
    #[serde(default)]
    include_expired: bool,
    /// `newest` (default), `oldest`, `updated`, `importance`, `confidence` or `access_frequency`.
    sort: Option<String>,
    /// `embedding` adds each memory's vector.
    include: Option<String>,
}

pub fn type_of(word: Option<&str>) -> Result<Option<MemoryType>> {
    let detail = || format!("`memory_type` {}.", MemoryType::one_of());
    Ok(word.map(str::parse).transpose().map_err(|_| Error::new(Code::BadQuery, detail()))?)
}

fn wanted(status: Option<&str>) -> Result<Wanted> {
    let detail = || format!("`status` must be all or one of {}.", MemoryStatus::names());
    Ok(match status {
        None | Some("live") => Wanted::Live,
        Some("all") => Wanted::All,
        Some(word) => Wanted::Only(word.parse().map_err(|_| Error::new(Code::BadQuery, detail()))?),
    })
}

fn sort_of(name: Option<&str>) -> Result<Sort> {
    Ok(match name.unwrap_or("newest") {
        "newest" | "recency" | "created_at" => Sort::Newest,
        "oldest" => Sort::Oldest,
        "updated" | "updated_at" => Sort::Updated,
        "importance" => Sort::Importance,
        "confidence" => Sort::Confidence,
        "access_frequency" | "access_count" => Sort::Access,
        _ => {
            let detail =
                "`sort` must be newest, oldest, updated, importance, confidence or access_frequency.";
            return Err(Error::new(Code::BadQuery, detail).into());
        }
    })
}

async fn with_vectors(q: &mut impl Querier, user: UserId, views: &mut [MemoryView]) -> Result<()> {
    let ids: Vec<MemoryId> = views.iter().map(|view| view.id).collect();
    for (id, _, bytes) in vectors::get(q, user, Corpus::Memories, &uuids(&ids)).await? {
        if let Some(view) = views.iter_mut().find(|view| view.id.0 == id) {
            view.embedding = Some(from_bytes(&bytes));
        }
    }
    Ok(())
}

async fn page_of(state: &AppState, user: UserId, filter: MemoryFilter, page: &Page) -> Result<MemoryList> {
    let memory_type = type_of(filter.memory_type.as_deref())?;
    let status = wanted(filter.status.as_deref())?;
    let sort = sort_of(filter.sort.as_deref())?;
    let (limit, skip, cursor) = page.check()?;
    let skip = decode_cursor::<i64>(cursor)?.map_or(skip, |place| place.clamp(0, 10_000_000));
    let q = filter.q.filter(|q| !q.trim().is_empty());
    let wanted = Filter { status, memory_type, q, include_expired: filter.include_expired };
    let mut conn = state.ctx.db.read().await?;
    let (found, total) = memories::list(&mut conn, user, &wanted, sort, limit, skip).await?;
    let read = skip + found.len() as i64;
    let mut items = edit::views(&mut conn, user, found).await?;
    if filter.include.as_deref() == Some("embedding") {
        with_vectors(&mut conn, user, &mut items).await?;
    }
    let next_cursor = (read < total && !items.is_empty()).then(|| encode_cursor(&read));
    Ok(MemoryList { items, total, next_cursor })
}

/// List memories
///
/// Pending and confirmed ones unless you ask otherwise. Filter by type, status and text; sort; page.
#[utoipa::path(get, path = "/memory", tag = "memory", params(MemoryFilter, Page),
    responses((status = 200, description = "Memories", body = MemoryList)))]
pub async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(filter): Query<MemoryFilter>,
    Query(page): Query<Page>,
) -> Result<Answer<MemoryList>> {
    Ok(Answer(page_of(&state, caller.user, filter, &page).await?))
}

/// List memories that wait for your decision
///
/// What was learned from conversations and is neither confirmed nor rejected, newest first.
#[utoipa::path(get, path = "/memory/pending", tag = "memory", params(Page),
    responses((status = 200, description = "Pending memories, the newest first", body = MemoryList)))]
pub async fn pending(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(page): Query<Page>,
) -> Result<Answer<MemoryList>> {
    let filter = MemoryFilter {
        memory_type: None,
        status: Some(MemoryStatus::Pending.to_string()),
        q: None,
        include_expired: false,
        sort: None,
        include: None,
    };
    Ok(Answer(page_of(&state, caller.user, filter, &page).await?))
}

/// List memories that others share with you
///
/// You can read them, not change them. Where they were said is not shown.
#[utoipa::path(get, path = "/memory/shared", tag = "memory", params(Skips),
    responses((status = 200, description = "Memories of others, readable only", body = [MemoryView])))]
pub async fn shared(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(page): Query<Skips>,
) -> Result<Answer<Vec<MemoryView>>> {
    let (limit, skip) = page.check()?;
    let found = memories::shared_with_me(&mut state.ctx.db.read().await?, caller.user, limit, skip).await?;
    Ok(Answer(found.into_iter().map(for_readers).collect()))
}

/// What those see with whom a memory is shared: not where it was said, nor who else may read it.
fn for_readers(memory: Memory) -> MemoryView {
    let mut view = MemoryView::from(memory);
    view.source.session_id = None;
    view.source.message_id = None;
    view.source.quote = None;
    view.feedback = None;
    view.merged_into = None;
    view
}

/// A time that is named, or `null`.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Patch<DateTime<Utc>>, D::Error> {
    clock::moment::deserialize(deserializer).map(Patch::from)
}

/// A memory by hand, or changes to one; what is not named stays.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct MemoryBody {
    /// 1-2,000 characters. Required to add one.
    #[schema(example = "Likes hiking")]
    content: Option<String>,
    #[schema(example = "preference")]
    memory_type: Option<String>,
    subject: Option<String>,
    #[schema(example = "likes")]
    slot: Option<String>,
    object: Option<String>,
    /// 0-1.
    importance: Option<f64>,
    /// 0-1.
    confidence: Option<f64>,
    contexts: Option<Vec<String>>,
    is_private: Option<bool>,
    #[serde(default, deserialize_with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_from: Patch<DateTime<Utc>>,
    #[serde(default, deserialize_with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_to: Patch<DateTime<Utc>>,
    #[serde(default, deserialize_with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Patch<DateTime<Utc>>,
}

impl From<MemoryBody> for Draft {
    fn from(body: MemoryBody) -> Self {
        Self {
            content: body.content,
            memory_type: body.memory_type,
            subject: body.subject,
            slot: body.slot,
            object: body.object,
            importance: body.importance,
            confidence: body.confidence,
            contexts: body.contexts,
            is_private: body.is_private,
            valid_from: body.valid_from,
            valid_to: body.valid_to,
            expires_at: body.expires_at,
        }
    }
}

/// Add a memory
///
/// It counts as confirmed. 200 instead of 201 when it was known already: then it is confirmed now.
#[utoipa::path(post, path = "/memory", tag = "memory", request_body = MemoryBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 201, description = "The memory", body = MemoryView),
              (status = 200, description = "It was known", body = MemoryView)))]
pub async fn add(
    State(state): State<AppState>,
    Caller(caller): Caller,
    IdempotencyKey(key): IdempotencyKey,
    Raw(body, bytes): Raw<MemoryBody>,
) -> Result<Response> {
    let idempotency = key.map(|key| (key, bytes.to_vec()));
    let (memory, added) = edit::add(&state.ctx, caller.user, body.into(), &idempotency).await?;
    let view = edit::view(&mut state.ctx.db.read().await?, caller.user, memory).await?;
    let status = if added == Added::Known { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = (status, Answer(view)).into_response();
    mark_replayed(&mut response, added == Added::Replayed);
    Ok(response)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Include {
    /// `embedding` adds the vector.
    include: Option<String>,
}

/// Show a memory
///
/// One of yours, or one that is shared with you.
#[utoipa::path(get, path = "/memory/{id}", tag = "memory", params(("id" = String, Path), Include),
    responses((status = 200, description = "The memory: your own, or one that is shared with you", body = MemoryView)))]
pub async fn get(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
    Query(include): Query<Include>,
) -> Result<Answer<MemoryView>> {
    let mut conn = state.ctx.db.read().await?;
    let memory =
        memories::readable(&mut conn, caller.user, id).await?.ok_or_else(|| Error::not_found("memory"))?;
    if memory.user_id != caller.user {
        return Ok(Answer(for_readers(memory)));
    }
    let mut view = edit::view(&mut conn, caller.user, memory).await?;
    if include.include.as_deref() == Some("embedding") {
        with_vectors(&mut conn, caller.user, std::slice::from_mut(&mut view)).await?;
    }
    Ok(Answer(view))
}

/// Change a memory
///
/// What you do not name stays. The old text stays in the history.
#[utoipa::path(patch, path = "/memory/{id}", tag = "memory", params(("id" = String, Path)), request_body = MemoryBody,
    responses((status = 200, description = "The memory", body = MemoryView),
              (status = 409, description = "It is history, or another one says the same", body = crate::problem::Problem)))]
pub async fn change(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
    Json(body): Json<MemoryBody>,
) -> Result<Answer<MemoryView>> {
    let memory = edit::change(&state.ctx, caller.user, id, body.into()).await?;
    Ok(Answer(edit::view(&mut state.ctx.db.read().await?, caller.user, memory).await?))
}

/// Delete a memory
///
/// Its history and its vector go with it.
#[utoipa::path(delete, path = "/memory/{id}", tag = "memory", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted")))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
) -> Result<StatusCode> {
    edit::delete(&state.ctx, caller.user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ChangeView {
    #[schema(value_type = String)]
    id: ChangeId,
    /// Changes made, and undone, together.
    #[schema(value_type = String)]
    change_set: ChangeId,
    /// `user`, `extractor`, `consolidation` or `system`.
    #[schema(value_type = String)]
    actor: Actor,
    /// `created`, `extracted`, `imported`, `edited`, `confirmed`, `rejected`, `corrected`, `superseded`, `merged`,
    /// `merge_made`, `expired`, `expiry_set`, `made_private`, `made_public` or `undone`.
    #[schema(value_type = String)]
    action: Action,
    before: Option<MemoryView>,
    after: Option<MemoryView>,
    #[serde(with = "clock::rfc3339_millis")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "clock::rfc3339_millis::option::serialize")]
    undone_at: Option<DateTime<Utc>>,
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        Self {
            id: change.id,
            change_set: change.change_set,
            actor: change.actor,
            action: change.action,
            before: change.before.map(MemoryView::from),
            after: change.after.map(MemoryView::from),
            created_at: change.created_at,
            undone_at: change.undone_at,
        }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct History {
    #[schema(value_type = String)]
    memory_id: MemoryId,
    changes: Vec<ChangeView>,
}

/// Show every change of a memory, newest first
///
/// Who changed what, when, and whether it was undone.
#[utoipa::path(get, path = "/memory/{id}/history", tag = "memory", params(("id" = String, Path)),
    responses((status = 200, description = "Changes", body = History)))]
pub async fn history(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
) -> Result<Answer<History>> {
    let mut conn = state.ctx.db.read().await?;
    memories::get(&mut conn, caller.user, id).await?.ok_or_else(|| Error::not_found("memory"))?;
    let changes = memory_log::history(&mut conn, caller.user, id, 500).await?;
    Ok(Answer(History { memory_id: id, changes: changes.into_iter().map(ChangeView::from).collect() }))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Restored {
    /// As they are now. Empty when undoing took away what a change had made.
    memories: Vec<MemoryView>,
}

/// Undo the latest change of a memory
///
/// Everything that was changed together with it is undone too.
#[utoipa::path(post, path = "/memory/{id}/undo", tag = "memory", params(("id" = String, Path)),
    responses((status = 200, description = "What was restored", body = Restored),
              (status = 409, description = "There is nothing to undo, or something changed since", body = crate::problem::Problem)))]
pub async fn undo_change(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
) -> Result<Answer<Restored>> {
    let restored = undo::undo(&state.ctx, caller.user, id).await?;
    let memories = edit::views(&mut state.ctx.db.read().await?, caller.user, restored).await?;
    Ok(Answer(Restored { memories }))
}

/// Undo a merge
///
/// The originals come back as they were.
#[utoipa::path(post, path = "/memory/{id}/unmerge", tag = "memory", params(("id" = String, Path)),
    responses((status = 200, description = "The originals, as they were", body = Restored),
              (status = 409, description = "It was not made by a merge", body = crate::problem::Problem)))]
pub async fn unmerge(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
) -> Result<Answer<Restored>> {
    let restored = undo::unmerge(&state.ctx, caller.user, id).await?;
    let memories = edit::views(&mut state.ctx.db.read().await?, caller.user, restored).await?;
    Ok(Answer(Restored { memories }))
}
