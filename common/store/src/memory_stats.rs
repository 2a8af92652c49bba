//! A user's memory in figures, computed where the rows are.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::db::{Pair, Querier, fetch_all, fetch_one};
use crate::domain::ids::UserId;

const OVERVIEW: &str = "select count(*), coalesce(sum(case when status = 'confirmed' then 1 else 0 end), 0),
        coalesce(sum(case when status = 'pending' then 1 else 0 end), 0), coalesce(sum(case when is_private then 1 else 0 end), 0),
        cast(coalesce(avg(importance), 0) as double precision), cast(coalesce(avg(confidence), 0) as double precision),
        coalesce(sum(case when status in ('pending', 'confirmed') then 1 else 0 end), 0),
        cast(coalesce(avg(case when status in ('pending', 'confirmed') then confidence end), 0) as double precision),
        count(distinct case when status in ('pending', 'confirmed') then memory_type end),
        coalesce(sum(case when status in ('pending', 'confirmed') and updated_at >= $3 then 1 else 0 end), 0),
        coalesce(sum(case when status in ('pending', 'confirmed') and expires_at <= $4 then 1 else 0 end), 0),
        coalesce(sum(case when status = 'pending' and created_at < $3 then 1 else 0 end), 0),
        coalesce(sum(case when status = 'rejected' then 1 else 0 end), 0),
        cast(coalesce(sum(access_count), 0) as bigint)
    from memories where user_id = $1 and created_at >= $2";
const BY_TYPE: &str = "select memory_type, count(*) from memories where user_id = $1 and created_at >= $2 group by memory_type order by 1";
const BY_STATUS: &str = "select status, count(*) from memories where user_id = $1 and created_at >= $2 group by status order by 1";
macro_rules! by_day {
    ($day:literal) => {
        concat!(
            "select ",
            $day,
            " as date, count(*) as count, sum(case when status = 'confirmed' then 1 else 0 end) as kept,
            sum(case when status = 'pending' then 1 else 0 end) as waiting,
            sum(case when status = 'rejected' then 1 else 0 end) as forgotten
            from memories where user_id = $1 and created_at >= $2 group by 1 order by 1 desc limit 400"
        )
    };
}
const BY_DAY: Pair = Pair {
    pg: by_day!("to_char(created_at at time zone 'utc', 'YYYY-MM-DD')"),
    lite: by_day!("substr(created_at, 1, 10)"),
};
const CONFLICTS: &str = "select count(*) from memory_conflicts where user_id = $1 and status = 'open'";
const PENDING: &str = "select count(*) from memories where user_id = $1 and status = 'pending'";
const SUGGESTIONS: &str = "select count(*) from memory_suggestions where user_id = $1";

pub(super) const SQL: &[&str] = &[OVERVIEW, BY_TYPE, BY_STATUS, CONFLICTS, PENDING, SUGGESTIONS];
pub(super) const PAIRS: &[Pair] = &[BY_DAY];

#[derive(Debug, Clone, Default, Serialize)]
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
    pub by_type: Vec<(String, i64)>,
    pub by_status: Vec<(String, i64)>,
    /// The newest first.
    pub by_day: Vec<Day>,
}

/// What was noted on one day, and what it is now. What was merged, replaced or ran out is in `count` alone.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Day {
    /// YYYY-MM-DD, in UTC.
    pub date: String,
    pub count: i64,
    pub kept: i64,
    pub waiting: i64,
    pub forgotten: i64,
}

type Columns = (i64, i64, i64, i64, f64, f64, i64, f64, i64, i64, i64, i64, i64, i64);

pub async fn overview(
    q: &mut impl Querier,
    user: UserId,
    since: DateTime<Utc>,
    fresh_since: DateTime<Utc>,
    expiring_before: DateTime<Utc>,
) -> Result<Overview, sqlx::Error> {
    let row = fetch_one!(Columns, q, OVERVIEW, user, since, fresh_since, expiring_before)?;
    let by_day = BY_DAY.of(q);
    Ok(Overview {
        total: row.0,
        confirmed: row.1,
        pending: row.2,
        private: row.3,
        mean_importance: row.4,
        mean_confidence: row.5,
        active: row.6,
        active_confidence: row.7,
        active_types: row.8,
        fresh: row.9,
        expiring: row.10,
        long_pending: row.11,
        rejected: row.12,
        accesses: row.13,
        conflicts: fetch_one!((i64,), q, CONFLICTS, user)?.0,
        suggestions: fetch_one!((i64,), q, SUGGESTIONS, user)?.0,
        by_type: fetch_all!((String, i64), q, BY_TYPE, user, since)?,
        by_status: fetch_all!((String, i64), q, BY_STATUS, user, since)?,
        by_day: fetch_all!(Day, q, by_day, user, since)?,
    })
}

/// What awaits the user: memories to review, and open conflicts.
pub async fn awaiting(q: &mut impl Querier, user: UserId) -> Result<(i64, i64), sqlx::Error> {
    let pending = fetch_one!((i64,), q, PENDING, user)?.0;
    Ok((pending, fetch_one!((i64,), q, CONFLICTS, user)?.0))
}
