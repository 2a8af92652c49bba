//! Memories as a list wants them: filtered, sorted, a page at a time.

use chrono::{DateTime, Utc};

use crate::{
    contains_pattern,
    db::{Querier, fetch_all, fetch_one, statements},
    domain::{
        ids::{MemoryId, UserId},
        memory::{Memory, MemoryStatus, MemoryType},
    },
};

/// $2 status, `all`, or `live` (neither rejected, superseded, merged nor, unless asked, expired)
macro_rules! wanted {
    () => {
        "user_id = $1 and (case $2 when 'all' then 1 = 1 when 'live' then status in ('pending', 'confirmed') or (status = 'expired' and $5)
            else status = $2 end)
         and ($3 is null or memory_type = $3) and ($4 is null or lower(content) like $4 escape '\\')"
    };
}
statements! {
    LIST_NEW = "select ", columns!(), " from memories where ", wanted!(),
        " order by created_at desc, id desc limit $6 offset $7";
    LIST_OLD = "select ", columns!(), " from memories where ", wanted!(), " order by created_at, id limit $6 offset $7";
    LIST_UPDATED = "select ", columns!(), " from memories where ", wanted!(),
        " order by updated_at desc, id desc limit $6 offset $7";
    LIST_IMPORTANCE = "select ", columns!(), " from memories where ", wanted!(),
        " order by importance desc, id desc limit $6 offset $7";
    LIST_CONFIDENCE = "select ", columns!(), " from memories where ", wanted!(),
        " order by confidence desc, id desc limit $6 offset $7";
    LIST_ACCESS = "select ", columns!(), " from memories where ", wanted!(),
        " order by access_count desc, id desc limit $6 offset $7";
    COUNT = "select count(*) from memories where ", wanted!();
    /// For exports: in the order of ids, a page at a time.
    PAGE_BY_ID = "select ", columns!(), " from memories where user_id = $1 and id > $2 order by id limit $3";
    /// $3 status, $4 type, $5 importance below, $6 created before, $7 after this id
    MATCHING = "select id from memories where user_id = $1 and id > $2 and ($3 is null or status = $3)
    and ($4 is null or memory_type = $4) and ($5 is null or importance < $5) and ($6 is null or created_at < $6)
    order by id limit $7";
}

/// Of which status.
#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    /// Pending and confirmed ones.
    Live,
    All,
    Only(MemoryStatus),
}

impl Wanted {
    fn as_str(self) -> &'static str {
        match self {
            Wanted::Live => "live",
            Wanted::All => "all",
            Wanted::Only(status) => status.as_str(),
        }
    }
}

/// Which memories a list wants.
#[derive(Debug, Clone)]
pub struct Filter {
    pub status: Wanted,
    pub memory_type: Option<MemoryType>,
    pub q: Option<String>,
    pub include_expired: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Newest,
    Oldest,
    Updated,
    Importance,
    Confidence,
    Access,
}

pub async fn list(
    q: &mut impl Querier,
    user: UserId,
    filter: &Filter,
    sort: Sort,
    limit: i64,
    skip: i64,
) -> Result<(Vec<Memory>, i64), sqlx::Error> {
    let sql = match sort {
        Sort::Newest => LIST_NEW,
        Sort::Oldest => LIST_OLD,
        Sort::Updated => LIST_UPDATED,
        Sort::Importance => LIST_IMPORTANCE,
        Sort::Confidence => LIST_CONFIDENCE,
        Sort::Access => LIST_ACCESS,
    };
    let (status, memory_type, include_expired) =
        (filter.status.as_str(), filter.memory_type, filter.include_expired);
    let pattern = filter.q.as_deref().map(contains_pattern);
    let page = fetch_all!(Memory, q, sql, user, status, memory_type, &pattern, include_expired, limit, skip)?;
    let total = fetch_one!((i64,), q, COUNT, user, status, memory_type, &pattern, include_expired)?.0;
    Ok((page, total))
}

pub async fn page_by_id(
    q: &mut impl Querier,
    user: UserId,
    after: MemoryId,
    limit: i64,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, PAGE_BY_ID, user, after, limit)
}

/// What a bulk deletion names.
#[derive(Debug, Clone, Default)]
pub struct Criteria {
    pub status: Option<MemoryStatus>,
    pub memory_type: Option<MemoryType>,
    pub importance_lt: Option<f64>,
    pub created_before: Option<DateTime<Utc>>,
}

/// Ids of the user's memories that match, after an id, in order.
pub async fn matching(
    q: &mut impl Querier,
    user: UserId,
    after: MemoryId,
    criteria: &Criteria,
    limit: i64,
) -> Result<Vec<MemoryId>, sqlx::Error> {
    let Criteria { status, memory_type, importance_lt, created_before } = criteria;
    let rows = fetch_all!(
        (MemoryId,),
        q,
        MATCHING,
        user,
        after,
        *status,
        *memory_type,
        *importance_lt,
        *created_before,
        limit
    )?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}
