//! Jobs: look, wait, follow, cancel, retry.

use std::time::Duration;

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error, auth, clock,
    domain::{
        ids::JobId,
        job::{Job, JobKind, JobStatus},
    },
    error::Code,
    follow::{is_over, wait_final},
    store,
    usecase::{cancel_job::cancel_job, retry_job::retry_job},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{auth::tickets, chat::StreamQuery};
use crate::{
    content,
    error::{Failure, Result},
    extract::{Asked, Caller, Identity, JobPath, ListParams, ListQuery, Query, after_event},
    page::{Page, listed},
    policy::Content,
    state::AppState,
    stream::{self, sse},
};

/// A job as its owner sees it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct JobView {
    #[schema(value_type = String, example = "job_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: JobId,
    #[schema(example = "chat")]
    kind: &'static str,
    status: JobStatus,
    #[schema(example = "chat")]
    queue: &'static str,
    /// How often it was started.
    attempt: u32,
    max_attempts: u32,
    /// How often a process died while it ran this job. A job that kills its process twice fails.
    crashes: u32,
    #[schema(value_type = Option<String>)]
    session_id: Option<String>,
    cancel_requested: bool,
    #[schema(value_type = Option<Object>)]
    progress: Option<Value>,
    /// What it came to: for a chat, the 200 body of `POST /chat`.
    result: Option<Value>,
    /// The problem it failed with, or the one of its last attempt.
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    #[serde(with = "clock::rfc3339_millis")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "clock::rfc3339_millis::option::serialize")]
    started_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "clock::rfc3339_millis::option::serialize")]
    finished_at: Option<DateTime<Utc>>,
    /// Tries of providers that failed, by attempt (`GET /jobs/{id}` only): provider, model, key, error, in_answer, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    tries: Option<Vec<Value>>,
    links: Links,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Links {
    #[serde(rename = "self")]
    itself: String,
    events: String,
    cancel: String,
}

impl JobView {
    /// What of a job the caller may see.
    pub fn of(caller: &auth::Caller, job: Job) -> Self {
        let job = content::job(caller, job);
        let itself = format!("/api/v1/jobs/{}", job.id);
        Self {
            id: job.id,
            kind: job.kind.as_str(),
            status: job.status,
            queue: job.queue.as_str(),
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            crashes: job.crashes,
            session_id: job.session_id.map(|id| id.to_string()),
            cancel_requested: job.cancel_requested,
            progress: job.progress,
            result: job.result,
            error: job.error,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            tries: None,
            links: Links { events: format!("{itself}/events"), cancel: format!("{itself}/cancel"), itself },
        }
    }
}

listed!(JobList = Page<JobView>);

pub async fn load(state: &AppState, caller: &auth::Caller, id: JobId) -> Result<Job> {
    let job = store::jobs::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    Ok(job.ok_or_else(|| Error::not_found("job"))?)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// Seconds to wait for the job's end, 0-120.
    #[param(maximum = 120)]
    wait: Option<u64>,
}

/// Show a job
///
/// With `?wait=N` it answers when the job is final, or after N seconds.
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs", params(("id" = String, Path), WaitQuery),
    responses((status = 200, description = "The job", body = JobView)))]
pub async fn get_job(
    State(state): State<AppState>,
    Caller(caller): Caller,
    JobPath(id): JobPath,
    Query(query): Query<WaitQuery>,
) -> Result<Answer<JobView>> {
    let wait = query.wait.unwrap_or(0);
    if wait > 120 {
        return Err(Error::new(Code::BadQuery, "`wait` must be from 0 to 120 seconds.").into());
    }
    let job = if wait == 0 {
        load(&state, &caller, id).await?
    } else {
        let waited = wait_final(&state.ctx, caller.user, id, Duration::from_secs(wait)).await?;
        waited.ok_or_else(|| Error::not_found("job"))?
    };
    if !Content::of_job(job.kind).is_for(&caller) {
        return Ok(Answer(JobView::of(&caller, job)));
    }
    let tries = store::tool_calls::tries(&mut state.ctx.db.read().await?, caller.user, id).await?;
    let mut view = JobView::of(&caller, job);
    let of_attempt = |(attempt, tries): (i64, Value)| {
        let tries = tries.as_array().cloned().unwrap_or_default();
        tries.into_iter().map(move |mut one| {
            one["attempt"] = attempt.into();
            one
        })
    };
    view.tries = Some(tries.into_iter().flat_map(of_attempt).collect());
    Ok(Answer(view))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct JobFilter {
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    status: Option<String>,
    /// `chat`, `title`, …
    kind: Option<String>,
}

/// List jobs, newest first
///
/// Filter by status and kind.
#[utoipa::path(get, path = "/jobs", tag = "jobs", params(JobFilter, ListParams),
    responses((status = 200, description = "Jobs", body = JobList)))]
pub async fn list_jobs(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(filter): Query<JobFilter>,
    ListQuery { limit, start }: ListQuery<JobId>,
) -> Result<Answer<JobList>> {
    let bad = |detail: String| Error::new(Code::BadQuery, format!("{detail}."));
    let status = filter.status.map(|text| text.parse::<JobStatus>()).transpose().map_err(bad)?;
    let kind = filter.kind.map(|text| text.parse::<JobKind>()).transpose().map_err(bad)?;
    let (before, skip) = start.parts();
    let mut conn = state.ctx.db.read().await?;
    let jobs =
        store::jobs::list(&mut conn, caller.user, store::jobs::Wanted { status, kind, before }, limit, skip)
            .await?;
    let jobs = jobs.into_iter().map(|job| JobView::of(&caller, job)).collect();
    Ok(Answer(Page::of(jobs, limit, |last: &JobView| last.id)))
}

/// Follow a job's events
///
/// Server-sent events, as `POST /chat/stream` gives them. `Last-Event-ID` (or `?after=`) resumes after that event, on any
/// API process. 204 when there is nothing after it.
#[utoipa::path(get, path = "/jobs/{id}/events", tag = "jobs",
    params(("id" = String, Path), StreamQuery,
           ("after" = Option<String>, Query, description = "The last event seen"),
           ("token" = Option<String>, Query, description = "A ticket, for clients that cannot set headers"),
           ("Last-Event-ID" = Option<String>, Header, description = "The last event seen")),
    responses((status = 200, description = "Events", body = crate::problem::StreamEvent, content_type = "text/event-stream"),
              (status = 204, description = "All events were seen")))]
pub async fn job_events(
    State(state): State<AppState>,
    uri: Uri,
    headers: HeaderMap,
    path: std::result::Result<JobPath, Failure>,
    Query(query): Query<StreamQuery>,
    axum::Extension(asked): axum::Extension<Asked>,
) -> Result<Response> {
    let params =
        axum::extract::Query::<AfterQuery>::try_from_uri(&uri).map(|query| query.0).unwrap_or_default();
    let caller = caller_or_ticket(&state, asked, params.token.as_deref()).await?;
    let JobPath(id) = path?; // only now: nobody learns what is an id
    let after = after_event(&headers, params.after.as_deref())?;
    let job = load(&state, &caller, id).await?;
    Content::of_job(job.kind).check(&caller)?;
    if is_over(&state.ctx, &job, after).await {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let slot = state.slots.take(caller.user, "sse")?;
    Ok(sse::response(&state, slot, stream::job_events(&state, &caller, &job, after, query.accumulate)))
}

#[derive(Default, Deserialize)]
struct AfterQuery {
    after: Option<String>,
    token: Option<String>,
}

/// The caller of a stream: by header, or by `?token=` (an access token or a ticket).
pub async fn caller_or_ticket(state: &AppState, asked: Asked, token: Option<&str>) -> Result<auth::Caller> {
    let (Identity::Nobody, Some(token)) = (&asked.identity, token) else { return Ok(asked.caller()?) };
    let caller = match tickets::spend(state, token).await {
        Some(spent) => spent?,
        None => state.ctx.auth.caller(&state.ctx.db, token).await?,
    };
    asked.check(&caller)?;
    Ok(caller)
}

/// Cancel a job
///
/// A running answer stops within a second and keeps the words so far. The response shows the job's state: usually
/// `cancelled`, or still `running` with `cancel_requested`.
#[utoipa::path(post, path = "/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, description = "The job", body = JobView),
              (status = 409, description = "The job is final already", body = crate::problem::Problem)))]
pub async fn cancel(
    State(state): State<AppState>,
    Caller(caller): Caller,
    JobPath(id): JobPath,
) -> Result<Answer<JobView>> {
    Content::of_job(load(&state, &caller, id).await?.kind).check(&caller)?;
    let job = cancel_job(&state.ctx, caller.user, id).await?;
    if job.status.is_final() {
        return Ok(Answer(JobView::of(&caller, job)));
    }
    // The worker hears of it within half a second; what it settled is the truth.
    let settled = wait_final(&state.ctx, caller.user, id, Duration::from_secs(2)).await?;
    Ok(Answer(JobView::of(&caller, settled.unwrap_or(job))))
}

/// Run a failed job again
///
/// It gets a new set of attempts. A failed answer is removed; the new one takes its place.
#[utoipa::path(post, path = "/jobs/{id}/retry", tag = "jobs", params(("id" = String, Path)),
    responses((status = 202, description = "The job, queued again", body = JobView),
              (status = 409, description = "The job has not failed", body = crate::problem::Problem)))]
pub async fn retry(
    State(state): State<AppState>,
    Caller(caller): Caller,
    JobPath(id): JobPath,
) -> Result<(StatusCode, Answer<JobView>)> {
    Content::of_job(load(&state, &caller, id).await?.kind).check(&caller)?;
    let job = retry_job(&state.ctx, caller.user, id).await?;
    Ok((StatusCode::ACCEPTED, Answer(JobView::of(&caller, job))))
}
