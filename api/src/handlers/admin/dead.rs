//! Jobs that failed for good: looked at, run again, dismissed.

use axum::{Json as Answer, extract::State};
use rapport_common::{Error, domain::ids::JobId, error::Wrong, store::admin as rows, usecase::admin};
use serde::{Deserialize, Serialize};

use super::actor;
use crate::{
    bodies::Dead,
    error::Result,
    extract::{Address, Caller, CursorParams, CursorQuery, Json, Query},
    page::{Page, Total, listed},
    state::AppState,
};

/// At most so many jobs for one request with a filter.
const MOST_DEAD: usize = 10_000;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeadQuery {
    kind: Option<String>,
    queue: Option<String>,
    /// Whether to count all that match, in `total`.
    #[serde(default)]
    count: bool,
}

listed!(DeadList = Page<Dead>, Total::Asked("How many match, on all pages; only with `count=true`."));

/// List jobs that failed for good, newest first
///
/// Jobs of all users that used up their attempts or could not be retried, each with its error.
#[utoipa::path(get, path = "/admin/jobs/dead", tag = "admin", params(DeadQuery, CursorParams),
    responses((status = 200, description = "Dead jobs", body = DeadList)))]
pub async fn dead(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<DeadQuery>,
    CursorQuery { limit, after }: CursorQuery<JobId>,
) -> Result<Answer<DeadList>> {
    let DeadQuery { kind, queue, count } = query;
    let mut conn = state.ctx.db.read().await?;
    let items = rows::dead(&mut conn, after, kind.as_deref(), queue.as_deref(), limit).await?;
    let total = match count {
        true => Some(rows::count_dead(&mut conn, kind.as_deref(), queue.as_deref()).await?),
        false => None,
    };
    Ok(Answer(Page::of(items, limit, |last| last.id).with_total(total)))
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

#[derive(Serialize, utoipa::ToSchema)]
pub struct Counted {
    /// How many of them. With a filter at most 10,000 at a time: ask again for the rest.
    count: usize,
}

impl DeadBody {
    async fn ids(self, state: &AppState) -> Result<Vec<JobId>> {
        let wrong = |wrong: Wrong| Err(Error::field("job_ids", wrong).into());
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
