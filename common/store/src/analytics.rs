//! What a user did, by day (UTC).

use chrono::{DateTime, Utc};

use super::db::{Querier, fetch_all, fetch_one, row, statements};
use crate::{domain::ids::UserId, error::Result};

statements! {
    /// Sessions first: few of a user's were touched lately, and their messages stand together.
    BY_DAY = "select ", day!("m.created_at"), " as date, count(*) as messages, count(distinct m.session_id) as sessions
        from sessions s join messages m on m.session_id = s.id
        where s.user_id = ", someone!(1), " and ", checked!("m.user_id = $1"), " and s.updated_at >= $2
        and s.active_hour >= ", hour!("$2"), " and m.created_at >= $2 group by 1 order by 1";
    TOTALS = "select count(*), count(distinct m.session_id) from sessions s join messages m on m.session_id = s.id
    where s.user_id = ", someone!(1), " and ", checked!("m.user_id = $1"), " and s.updated_at >= $2
        and s.active_hour >= ", hour!("$2"), " and m.created_at >= $2";
    MODELS =
        "select provider, model, cast(sum(requests) as bigint) as answers from usage_totals where user_id = $1 and day >= $2 and kind = 'chat'
    group by provider, model order by 3 desc, provider, model";
    USAGE = "select day as date, nullif(project, '') as project_id, nullif(api_key, '') as api_key_id, provider, model, kind,
        cast(sum(requests) as bigint) as requests, cast(sum(prompt_tokens) as bigint) as prompt_tokens,
        cast(sum(completion_tokens) as bigint) as completion_tokens, cast(sum(cost) as double precision) / 1e6 as cost
    from usage_totals where user_id = $1 and day >= $2 group by day, project, api_key, provider, model, kind
    order by day, project, api_key, provider, model, kind limit 10000";
}

/// What was said on one day.
#[derive(Debug, Clone)]
pub struct Day {
    /// YYYY-MM-DD, in UTC.
    pub date: String,
    pub messages: i64,
    pub sessions: i64,
}

row!(Day: date, messages, sessions);

pub async fn by_day(
    q: &mut impl Querier,
    user: UserId,
    since: DateTime<Utc>,
) -> Result<Vec<Day>, sqlx::Error> {
    fetch_all!(Day, q, BY_DAY, user, since)
}

/// (messages, sessions)
pub async fn totals(
    q: &mut impl Querier,
    user: UserId,
    since: DateTime<Utc>,
) -> Result<(i64, i64), sqlx::Error> {
    fetch_one!((i64, i64), q, TOTALS, user, since)
}

/// How often a model answered.
#[derive(Debug, Clone)]
pub struct Answers {
    pub provider: String,
    pub model: String,
    pub answers: i64,
}

row!(Answers: provider, model, answers);

pub async fn models(q: &mut impl Querier, user: UserId, since: &str) -> Result<Vec<Answers>, sqlx::Error> {
    fetch_all!(Answers, q, MODELS, user, since)
}

/// One line of usage: the sums of a day, project, key, provider, model and kind of job.
#[derive(Debug, Clone, serde::Serialize)]
pub struct UsageLine {
    /// YYYY-MM-DD, in UTC.
    pub date: String,
    pub project_id: Option<String>,
    pub api_key_id: Option<String>,
    pub provider: String,
    pub model: String,
    pub kind: String,
    pub requests: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    /// US dollars.
    pub cost: f64,
}

row!(UsageLine:
    date, project_id, api_key_id, provider, model, kind, requests, prompt_tokens, completion_tokens, cost
);

pub async fn usage(q: &mut impl Querier, user: UserId, since: &str) -> Result<Vec<UsageLine>, sqlx::Error> {
    fetch_all!(UsageLine, q, USAGE, user, since)
}
