//! A user's memory in figures.

use axum::{Json as Answer, extract::State};
use chrono::TimeDelta;
use rapport_common::{
    Error, clock,
    domain::memory::{MemoryType, MemoryView},
    error::Code,
    store::{
        memories::{self, Filter, Sort, Wanted},
        memory_stats::{self, Day, Overview},
    },
    usecase::memory::edit,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{
    error::Result,
    extract::{Caller, NoPages, Query},
    state::AppState,
};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RangeQuery {
    /// `7d`, `30d` (default), `90d` or `all`: by when memories were made.
    time_range: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct OverviewView {
    total_memories: i64,
    active_memories: i64,
    confirmed: i64,
    pending: i64,
    rejected: i64,
    private: i64,
    average_importance: f64,
    average_confidence: f64,
    /// `confirmed` by another name, as the four below are.
    verified_count: i64,
    pending_count: i64,
    rejected_count: i64,
    avg_importance: f64,
    avg_confidence: f64,
    total_accesses: i64,
    open_conflicts: i64,
    merge_suggestions: i64,
}

/// 0-100, and its four parts.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MemoryHealth {
    score: f64,
    /// Of 40: the share of active memories that are confirmed.
    verified: f64,
    /// Of 30: the mean confidence.
    confidence: f64,
    /// Of 15: how many of the six types there are.
    diversity: f64,
    /// Of 15: the share that changed within 30 days.
    recency: f64,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Insight {
    #[serde(rename = "type")]
    #[schema(example = "pending_verification")]
    kind: &'static str,
    message: String,
    /// `high`, `medium` or `low`.
    priority: &'static str,
    /// The request that helps.
    #[schema(example = "GET /memory/pending")]
    action: &'static str,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct MemoryDay {
    #[schema(example = "2026-11-20")]
    date: String,
    /// Noted on that day. What was merged, replaced or ran out since is in here alone.
    count: i64,
    /// Of these: confirmed now.
    kept: i64,
    /// Of these: to be reviewed.
    waiting: i64,
    /// Of these: rejected.
    forgotten: i64,
}

impl From<Day> for MemoryDay {
    fn from(Day { date, count, kept, waiting, forgotten }: Day) -> Self {
        Self { date, count, kept, waiting, forgotten }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Dashboard {
    time_range: String,
    overview: OverviewView,
    by_type: BTreeMap<String, i64>,
    by_status: BTreeMap<String, i64>,
    health_score: f64,
    health: MemoryHealth,
    insights: Vec<Insight>,
    by_day: Vec<MemoryDay>,
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn health(of: &Overview) -> MemoryHealth {
    let active = of.active.max(1) as f64;
    // Of nothing, nothing is healthy.
    let some = if of.active == 0 { 0.0 } else { 1.0 };
    let confirmed = of.confirmed as f64;
    let verified = 40.0 * confirmed / active;
    let confidence = 30.0 * of.active_confidence * some;
    let diversity = 15.0 * of.active_types as f64 / MemoryType::ALL.len() as f64;
    let recency = 15.0 * of.fresh as f64 / active;
    let score = rounded(verified + confidence + diversity + recency);
    MemoryHealth {
        score,
        verified: rounded(verified),
        confidence: rounded(confidence),
        diversity: rounded(diversity),
        recency: rounded(recency),
    }
}

fn insights(of: &Overview) -> Vec<Insight> {
    let mut all = Vec::new();
    let mut tell =
        |kind, priority, action, message: String| all.push(Insight { kind, message, priority, action });
    if of.conflicts > 0 {
        let message =
            format!("{} pairs of memories contradict each other and wait for your answer.", of.conflicts);
        tell("open_conflicts", "high", "GET /memory/conflicts?status=open", message);
    }
    if of.pending > 0 {
        let priority = if of.long_pending > 0 || of.pending > 20 { "high" } else { "medium" };
        let message = format!("{} memories wait for your verdict.", of.pending);
        tell("pending_verification", priority, "GET /memory/pending", message);
    }
    if of.suggestions > 0 {
        let message = format!("{} groups of memories could be merged.", of.suggestions);
        tell("merge_suggestions", "medium", "GET /memory/consolidate/suggestions", message);
    }
    if of.expiring > 0 {
        let message = format!("{} memories expire within a week.", of.expiring);
        tell("expiring_soon", "low", "GET /memory?sort=updated", message);
    }
    if of.active > 0 && of.active_confidence < 0.6 {
        let message = format!(
            "The mean confidence is {:.2}: confirm or reject what is uncertain.",
            of.active_confidence
        );
        tell("low_confidence", "medium", "GET /memory?sort=confidence", message);
    }
    if of.active == 0 {
        tell(
            "nothing_yet",
            "low",
            "POST /memory",
            "There are no memories yet: tell the assistant about yourself.".to_owned(),
        );
    }
    all
}

/// Show your memory in figures
///
/// Counts by type, status and day, averages, a health score of 0-100, and hints on what to do.
#[utoipa::path(get, path = "/memory/analytics/dashboard", tag = "memory analytics", params(RangeQuery),
    responses((status = 200, description = "Figures", body = Dashboard)))]
pub async fn dashboard(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(query): Query<RangeQuery>,
) -> Result<Answer<Dashboard>> {
    let now = clock::now();
    let time_range = query.time_range.unwrap_or_else(|| "30d".to_owned());
    let since = match time_range.as_str() {
        "7d" => now - TimeDelta::days(7),
        "30d" => now - TimeDelta::days(30),
        "90d" => now - TimeDelta::days(90),
        "all" => chrono::DateTime::UNIX_EPOCH,
        _ => return Err(Error::new(Code::BadQuery, "`time_range` must be 7d, 30d, 90d or all.").into()),
    };
    let mut conn = state.ctx.db.read().await?;
    let (fresh, soon) = (now - TimeDelta::days(30), now + TimeDelta::days(7));
    let of = memory_stats::overview(&mut conn, caller.user, since, fresh, soon).await?;
    let by_day = memory_stats::by_day(&mut conn, caller.user, since).await?;
    let health = health(&of);
    Ok(Answer(Dashboard {
        time_range,
        health_score: health.score,
        health,
        insights: insights(&of),
        overview: OverviewView {
            total_memories: of.total,
            active_memories: of.active,
            confirmed: of.confirmed,
            pending: of.pending,
            rejected: of.rejected,
            private: of.private,
            average_importance: rounded(of.mean_importance),
            average_confidence: rounded(of.mean_confidence),
            verified_count: of.confirmed,
            pending_count: of.pending,
            rejected_count: of.rejected,
            avg_importance: rounded(of.mean_importance),
            avg_confidence: rounded(of.mean_confidence),
            total_accesses: of.accesses,
            open_conflicts: of.conflicts,
            merge_suggestions: of.suggestions,
        },
        by_type: memory_stats::by_type(&mut conn, caller.user, since).await?.into_iter().collect(),
        by_status: memory_stats::by_status(&mut conn, caller.user, since).await?.into_iter().collect(),
        by_day: by_day.into_iter().rev().map(MemoryDay::from).collect(),
    }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TopQuery {
    /// `importance` (default), `confidence`, `access_frequency` or `recency`.
    metric: Option<String>,
    /// 1-100, 10 by default.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
}

/// Show the top memories by a measure
///
/// By importance, confidence, how often they were used, or how new they are.
#[utoipa::path(get, path = "/memory/analytics/top", tag = "memory analytics", params(TopQuery),
    responses((status = 200, description = "The first first", body = [MemoryView])))]
pub async fn top(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(query): Query<TopQuery>,
    _: NoPages,
) -> Result<Answer<Vec<MemoryView>>> {
    let sort = match query.metric.as_deref().unwrap_or("importance") {
        "importance" => Sort::Importance,
        "confidence" => Sort::Confidence,
        "access_frequency" => Sort::Access,
        "recency" => Sort::Newest,
        _ => {
            let detail = "`metric` must be importance, confidence, access_frequency or recency.";
            return Err(Error::new(Code::BadQuery, detail).into());
        }
    };
    let limit = query.limit.unwrap_or(10);
    if !(1..=100).contains(&limit) {
        return Err(Error::new(Code::BadQuery, "`limit` must be from 1 to 100.").into());
    }
    let filter = Filter { status: Wanted::Live, memory_type: None, q: None, include_expired: false };
    let mut conn = state.ctx.db.read().await?;
    let found = memories::page(&mut conn, caller.user, &filter, sort, limit, 0).await?;
    Ok(Answer(edit::views(&mut conn, caller.user, found).await?))
}
