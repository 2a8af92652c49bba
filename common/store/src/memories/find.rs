//! Finding memories: by id, by what they say, and those that count.

use chrono::{DateTime, Utc};

use crate::{
    db::{Querier, fetch_all, fetch_optional, ids, statements},
    domain::{
        ids::{MemoryId, SessionId, UserId},
        memory::Memory,
    },
};

statements! {
    GET = "select ", columns!(), " from memories where id = $1 and user_id = $2";
    GET_MANY = "select ", columns!(), " from memories where ", checked!("user_id = $1"), " and id in ", ids!(2), " order by created_at, id";
    BY_NORM = "select ", columns!(),
        " from memories where user_id = $1 and norm = $2 order by case status when 'confirmed' then 0 when 'pending' then 1
        when 'rejected' then 2 else 3 end, created_at desc limit 1";
    BY_SLOT = "select ", columns!(),
        " from memories where user_id = $1 and subject = $2 and slot = $3 and status in ('pending', 'confirmed', 'rejected', 'superseded')
        order by created_at, id limit 200";
    BY_SESSION = "select ", columns!(),
        " from memories where user_id = $1 and session_id = $2 and status in ('pending', 'confirmed') order by created_at, id";
    ACTIVE = "select ", columns!(),
        " from memories where user_id = $1 and status in ('pending', 'confirmed') order by created_at desc, id desc limit $2";
    ESSENTIAL = "select ", columns!(),
        " from memories where user_id = $1 and essential and status = 'confirmed' and importance >= $2
        and (valid_to is null or valid_to > $3) order by importance desc, created_at desc, id limit 50";
    /// In the order of an index: without one PostgreSQL may look for the first through the whole table.
    ANY = "select 1 from memories where user_id = $1 and status in ('pending', 'confirmed') order by norm limit 1";
    EXPIRING_TYPES = "select ", columns!(),
        " from memories where user_id = $1 and status in ('pending', 'confirmed') and expires_at is null
        and memory_type in ('goal', 'experience', 'topic', 'fact') order by created_at desc, id desc limit $2";
    DUE_TO_EXPIRE = "select id, user_id from memories where expires_at <= $1 and status in ('pending', 'confirmed')
    and expires_at is not null order by expires_at limit $2";
    MERGED_FROM = "select merged_into, id from memories where ", checked!("user_id = $1"), " and merged_into in ", ids!(2), " order by id";
}

pub async fn get(q: &mut impl Querier, user: UserId, id: MemoryId) -> Result<Option<Memory>, sqlx::Error> {
    fetch_optional!(Memory, q, GET, id, user)
}

/// Those of `wanted` that are the user's, the oldest first.
pub async fn get_many(
    q: &mut impl Querier,
    user: UserId,
    wanted: &[MemoryId],
) -> Result<Vec<Memory>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    fetch_all!(Memory, q, GET_MANY, user, ids(wanted.iter().copied()))
}

/// The memory that says exactly this; the one that counts most, if there are several.
pub async fn by_norm(q: &mut impl Querier, user: UserId, norm: &str) -> Result<Option<Memory>, sqlx::Error> {
    fetch_optional!(Memory, q, BY_NORM, user, norm)
}

pub async fn by_slot(
    q: &mut impl Querier,
    user: UserId,
    subject: &str,
    slot: &str,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, BY_SLOT, user, subject, slot)
}

/// What was extracted from a session, and counts.
pub async fn by_session(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, BY_SESSION, user, session)
}

/// The newest of those that count.
pub async fn active(q: &mut impl Querier, user: UserId, limit: i64) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, ACTIVE, user, limit)
}

/// Whether the user has any memory that counts.
pub async fn are_any(q: &mut impl Querier, user: UserId) -> Result<bool, sqlx::Error> {
    Ok(fetch_optional!((i32,), q, ANY, user)?.is_some())
}

/// Confirmed ones that must never be missed and matter at least so much; what matters most first.
pub async fn essential(
    q: &mut impl Querier,
    user: UserId,
    least: f64,
    now: DateTime<Utc>,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, ESSENTIAL, user, least, now)
}

/// Active ones without an expiry, of the types that may need one.
pub async fn without_expiry(
    q: &mut impl Querier,
    user: UserId,
    limit: i64,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, EXPIRING_TYPES, user, limit)
}

/// For the sweep: over all users, each row with its owner.
pub async fn due_to_expire(
    q: &mut impl Querier,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(MemoryId, UserId)>, sqlx::Error> {
    fetch_all!((MemoryId, UserId), q, DUE_TO_EXPIRE, now, limit)
}

/// (merged, one it was merged from) for each of `into`.
pub async fn merged_from(
    q: &mut impl Querier,
    user: UserId,
    into: &[MemoryId],
) -> Result<Vec<(MemoryId, MemoryId)>, sqlx::Error> {
    fetch_all!((MemoryId, MemoryId), q, MERGED_FROM, user, ids(into.iter().copied()))
}
