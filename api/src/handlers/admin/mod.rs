//! Operating the service over HTTP, for admins.

use axum::{Json as Answer, extract::State, http::StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use rapport_common::{
    Error, auth, clock,
    domain::{
        ids::{AuditId, JobId, UserId},
        job::Queue,
        user::User,
    },
    error::{Code, Wrong},
    providers::health::Standing,
    store::{self, admin as rows, admin::Dead, audit::Entry},
    usecase::admin::{self, Actor},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    extract::{Address, Caller, Cursors, Json, Query, QueuePath, UserPath, encode_cursor},
    state::AppState,
};

/// A worker that was not heard of for so long is gone.
const LIVING: TimeDelta = TimeDelta::seconds(30);

fn actor(caller: &auth::Caller, address: String) -> Actor {
    Actor { name: caller.user.to_string(), address: Some(address) }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// Part of an email, username or name.
    q: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct UserList {
    items: Vec<User>,
    total: i64,
    next_cursor: Option<String>,
}

/// List accounts, newest first
///
/// Names, role and state of every account, in pages.
#[utoipa::path(get, path = "/admin/users", tag = "admin", params(UserQuery, Cursors),
    responses((status = 200, description = "Accounts", body = UserList)))]
pub async fn users(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<UserQuery>,
    Query(page): Query<Cursors>,
) -> Result<Answer<UserList>> {
    let (limit, before): (_, Option<UserId>) = page.check()?;
    let mut conn = state.ctx.db.read().await?;
    let text = query.q.filter(|text| !text.trim().is_empty());
    let items = store::users::list(&mut conn, before, text.as_deref(), limit).await?;
    let total = store::users::count(&mut conn).await?;
    let full = items.len() as i64 == limit;
    let next_cursor = items.last().filter(|_| full).map(|last| encode_cursor(&last.id));
    Ok(Answer(UserList { items, total, next_cursor }))
}

/// Activate an account
///
/// Its owner can sign in again.
#[utoipa::path(post, path = "/admin/users/{id}/activate", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, description = "The account", body = User)))]
pub async fn activate(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    UserPath(id): UserPath,
) -> Result<Answer<User>> {
    Ok(Answer(admin::set_active(&state.ctx, &actor(&caller, address), id, true).await?))
}

/// Deactivate an account
///
/// Every login of it ends, and nobody can sign in to it until it is activated.
#[utoipa::path(post, path = "/admin/users/{id}/deactivate", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, description = "The account", body = User),
              (status = 409, description = "It is the admin's own", body = crate::problem::Problem)))]
pub async fn deactivate(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    UserPath(id): UserPath,
) -> Result<Answer<User>> {
    if id == caller.user {
        let detail = "An admin does not shut themselves out: another admin can.";
        return Err(Error::new(Code::Conflict, detail).into());
    }
    Ok(Answer(admin::set_active(&state.ctx, &actor(&caller, address), id, false).await?))
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct QuotaBody {
    /// Tokens a day; 0 is no limit, absent the service's default.
    daily_tokens: Option<i64>,
    /// US dollars a day; 0 is no limit, absent the service's default.
    daily_cost: Option<f64>,
}

/// Set what an account may spend a day
///
/// Tokens and US dollars a day (UTC). Absent or 0 is no limit of its own.
#[utoipa::path(put, path = "/admin/users/{id}/quota", tag = "admin", params(("id" = String, Path)),
    request_body = QuotaBody, responses((status = 204, description = "Set")))]
pub async fn quota(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    UserPath(id): UserPath,
    Json(body): Json<QuotaBody>,
) -> Result<StatusCode> {
    admin::set_quota(&state.ctx, &actor(&caller, address), id, body.daily_tokens, body.daily_cost).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct QueueView {
    #[schema(example = "chat")]
    name: &'static str,
    /// Jobs that wait.
    depth: i64,
    /// Seconds since the oldest became due; 0 when nothing is.
    oldest_age: i64,
    running: i64,
    /// Ended well in the last minute.
    done_per_minute: i64,
    failed_per_minute: i64,
    is_paused: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct WorkerView {
    name: String,
    queues: Vec<String>,
    concurrency: i64,
    #[serde(with = "clock::rfc3339_millis")]
    started_at: DateTime<Utc>,
    /// Its last heartbeat.
    #[serde(with = "clock::rfc3339_millis")]
    seen_at: DateTime<Utc>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Queues {
    queues: Vec<QueueView>,
    workers: Vec<WorkerView>,
}

/// Show queues and workers
///
/// Depth, age of the oldest job, running jobs, jobs done and failed per minute, and each worker's last heartbeat.
#[utoipa::path(get, path = "/admin/queues", tag = "admin",
    responses((status = 200, description = "Queues and workers", body = Queues)))]
pub async fn queues(State(state): State<AppState>, _: Caller) -> Result<Answer<Queues>> {
    let now = clock::now();
    let mut conn = state.ctx.db.read().await?;
    let open = rows::queues(&mut conn).await?;
    let ended = rows::ended(&mut conn, now - TimeDelta::minutes(1)).await?;
    let paused = rows::paused(&mut conn).await?;
    let workers = store::workers::living(&mut conn, now - LIVING).await?;
    let view = |queue: Queue| {
        let name = queue.as_str();
        let waiting = open.iter().find(|(found, ..)| found == name);
        let finished = ended.iter().find(|(found, ..)| found == name);
        let oldest = waiting.and_then(|(.., oldest)| *oldest);
        QueueView {
            name,
            depth: waiting.map_or(0, |(_, depth, ..)| *depth),
            oldest_age: oldest.map_or(0, |oldest| (now - oldest).num_seconds().max(0)),
            running: waiting.map_or(0, |(_, _, running, _)| *running),
            done_per_minute: finished.map_or(0, |(_, done, _)| *done),
            failed_per_minute: finished.map_or(0, |(.., failed)| *failed),
            is_paused: paused.iter().any(|found| found == name),
        }
    };
    let workers = workers.into_iter().map(|worker| WorkerView {
        queues: worker.queues.split(',').map(str::to_owned).collect(),
        name: worker.name,
        concurrency: worker.concurrency,
        started_at: worker.started_at,
        seen_at: worker.seen_at,
    });
    Ok(Answer(Queues { queues: Queue::ALL.into_iter().map(view).collect(), workers: workers.collect() }))
}

/// Pause a queue
///
/// Jobs that run go on; new ones wait. Workers notice within a second.
#[utoipa::path(post, path = "/admin/queues/{queue}/pause", tag = "admin", params(("queue" = String, Path)),
    responses((status = 204, description = "Paused")))]
pub async fn pause(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    QueuePath(queue): QueuePath,
) -> Result<StatusCode> {
    admin::pause(&state.ctx, &actor(&caller, address), queue, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Resume a queue
///
/// Workers take jobs from it again within a second.
#[utoipa::path(post, path = "/admin/queues/{queue}/resume", tag = "admin", params(("queue" = String, Path)),
    responses((status = 204, description = "Resumed")))]
pub async fn resume(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    QueuePath(queue): QueuePath,
) -> Result<StatusCode> {
    admin::pause(&state.ctx, &actor(&caller, address), queue, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeadQuery {
    kind: Option<String>,
    queue: Option<String>,
    /// Whether to count all that match, in `total`.
    #[serde(default)]
    count: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct DeadList {
    items: Vec<Dead>,
    next_cursor: Option<String>,
    /// How many match, on all pages; only with `count=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
}

/// List jobs that failed for good, newest first
///
/// Jobs of all users that used up their attempts or could not be retried, each with its error.
#[utoipa::path(get, path = "/admin/jobs/dead", tag = "admin", params(DeadQuery, Cursors),
    responses((status = 200, description = "Dead jobs", body = DeadList)))]
pub async fn dead(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<DeadQuery>,
    Query(page): Query<Cursors>,
) -> Result<Answer<DeadList>> {
    let (limit, before): (_, Option<JobId>) = page.check()?;
    let DeadQuery { kind, queue, count } = query;
    let mut conn = state.ctx.db.read().await?;
    let items = rows::dead(&mut conn, before, kind.as_deref(), queue.as_deref(), limit).await?;
    let full = items.len() as i64 == limit;
    let next_cursor = items.last().filter(|_| full).map(|last| encode_cursor(&last.id));
    let total = match count {
        true => Some(rows::count_dead(&mut conn, kind.as_deref(), queue.as_deref()).await?),
        false => None,
    };
    Ok(Answer(DeadList { items, next_cursor, total }))
}

/// Which dead jobs: those of `job_ids`, or all that match `filter`.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct DeadBody {
    /// 1-500.
    job_ids: Option<Vec<String>>,
    filter: Option<DeadFilter>,
}

/// What is not named matches all.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct DeadFilter {
    kind: Option<String>,
    queue: Option<String>,
}

/// At most so many jobs for one request with a filter.
const MOST_DEAD: usize = 10_000;

#[derive(Serialize, utoipa::ToSchema)]
pub struct Counted {
    /// How many of them. With a filter at most 10,000 at a time: ask again for the rest.
    count: usize,
}

impl DeadBody {
    async fn ids(self, state: &AppState) -> Result<Vec<JobId>> {
        let wrong = |wrong: Wrong| Err(rapport_common::Error::field("job_ids", wrong).into());
        let ids = match (self.job_ids, self.filter) {
            (Some(ids), None) => ids,
            (None, Some(filter)) => return all_dead(state, filter).await,
            _ => return wrong(Wrong::OnlyThisOr("filter")),
        };
        if ids.is_empty() || ids.len() > 500 {
            return wrong(Wrong::Count { min: 1, max: 500 });
        }
        // What is no job's id is no dead job's either.
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }
}

async fn all_dead(state: &AppState, filter: DeadFilter) -> Result<Vec<JobId>> {
    const PAGE: i64 = 500;
    let DeadFilter { kind, queue } = filter;
    let mut conn = state.ctx.db.read().await?;
    let mut ids: Vec<JobId> = Vec::new();
    while ids.len() < MOST_DEAD {
        let page =
            rows::dead(&mut conn, ids.last().copied(), kind.as_deref(), queue.as_deref(), PAGE).await?;
        let full = page.len() as i64 == PAGE;
        ids.extend(page.into_iter().map(|dead| dead.id));
        if !full {
            break;
        }
    }
    Ok(ids)
}

/// Run dead jobs again
///
/// Each gets a new set of attempts. The answer says how many were put back.
#[utoipa::path(post, path = "/admin/jobs/dead/retry", tag = "admin", request_body = DeadBody,
    responses((status = 200, description = "How many run again", body = Counted)))]
pub async fn retry_dead(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    Json(body): Json<DeadBody>,
) -> Result<Answer<Counted>> {
    let count = admin::retry_dead(&state.ctx, &actor(&caller, address), &body.ids(&state).await?).await?;
    Ok(Answer(Counted { count }))
}

/// Remove dead jobs from the list
///
/// The jobs stay failed; they are no longer shown here.
#[utoipa::path(post, path = "/admin/jobs/dead/discard", tag = "admin", request_body = DeadBody,
    responses((status = 200, description = "How many were dismissed", body = Counted)))]
pub async fn discard_dead(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Address(address): Address,
    Json(body): Json<DeadBody>,
) -> Result<Answer<Counted>> {
    let count = admin::discard_dead(&state.ctx, &actor(&caller, address), &body.ids(&state).await?).await?;
    Ok(Answer(Counted { count }))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ProviderView {
    #[schema(example = "openai")]
    name: String,
    model: String,
    /// `closed`, `open` or `half_open`.
    #[schema(example = "closed")]
    breaker: &'static str,
    /// Seconds that an open breaker stays so.
    open_for: Option<f64>,
    keys: usize,
    /// Keys that rest: their rate is used up, or they were refused.
    resting_keys: usize,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ProviderList {
    items: Vec<ProviderView>,
}

/// Show the state of the providers
///
/// Whether each provider is used, whether its circuit breaker is open, and how many of its keys are resting.
#[utoipa::path(get, path = "/admin/providers", tag = "admin",
    responses((status = 200, description = "Providers", body = ProviderList)))]
pub async fn providers(State(state): State<AppState>, _: Caller) -> Answer<ProviderList> {
    let view = |offered: rapport_common::providers::Offered| {
        let (breaker, open_for) = match offered.standing {
            Standing::Closed => ("closed", None),
            Standing::HalfOpen => ("half_open", None),
            Standing::Open(wait) => ("open", Some((wait.as_secs_f64() * 10.0).round() / 10.0)),
        };
        ProviderView {
            name: offered.provider,
            model: offered.model,
            breaker,
            open_for,
            keys: offered.keys,
            resting_keys: offered.resting_keys,
        }
    };
    Answer(ProviderList { items: state.ctx.providers.list().into_iter().map(view).collect() })
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    user_id: Option<String>,
    event: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct AuditList {
    items: Vec<Entry>,
    next_cursor: Option<String>,
}

/// List the audit log, newest first
///
/// Sign-ins, changes of accounts and keys, and what admins did: who, when, from which address.
#[utoipa::path(get, path = "/admin/audit", tag = "admin", params(AuditQuery, Cursors),
    responses((status = 200, description = "Entries", body = AuditList)))]
pub async fn audit(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<AuditQuery>,
    Query(page): Query<Cursors>,
) -> Result<Answer<AuditList>> {
    let (limit, before): (_, Option<AuditId>) = page.check()?;
    let user = query.user_id.map(|id| id.parse::<UserId>()).transpose();
    let Ok(user) = user else { return Ok(Answer(AuditList { items: Vec::new(), next_cursor: None })) };
    let mut conn = state.ctx.db.read().await?;
    let items = store::audit::list(&mut conn, before, user, query.event.as_deref(), limit).await?;
    let full = items.len() as i64 == limit;
    let next_cursor = items.last().filter(|_| full).map(|last| encode_cursor(&last.id));
    Ok(Answer(AuditList { items, next_cursor }))
}
