//! Memories as a list wants them: filtered, sorted, a page at a time.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::{
    contains_pattern,
    db::{Querier, fetch_all, fetch_one, statements},
    domain::{
        ids::{MemoryId, UserId},
        memory::{Memory, MemoryStatus, MemoryType},
    },
};

/// $2 statuses, $3 a type or null. Conditions are written so that PostgreSQL, which plans without knowing them, takes each for
/// half of all: by `$3 is null or …` it expects no rows at all, and reads and sorts everything for a page of the newest.
macro_rules! wanted {
    ($status:expr) => {
        concat!("user_id = $1 and status ", $status, " and coalesce(memory_type = $3, 1 = 1)")
    };
}

/// $4 what the content is to contain. Which ones is found out first: whole rows are long, and sorting them takes twice the time.
macro_rules! listed {
    ($status:expr, $contains:expr, $order:literal) => {
        concat!(
            " from memories where id in (select id from memories where ",
            wanted!($status),
            " and case when $4 is null then 1 = 1 else ",
            $contains,
            " end order by ",
            $order,
            " limit $5 offset $6) order by ",
            $order
        )
    };
}

statements! {
    LIST_NEW = "select ", columns!(), listed!(any_of!(2), contains!("content", 4), "created_at desc, id desc");
    LIST_OLD = "select ", columns!(), listed!(any_of!(2), contains!("content", 4), "created_at, id");
    LIST_UPDATED = "select ", columns!(), listed!(any_of!(2), contains!("content", 4), "updated_at desc, id desc");
    LIST_IMPORTANCE = "select ", columns!(), listed!(any_of!(2), contains!("content", 4), "importance desc, id desc");
    LIST_CONFIDENCE = "select ", columns!(), listed!(any_of!(2), contains!("content", 4), "confidence desc, id desc");
    LIST_ACCESS = "select ", columns!(), listed!(any_of!(2), contains!("content", 4), "access_count desc, id desc");
    /// By index alone.
    COUNT = "select count(*) from memories where ", wanted!(any_of!(2));
    COUNT_FOUND = "select count(*) from memories where ", wanted!(any_of!(2)), " and ", contains!("content", 4);
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
    /// `include_expired`: live ones are wanted with those that were.
    fn statuses(self, include_expired: bool) -> &'static [MemoryStatus] {
        use MemoryStatus::{Confirmed, Expired, Merged, Pending, Rejected, Superseded};
        match self {
            Wanted::Live if include_expired => &[Pending, Confirmed, Expired],
            Wanted::Live => &[Pending, Confirmed],
            Wanted::All => &MemoryStatus::ALL,
            Wanted::Only(Pending) => &[Pending],
            Wanted::Only(Confirmed) => &[Confirmed],
            Wanted::Only(Rejected) => &[Rejected],
            Wanted::Only(Superseded) => &[Superseded],
            Wanted::Only(Merged) => &[Merged],
            Wanted::Only(Expired) => &[Expired],
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

/// A page of them.
pub async fn page(
    q: &mut impl Querier,
    user: UserId,
    filter: &Filter,
    sort: Sort,
    limit: i64,
    skip: i64,
) -> Result<Vec<Memory>, sqlx::Error> {
    let sql = match sort {
        Sort::Newest => LIST_NEW,
        Sort::Oldest => LIST_OLD,
        Sort::Updated => LIST_UPDATED,
        Sort::Importance => LIST_IMPORTANCE,
        Sort::Confidence => LIST_CONFIDENCE,
        Sort::Access => LIST_ACCESS,
    };
    let statuses = Json(filter.status.statuses(filter.include_expired));
    let pattern = filter.q.as_deref().map(contains_pattern);
    fetch_all!(Memory, q, sql, user, statuses, filter.memory_type, &pattern, limit, skip)
}

/// A page of them, and how many there are in all.
pub async fn list(
    q: &mut impl Querier,
    user: UserId,
    filter: &Filter,
    sort: Sort,
    limit: i64,
    skip: i64,
) -> Result<(Vec<Memory>, i64), sqlx::Error> {
    let page = page(q, user, filter, sort, limit, skip).await?;
    let here = page.len() as i64;
    // The last page says it itself.
    if here < limit && (here > 0 || skip == 0) {
        return Ok((page, skip + here));
    }
    let statuses = Json(filter.status.statuses(filter.include_expired));
    let total = match filter.q.as_deref().map(contains_pattern) {
        None => fetch_one!((i64,), q, COUNT, user, statuses, filter.memory_type)?.0,
        Some(pattern) => fetch_one!((i64,), q, COUNT_FOUND, user, statuses, filter.memory_type, pattern)?.0,
    };
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
