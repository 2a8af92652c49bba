//! Tokens and cost by day, what may be spent, and what running jobs may yet spend.

use chrono::{DateTime, Utc};

use super::db::{Querier, Raw, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements};
use crate::domain::{
    ids::{JobId, UserId},
    message::Usage,
};

statements! {
    /// The row stays until the transaction ends: an erasure waits for it.
    THERE = "select id from users where id = $1", pg!(" for key share");
    COUNT =
        "insert into usage_log (id, user_id, day, project, api_key, provider, model, kind, prompt_tokens, completion_tokens, cost)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    /// Without those of erased accounts, which would refuse all others with them. PostgreSQL rolls up in one statement, and several processes may at once: each takes other rows.
    ROLL_UP = pg!("with gone as (
        delete from usage_log where id in (select id from usage_log order by id limit $1 for update skip locked)
        returning user_id, day, project, api_key, provider, model, kind, prompt_tokens, completion_tokens, cost)
    insert into usage_days as u (user_id, day, project, api_key, provider, model, kind, requests, prompt_tokens, completion_tokens, cost)
    select user_id, day, project, api_key, provider, model, kind, count(*), sum(prompt_tokens), sum(completion_tokens), sum(cost)
    from gone where user_id in (select id from users) group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7
    on conflict (user_id, day, project, api_key, provider, model, kind) do update set requests = u.requests + excluded.requests,
        prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = u.completion_tokens + excluded.completion_tokens, cost = u.cost + excluded.cost");
    /// SQLite has one writer: nothing comes between these two.
    ADD_UP = lite!("insert into usage_days (user_id, day, project, api_key, provider, model, kind, requests, prompt_tokens, completion_tokens, cost)
    select user_id, day, project, api_key, provider, model, kind, count(*), sum(prompt_tokens), sum(completion_tokens), sum(cost)
    from usage_log where user_id in (select id from users) group by 1, 2, 3, 4, 5, 6, 7
    on conflict (user_id, day, project, api_key, provider, model, kind) do update set requests = usage_days.requests + excluded.requests,
        prompt_tokens = usage_days.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = usage_days.completion_tokens + excluded.completion_tokens, cost = usage_days.cost + excluded.cost");
    EMPTY = lite!("delete from usage_log");
    LIMITS = "select scope, daily_tokens, daily_cost from budgets where scope = $1 or scope = $2";
    /// Takes the row: what is held for one budget is decided one after another.
    LOCK =
        "insert into budgets (scope, touched) values ($1, 1) on conflict (scope) do update set touched = budgets.touched + 1";
    SET = "insert into budgets (scope, daily_tokens, daily_cost) values ($1, $2, $3)
    on conflict (scope) do update set daily_tokens = $2, daily_cost = $3";
    SPENT_BY_USER =
        "select cast(coalesce(sum(prompt_tokens + completion_tokens), 0) as bigint), cast(coalesce(sum(cost), 0) as bigint)
    from usage_totals where user_id = $1 and day = $2";
    SPENT_BY_PROJECT =
        "select cast(coalesce(sum(prompt_tokens + completion_tokens), 0) as bigint), cast(coalesce(sum(cost), 0) as bigint)
    from usage_totals where user_id = $1 and project = $2 and day = $3";
    HELD = "select cast(coalesce(sum(h.tokens), 0) as bigint), cast(coalesce(sum(h.cost), 0) as bigint)
    from budget_holds h join jobs j on j.id = h.job_id
    where h.scope = $1 and h.day = $2 and h.job_id <> $3 and j.finished_at is null";
    HOLD = "insert into budget_holds (job_id, scope, day, tokens, cost) values ($1, $2, $3, $4, $5)
    on conflict (job_id, scope) do update set day = $3, tokens = $4, cost = $5";
    PRUNE = "delete from budget_holds where day < $1";
}

/// Rows rolled up at once.
const ROLLED: i64 = 20_000;

/// The day as usage counts it: in UTC.
pub fn day(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}

/// One answer of a model.
#[derive(Debug, Clone)]
pub struct Spent<'a> {
    pub user: UserId,
    /// Their ids as text; empty is none.
    pub project: &'a str,
    pub api_key: &'a str,
    pub provider: &'a str,
    pub model: &'a str,
    /// The kind of job.
    pub kind: &'a str,
    pub usage: Usage,
    /// US dollars.
    pub cost: Option<f64>,
    pub at: DateTime<Utc>,
}

impl Spent<'_> {
    /// Millionths of a dollar.
    pub fn micros(&self) -> i64 {
        micros(self.cost)
    }
}

/// US dollars in millionths.
pub(super) fn micros(cost: Option<f64>) -> i64 {
    (cost.unwrap_or(0.0) * 1e6).round() as i64
}

/// Whether the account is there, and stays until the transaction ends: a row of usage has no foreign key, and who writes one
/// without holding the user's job asks first.
pub async fn account_stays(tx: &mut Tx, user: UserId) -> Result<bool, sqlx::Error> {
    Ok(fetch_optional!((UserId,), tx, THERE, user)?.is_some())
}

pub async fn count(tx: &mut Tx, spent: Spent<'_>) -> Result<(), sqlx::Error> {
    let Usage { prompt_tokens, completion_tokens, .. } = spent.usage;
    let (day, model): (String, String) = (day(spent.at), spent.model.chars().take(200).collect());
    let (user, project, key, provider, kind) =
        (spent.user, spent.project, spent.api_key, spent.provider, spent.kind);
    let (id, cost) = (crate::domain::ids::new_uuid(), spent.micros());
    let done = execute!(
        tx,
        COUNT,
        id,
        user,
        &day,
        project,
        key,
        provider,
        &model,
        kind,
        prompt_tokens,
        completion_tokens,
        cost
    );
    done.map(drop)
}

/// Moves what was logged into the sums by day, so many rows at once on PostgreSQL.
pub async fn roll_up(tx: &mut Tx) -> Result<(), sqlx::Error> {
    if let Raw::Pg(_) = tx.raw() {
        return execute!(tx, ROLL_UP, ROLLED).map(drop);
    }
    execute!(tx, ADD_UP)?;
    execute!(tx, EMPTY).map(drop)
}

/// What may be spent a day.
#[derive(Debug)]
pub struct Limit {
    pub scope: String,
    pub daily_tokens: Option<i64>,
    /// Millionths of a dollar.
    pub daily_cost: Option<i64>,
}

row!(Limit: scope, daily_tokens, daily_cost);

/// Of whichever of the two has a row.
pub async fn limits(
    q: &mut impl Querier,
    user_scope: &str,
    project_scope: &str,
) -> Result<Vec<Limit>, sqlx::Error> {
    fetch_all!(Limit, q, LIMITS, user_scope, project_scope)
}

pub async fn lock(tx: &mut Tx, scope: &str) -> Result<(), sqlx::Error> {
    execute!(tx, LOCK, scope).map(drop)
}

pub async fn set(
    tx: &mut Tx,
    scope: &str,
    tokens: Option<i64>,
    cost: Option<i64>,
) -> Result<(), sqlx::Error> {
    execute!(tx, SET, scope, tokens, cost).map(drop)
}

/// (tokens, millionths of a dollar) of a day; of one project when it is named.
pub async fn spent(
    q: &mut impl Querier,
    user: UserId,
    project: &str,
    day: &str,
) -> Result<(i64, i64), sqlx::Error> {
    if project.is_empty() {
        fetch_one!((i64, i64), q, SPENT_BY_USER, user, day)
    } else {
        fetch_one!((i64, i64), q, SPENT_BY_PROJECT, user, project, day)
    }
}

/// What other open jobs may yet spend.
pub async fn held(
    q: &mut impl Querier,
    scope: &str,
    day: &str,
    but: JobId,
) -> Result<(i64, i64), sqlx::Error> {
    fetch_one!((i64, i64), q, HELD, scope, day, but)
}

pub async fn hold(
    tx: &mut Tx,
    job: JobId,
    scope: &str,
    day: &str,
    (tokens, cost): (i64, i64),
) -> Result<(), sqlx::Error> {
    execute!(tx, HOLD, job, scope, day, tokens, cost).map(drop)
}

/// Forgets what was held before a day.
pub async fn prune(q: &mut impl Querier, before: &str) -> Result<u64, sqlx::Error> {
    execute!(q, PRUNE, before)
}
