//! What a user did and spent.

use std::collections::BTreeMap;

use axum::{Json as Answer, extract::State};
use chrono::{DateTime, TimeDelta, Utc};
use rapport_common::{
    Error, clock,
    domain::ids::ProjectId,
    error::Code,
    store::{
        self,
        analytics::{self, Answers},
        usage::day,
    },
    usecase::budget::{self, Left},
};
use serde::{Deserialize, Serialize};

use crate::{
    bodies::{Day, UsageLine},
    error::Result,
    extract::{Caller, Query},
    state::AppState,
};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Range {
    /// `7d`, `30d` (default), `90d` or `all`.
    time_range: Option<String>,
}

impl Range {
    fn since(&self) -> Result<DateTime<Utc>> {
        let days = match self.time_range.as_deref().unwrap_or("30d") {
            "7d" => 7,
            "30d" => 30,
            "90d" => 90,
            "all" => return Ok(DateTime::UNIX_EPOCH),
            _ => return Err(Error::new(Code::BadQuery, "`time_range` must be 7d, 30d, 90d or all.").into()),
        };
        Ok(clock::now() - TimeDelta::days(days))
    }
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Activity {
    total_messages: i64,
    total_sessions: i64,
    avg_messages_per_session: f64,
    active_days: usize,
    by_day: Vec<Day>,
}

/// Show how much you have chatted
///
/// Messages of both sides; days are in UTC.
#[utoipa::path(get, path = "/analytics/activity", tag = "analytics", params(Range),
    responses((status = 200, description = "Activity", body = Activity)))]
pub async fn activity(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(range): Query<Range>,
) -> Result<Answer<Activity>> {
    let since = range.since()?;
    let mut conn = state.ctx.db.read().await?;
    let by_day = analytics::by_day(&mut conn, caller.user, since).await?;
    let (total_messages, total_sessions) = analytics::totals(&mut conn, caller.user, since).await?;
    let mean = if total_sessions == 0 { 0.0 } else { total_messages as f64 / total_sessions as f64 };
    Ok(Answer(Activity {
        total_messages,
        total_sessions,
        avg_messages_per_session: (mean * 100.0).round() / 100.0,
        active_days: by_day.len(),
        by_day: by_day.into_iter().map(Day::from).collect(),
    }))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Share {
    count: i64,
    /// Of all answers, 0-100.
    percentage: f64,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ModelShares {
    by_provider: BTreeMap<String, Share>,
    by_model: BTreeMap<String, Share>,
}

/// Show which models answered you
///
/// Counts and percentages of answers by provider and by model.
#[utoipa::path(get, path = "/analytics/models", tag = "analytics", params(Range),
    responses((status = 200, description = "Shares of answers", body = ModelShares)))]
pub async fn models(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(range): Query<Range>,
) -> Result<Answer<ModelShares>> {
    let rows = analytics::models(&mut state.ctx.db.read().await?, caller.user, &day(range.since()?)).await?;
    let total: i64 = rows.iter().map(|row| row.answers).sum();
    let shares = |name: fn(&Answers) -> &String| {
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        for row in &rows {
            *counts.entry(name(row).clone()).or_default() += row.answers;
        }
        let share = |count: i64| Share {
            count,
            percentage: (count as f64 * 1_000.0 / total.max(1) as f64).round() / 10.0,
        };
        counts.into_iter().map(|(name, count)| (name, share(count))).collect()
    };
    Ok(Answer(ModelShares { by_provider: shares(|row| &row.provider), by_model: shares(|row| &row.model) }))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct UsageTotals {
    requests: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    /// US dollars, for models whose price is known.
    cost: f64,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct UsageReport {
    total: UsageTotals,
    /// By day, project, API key, provider, model and kind of job.
    lines: Vec<UsageLine>,
}

/// Show tokens and cost
///
/// Counted in the transaction that stores a result, so the figures are exact; days are in UTC.
#[utoipa::path(get, path = "/analytics/usage", tag = "analytics", params(Range),
    responses((status = 200, description = "Usage", body = UsageReport)))]
pub async fn usage(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(range): Query<Range>,
) -> Result<Answer<UsageReport>> {
    let lines = analytics::usage(&mut state.ctx.db.read().await?, caller.user, &day(range.since()?)).await?;
    let mut total = UsageTotals { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0.0 };
    for line in &lines {
        total.requests += line.requests;
        total.prompt_tokens += line.prompt_tokens;
        total.completion_tokens += line.completion_tokens;
        total.cost += line.cost;
    }
    Ok(Answer(UsageReport { total, lines: lines.into_iter().map(UsageLine::from).collect() }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct QuotaQuery {
    /// Of one project instead of all.
    project_id: Option<String>,
}

/// Show what is left of today's budget
///
/// A day is one in UTC. Without a limit, what is left is null.
#[utoipa::path(get, path = "/analytics/quota", tag = "analytics", params(QuotaQuery),
    responses((status = 200, description = "The budget", body = Left),
              (status = 404, description = "There is no such project", body = crate::problem::Problem)))]
pub async fn quota(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(query): Query<QuotaQuery>,
) -> Result<Answer<Left>> {
    let project = query.project_id.map(|id| id.parse::<ProjectId>()).transpose();
    let project = project.map_err(|_| Error::not_found("project"))?;
    if let Some(project) = project {
        let found = store::projects::get(&mut state.ctx.db.read().await?, caller.user, project).await?;
        found.ok_or_else(|| Error::not_found("project"))?;
    }
    Ok(Answer(budget::left(&state.ctx, caller.user, project).await?))
}
