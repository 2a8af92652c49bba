//! Memories in lists: filtered, sorted, in pages; and those that others share.

use axum::{Json as Answer, extract::State};
use rapport_common::{
    Error,
    domain::{
        ids::UserId,
        memory::{MemoryStatus, MemoryType, MemoryView},
    },
    error::Code,
    store::memories::{self, Filter, Sort, Wanted},
    usecase::memory::edit,
};
use serde::Deserialize;

use super::views::{for_readers, with_vectors};
use crate::{
    error::Result,
    extract::{Caller, ListParams, ListQuery, Query, SkipParams, SkipQuery, Start},
    page::{Page, Total, listed},
    state::AppState,
};

listed!(MemoryList = Page<MemoryView>, Total::Always);

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

async fn page_of(
    state: &AppState,
    user: UserId,
    filter: MemoryFilter,
    page: ListQuery<i64>,
) -> Result<MemoryList> {
    let memory_type = type_of(filter.memory_type.as_deref())?;
    let status = wanted(filter.status.as_deref())?;
    let sort = sort_of(filter.sort.as_deref())?;
    // A cursor of this list is how many came before.
    let skip = match page.start {
        Start::Skip(skip) => skip,
        Start::After(place) => place.clamp(0, 10_000_000),
    };
    let q = filter.q.filter(|q| !q.trim().is_empty());
    let wanted = Filter { status, memory_type, q, include_expired: filter.include_expired };
    let mut conn = state.ctx.db.read().await?;
    let (found, total) = memories::list(&mut conn, user, &wanted, sort, page.limit, skip).await?;
    let read = skip + found.len() as i64;
    let mut items = edit::views(&mut conn, user, found).await?;
    if filter.include.as_deref() == Some("embedding") {
        with_vectors(&mut conn, user, &mut items).await?;
    }
    let next = (read < total && !items.is_empty()).then_some(read);
    Ok(Page::until(items, next).with_total(Some(total)))
}

/// List memories
///
/// Pending and confirmed ones unless you ask otherwise. Filter by type, status and text; sort; page.
#[utoipa::path(get, path = "/memory", tag = "memory", params(MemoryFilter, ListParams),
    responses((status = 200, description = "Memories", body = MemoryList)))]
pub async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(filter): Query<MemoryFilter>,
    page: ListQuery<i64>,
) -> Result<Answer<MemoryList>> {
    Ok(Answer(page_of(&state, caller.user, filter, page).await?))
}

/// List memories that wait for your decision
///
/// What was learned from conversations and is neither confirmed nor rejected, newest first.
#[utoipa::path(get, path = "/memory/pending", tag = "memory", params(ListParams),
    responses((status = 200, description = "Pending memories, the newest first", body = MemoryList)))]
pub async fn pending(
    State(state): State<AppState>,
    Caller(caller): Caller,
    page: ListQuery<i64>,
) -> Result<Answer<MemoryList>> {
    let filter = MemoryFilter {
        memory_type: None,
        status: Some(MemoryStatus::Pending.to_string()),
        q: None,
        include_expired: false,
        sort: None,
        include: None,
    };
    Ok(Answer(page_of(&state, caller.user, filter, page).await?))
}

/// List memories that others share with you
///
/// You can read them, not change them. Where they were said is not shown.
#[utoipa::path(get, path = "/memory/shared", tag = "memory", params(SkipParams),
    responses((status = 200, description = "Memories of others, readable only", body = [MemoryView])))]
pub async fn shared(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SkipQuery { limit, skip }: SkipQuery,
) -> Result<Answer<Vec<MemoryView>>> {
    let found = memories::shared_with_me(&mut state.ctx.db.read().await?, caller.user, limit, skip).await?;
    Ok(Answer(found.into_iter().map(for_readers).collect()))
}
