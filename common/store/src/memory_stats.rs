//! A user's memory in figures, computed where the rows are.

use chrono::{DateTime, Utc};

use super::db::{Querier, fetch_all, fetch_one, row, statements};
use crate::domain::ids::UserId;

statements! {
    OVERVIEW = "select count(*) as total, coalesce(sum(case when status = 'confirmed' then 1 else 0 end), 0) as confirmed,
        coalesce(sum(case when status = 'pending' then 1 else 0 end), 0) as pending,
        coalesce(sum(case when is_private then 1 else 0 end), 0) as private,
        cast(coalesce(avg(importance), 0) as double precision) as mean_importance,
        cast(coalesce(avg(confidence), 0) as double precision) as mean_confidence,
        coalesce(sum(case when status in ('pending', 'confirmed') then 1 else 0 end), 0) as active,
        cast(coalesce(avg(case when status in ('pending', 'confirmed') then confidence end), 0) as double precision) as active_confidence,
        count(distinct case when status in ('pending', 'confirmed') then memory_type end) as active_types,
        coalesce(sum(case when status in ('pending', 'confirmed') and updated_at >= $3 then 1 else 0 end), 0) as fresh,
        coalesce(sum(case when status in ('pending', 'confirmed') and expires_at <= $4 then 1 else 0 end), 0) as expiring,
        coalesce(sum(case when status = 'pending' and created_at < $3 then 1 else 0 end), 0) as long_pending,
        coalesce(sum(case when status = 'rejected' then 1 else 0 end), 0) as rejected,
        cast(coalesce(sum(access_count), 0) as bigint) as accesses,
        (select count(*) from memory_conflicts where user_id = $1 and status = 'open') as conflicts,
        (select count(*) from memory_suggestions where user_id = $1) as suggestions
    from memories where user_id = $1 and created_at >= $2";
    BY_TYPE =
        "select memory_type, count(*) from memories where user_id = $1 and created_at >= $2 group by memory_type order by 1";
    BY_STATUS = "select status, count(*) from memories where user_id = $1 and created_at >= $2 group by status order by 1";
    BY_DAY = "select ", day!("created_at"), " as date, count(*) as count,
            sum(case when status = 'confirmed' then 1 else 0 end) as kept,
            sum(case when status = 'pending' then 1 else 0 end) as waiting,
            sum(case when status = 'rejected' then 1 else 0 end) as forgotten
        from memories where user_id = $1 and created_at >= $2 group by 1 order by 1 desc limit 400";
    CONFLICTS = "select count(*) from memory_conflicts where user_id = $1 and status = 'open'";
    PENDING = "select count(*) from memories where user_id = $1 and status = 'pending'";
}

#[derive(Debug, Clone)]
pub struct Overview {
    pub total: i64,
    pub confirmed: i64,
    pub pending: i64,
    pub private: i64,
    pub mean_importance: f64,
    pub mean_confidence: f64,
    /// Pending or confirmed.
    pub active: i64,
    pub active_confidence: f64,
    pub active_types: i64,
    /// Active ones that changed within 30 days.
    pub fresh: i64,
    pub expiring: i64,
    pub long_pending: i64,
    pub rejected: i64,
    pub accesses: i64,
    pub conflicts: i64,
    pub suggestions: i64,
}

row!(Overview:
    total, confirmed, pending, private, mean_importance, mean_confidence, active, active_confidence,
    active_types, fresh, expiring, long_pending, rejected, accesses, conflicts, suggestions
);

/// What was noted on one day, and what it is now. What was merged, replaced or ran out is in `count` alone.
#[derive(Debug, Clone)]
pub struct Day {
    /// YYYY-MM-DD, in UTC.
    pub date: String,
    pub count: i64,
    pub kept: i64,
    pub waiting: i64,
    pub forgotten: i64,
}

row!(Day: date, count, kept, waiting, forgotten);

pub async fn overview(
    q: &mut impl Querier,
    user: UserId,
    since: DateTime<Utc>,
    fresh_since: DateTime<Utc>,
    expiring_before: DateTime<Utc>,
) -> Result<Overview, sqlx::Error> {
    fetch_one!(Overview, q, OVERVIEW, user, since, fresh_since, expiring_before)
}

pub async fn by_type(
    q: &mut impl Querier,
    user: UserId,
    since: DateTime<Utc>,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    fetch_all!((String, i64), q, BY_TYPE, user, since)
}

pub async fn by_status(
    q: &mut impl Querier,
    user: UserId,
    since: DateTime<Utc>,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    fetch_all!((String, i64), q, BY_STATUS, user, since)
}

/// The newest first.
pub async fn by_day(
    q: &mut impl Querier,
    user: UserId,
    since: DateTime<Utc>,
) -> Result<Vec<Day>, sqlx::Error> {
    fetch_all!(Day, q, BY_DAY, user, since)
}

/// What awaits the user: memories to review, and open conflicts.
pub async fn awaiting(q: &mut impl Querier, user: UserId) -> Result<(i64, i64), sqlx::Error> {
    let pending = fetch_one!((i64,), q, PENDING, user)?.0;
    Ok((pending, fetch_one!((i64,), q, CONFLICTS, user)?.0))
}
