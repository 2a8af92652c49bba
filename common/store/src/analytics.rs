//! What a user did, by day (UTC).

use chrono::{DateTime, Utc};

use super::db::{Pair, Querier, fetch_all, fetch_one};
use crate::{domain::ids::UserId, error::Result};

/// Sessions first: few of a user's were touched lately, and their messages stand together.
const BY_DAY: Pair = Pair {
    pg: "select to_char(m.created_at at time zone 'UTC', 'YYYY-MM-DD'), count(*), count(distinct m.session_id)
        from sessions s join messages m on m.session_id = s.id
        where s.user_id = $1 and m.user_id = $1 and s.updated_at >= $2 and m.created_at >= $2 group by 1 order by 1",
    lite: "select substr(m.created_at, 1, 10), count(*), count(distinct m.session_id)
        from sessions s join messages m on m.session_id = s.id
        where s.user_id = $1 and m.user_id = $1 and s.updated_at >= $2 and m.created_at >= $2 group by 1 order by 1",
};
const TOTALS: &str =
    "select count(*), count(distinct m.session_id) from sessions s join messages m on m.session_id = s.id
    where s.user_id = $1 and m.user_id = $1 and s.updated_at >= $2 and m.created_at >= $2";
const MODELS: &str = "select provider, model, cast(sum(requests) as bigint) from usage_totals where user_id = $1 and day >= $2 and kind = 'chat'
    group by provider, model order by 3 desc, provider, model";
const USAGE: &str = "select day, project, api_key, provider, model, kind, cast(sum(requests) as bigint), cast(sum(prompt_tokens) as bigint),
        cast(sum(completion_tokens) as bigint), cast(sum(cost) as bigint)
    from usage_totals where user_id = $1 and day >= $2 group by day, project, api_key, provider, model, kind
    order by day, project, api_key, provider, model, kind limit 10000";

pub(super) const SQL: &[&str] = &[TOTALS, MODELS, USAGE];
pub(super) const PAIRS: &[Pair] = &[BY_DAY];

#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Day {
    #[schema(example = "2026-11-21")]
    pub date: String,
    pub messages: i64,
    pub sessions: i64,
}

pub async fn by_day(
    q: &mut impl Querier,
    user: UserId,
    since: DateTime<Utc>,
) -> Result<Vec<Day>, sqlx::Error> {
    let sql = BY_DAY.of(q);
    let rows = fetch_all!((String, i64, i64), q, sql, user, since)?;
    Ok(rows.into_iter().map(|(date, messages, sessions)| Day { date, messages, sessions }).collect())
}

/// (messages, sessions)
pub async fn totals(
    q: &mut impl Querier,
    user: UserId,
    since: DateTime<Utc>,
) -> Result<(i64, i64), sqlx::Error> {
    fetch_one!((i64, i64), q, TOTALS, user, since)
}

/// (provider, model, answers)
pub async fn models(
    q: &mut impl Querier,
    user: UserId,
    since: &str,
) -> Result<Vec<(String, String, i64)>, sqlx::Error> {
    fetch_all!((String, String, i64), q, MODELS, user, since)
}

/// One line of usage: the sums of a day, project, key, provider, model and kind of job.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct UsageLine {
    #[schema(example = "2026-11-21")]
    pub date: String,
    /// Null: none.
    pub project_id: Option<String>,
    pub api_key_id: Option<String>,
    pub provider: String,
    pub model: String,
    #[schema(example = "chat")]
    pub kind: String,
    pub requests: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    /// US dollars.
    pub cost: f64,
}

pub async fn usage(q: &mut impl Querier, user: UserId, since: &str) -> Result<Vec<UsageLine>, sqlx::Error> {
    type Row = (String, String, String, String, String, String, i64, i64, i64, i64);
    let rows = fetch_all!(Row, q, USAGE, user, since)?;
    let named = |text: String| (!text.is_empty()).then_some(text);
    let line =
        |(date, project, key, provider, model, kind, requests, prompt, completion, cost): Row| UsageLine {
            date,
            project_id: named(project),
            api_key_id: named(key),
            provider,
            model,
            kind,
            requests,
            prompt_tokens: prompt,
            completion_tokens: completion,
            cost: cost as f64 / 1e6,
        };
    Ok(rows.into_iter().map(line).collect())
}
