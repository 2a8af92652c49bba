//! What may be spent on models in a day (UTC), by user and by project: held before a call, counted with its result.
//!
//! A hold is what a job may yet spend. Holds of one budget are made one after another, each seeing what the others hold,
//! so that many messages at once cannot spend more than is there by more than one answer's misjudged length. Holds of
//! jobs that ended do not count.

use chrono::{DateTime, Datelike, Months, Utc};

use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{KeyId, ProjectId, UserId},
        job::Job,
    },
    error::{Code, Wrong},
    providers::Completion,
    store::{self, Tx, usage},
};

/// An answer nobody limited is taken to be so long, in tokens.
const USUAL_ANSWER: i64 = 500;

/// One budget that applies, with its limits; 0 is none.
#[derive(Debug, Clone)]
struct Limit {
    scope: String,
    project: String,
    tokens: i64,
    cost: i64,
}

async fn limits(ctx: &Context, user: UserId, project: Option<ProjectId>) -> Result<Vec<Limit>> {
    let user_scope = user.to_string();
    let project_scope = project.map(|project| project.to_string()).unwrap_or_default();
    let rows = usage::limits(&mut ctx.db.read().await?, &user_scope, &project_scope).await?;
    let of = |scope: &str, project: &str, tokens: i64, cost: i64| {
        let row = rows.iter().find(|row| row.scope == scope);
        Limit {
            scope: scope.to_owned(),
            project: project.to_owned(),
            tokens: row.and_then(|row| row.daily_tokens).unwrap_or(tokens),
            cost: row.and_then(|row| row.daily_cost).unwrap_or(cost),
        }
    };
    let default = ctx.settings.budget;
    let mut limits = vec![of(&user_scope, "", default.daily_tokens, default.daily_cost)];
    if !project_scope.is_empty() {
        limits.push(of(&project_scope, &project_scope, 0, 0));
    }
    limits.retain(|limit| limit.tokens > 0 || limit.cost > 0);
    Ok(limits)
}

/// What a call's cost is made of, and who pays.
pub struct Call<'a> {
    pub user: UserId,
    pub project: Option<ProjectId>,
    pub api_key: Option<&'a str>,
    /// Tokens of it, and what the job has used already.
    pub prompt: i64,
    pub model: &'a str,
    pub max_tokens: Option<u32>,
}

/// Holds what a call may cost. An error says that the day's budget is spent, or the month's of an API key.
pub async fn hold(ctx: &Context, job: &Job, call: Call<'_>) -> Result<()> {
    let Call { user, project, api_key, prompt, model, max_tokens } = call;
    let key = match api_key.and_then(|key| key.parse::<KeyId>().ok()) {
        Some(key) => {
            store::keys::monthly_tokens(&mut ctx.db.read().await?, user, key).await?.map(|most| (key, most))
        }
        None => None,
    };
    let limits = limits(ctx, user, project).await?;
    if limits.is_empty() && key.is_none() {
        return Ok(());
    }
    let answer = max_tokens.map_or(USUAL_ANSWER, i64::from);
    let usage = crate::domain::message::Usage::new(prompt, answer);
    let tokens = usage.total_tokens;
    let cost = (ctx.providers.cost(model, usage).unwrap_or(0.0) * 1e6).round() as i64;
    let now = clock::now();
    let day = usage::day(now);
    let mut tx = ctx.db.begin().await?;
    for limit in &limits {
        usage::lock(&mut tx, &limit.scope).await?;
        let (spent_tokens, spent_cost) = usage::spent(&mut tx, user, &limit.project, &day).await?;
        let (held_tokens, held_cost) = usage::held(&mut tx, &limit.scope, &day, job.id).await?;
        let over = |limit: i64, spent: i64, wanted: i64| limit > 0 && spent + wanted > limit;
        if over(limit.tokens, spent_tokens + held_tokens, tokens)
            || over(limit.cost, spent_cost + held_cost, cost)
        {
            let whose = if limit.project.is_empty() { "your" } else { "the project's" };
            let detail =
                format!("This would go over {whose} budget for today. It starts anew at midnight UTC.");
            let midnight = 86_400 - now.timestamp().rem_euclid(86_400);
            return Err(Error::new(Code::BudgetSpent, detail).retry_after(midnight as u64));
        }
        usage::hold(&mut tx, job.id, &limit.scope, &day, (tokens, cost)).await?;
    }
    if let Some((key, most)) = key {
        let monthly = Monthly { user, key, most };
        monthly.hold(&mut tx, job, tokens, now).await?;
    }
    tx.commit().await
}

/// An API key's tokens a month (UTC).
struct Monthly {
    user: UserId,
    key: KeyId,
    most: i64,
}

impl Monthly {
    async fn hold(&self, tx: &mut Tx, job: &Job, tokens: i64, now: DateTime<Utc>) -> Result<()> {
        let scope = self.key.to_string();
        usage::lock(tx, &scope).await?;
        let month = now.format("%Y-%m").to_string();
        let spent = store::keys::spent(tx, self.user, self.key, &format!("{month}-01")).await?;
        let (held, _) = usage::held(tx, &scope, &month, job.id).await?;
        if spent + held + tokens > self.most {
            let next =
                now.date_naive().with_day(1).and_then(|first| first.checked_add_months(Months::new(1)));
            let wait = next.map_or(86_400, |next| (next - now.date_naive()).num_seconds());
            let detail = "This would go over the API key's budget for this month.";
            return Err(Error::new(Code::BudgetSpent, detail).retry_after(wait.max(60) as u64));
        }
        Ok(usage::hold(tx, job.id, &scope, &month, (tokens, 0)).await?)
    }
}

/// What a budget has left.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Left {
    /// Null: no limit.
    pub daily_tokens: Option<i64>,
    pub tokens_used: i64,
    pub tokens_left: Option<i64>,
    /// US dollars.
    pub daily_cost: Option<f64>,
    pub cost_used: f64,
    pub cost_left: Option<f64>,
}

/// A user's budget today; with a project, that one's.
pub async fn left(ctx: &Context, user: UserId, project: Option<ProjectId>) -> Result<Left> {
    let limits = limits(ctx, user, project).await?;
    let name = project.map(|project| project.to_string()).unwrap_or_default();
    let limit = limits.into_iter().find(|limit| limit.project == name);
    let (tokens, cost) =
        usage::spent(&mut ctx.db.read().await?, user, &name, &usage::day(clock::now())).await?;
    let daily_tokens = limit.as_ref().map(|limit| limit.tokens).filter(|limit| *limit > 0);
    let daily_cost = limit.as_ref().map(|limit| limit.cost).filter(|limit| *limit > 0);
    let dollars = |micros: i64| micros as f64 / 1e6;
    Ok(Left {
        daily_tokens,
        tokens_used: tokens,
        tokens_left: daily_tokens.map(|limit| (limit - tokens).max(0)),
        daily_cost: daily_cost.map(dollars),
        cost_used: dollars(cost),
        cost_left: daily_cost.map(|limit| dollars((limit - cost).max(0))),
    })
}

/// What a budget may be set to.
pub fn check_limits(tokens: Option<i64>, cost: Option<f64>) -> Result<()> {
    if tokens.is_some_and(|tokens| !(0..=1_000_000_000_000).contains(&tokens)) {
        return Err(Error::field("daily_tokens", Wrong::Limit(1_000_000_000_000)));
    }
    if cost.is_some_and(|cost| !(0.0..=1_000_000.0).contains(&cost)) {
        return Err(Error::field("daily_cost", Wrong::Limit(1_000_000)));
    }
    Ok(())
}

/// Counts what a job's reading model used, in the transaction that stores what it found.
pub async fn count(ctx: &Context, tx: &mut Tx, job: &Job, user: UserId, answer: &Completion) -> Result<()> {
    let spent = usage::Spent {
        user,
        project: "",
        api_key: "",
        provider: &answer.provider,
        model: &answer.model,
        kind: job.kind.as_str(),
        usage: answer.usage,
        cost: ctx.providers.cost(&answer.model, answer.usage),
        at: clock::now(),
    };
    Ok(usage::count(tx, spent).await?)
}
