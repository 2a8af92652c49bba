//! Sessions: conversations of the caller.

use axum::{
    Json as Answer,
    extract::{OriginalUri, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use rapport_common::{
    Error,
    domain::{
        ids::{JobId, ProjectId},
        session::Session,
        texts::Title,
    },
    error::Code,
    store::{
        self,
        sessions::{Change, Cursor, Filter, Part},
    },
    usecase::sessions,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    extract::{Caller, Json, Keyed, ListParams, ListQuery, Query, SessionPath, is_versioned},
    page::next_cursor,
    state::AppState,
};

// Not a `Page`: older clients look for the list in `sessions`.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionList {
    items: Vec<Session>,
    /// The same list, for clients of the unversioned routes (`/api/chat/sessions`) that look for it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    sessions: Option<Vec<Session>>,
    total: i64,
    next_cursor: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SessionFilter {
    /// `active` (default), `archived` or `all`. `deleted` is taken too and finds nothing: what is deleted is gone.
    status: Option<String>,
    project_id: Option<String>,
    /// Text that the title or a message contains.
    q: Option<String>,
}

/// List sessions
///
/// Pinned ones first, then by when something was last said in them. Filter by status, project and text.
#[utoipa::path(get, path = "/chat/sessions", tag = "sessions", params(SessionFilter, ListParams),
    responses((status = 200, description = "Sessions", body = SessionList)))]
pub async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    OriginalUri(uri): OriginalUri,
    Query(filter): Query<SessionFilter>,
    ListQuery { limit, start }: ListQuery<Cursor>,
) -> Result<Answer<SessionList>> {
    let status = filter.status.unwrap_or_else(|| "active".to_owned());
    if !["active", "archived", "deleted", "all"].contains(&status.as_str()) {
        return Err(Error::new(Code::BadQuery, "`status` must be active, archived, deleted or all.").into());
    }
    let project = filter.project_id.map(|id| id.parse::<ProjectId>()).transpose();
    let project = project.map_err(|_| Error::not_found("project"))?;
    let (after, skip) = start.parts();
    let q = filter.q.filter(|q| !q.trim().is_empty());
    let filter = Filter { status, project, q };
    // A deleted session that branches still need is kept without its words: nothing to show.
    let (items, total) = match filter.status.as_str() {
        "deleted" => (Vec::new(), 0),
        _ => sessions::list(&state.ctx, caller.user, &filter, &Part { after, limit, skip }).await?,
    };
    let next_cursor = next_cursor(&items, limit, |last| (last.is_pinned, last.updated_at, last.id));
    let sessions = (!is_versioned(uri.path())).then(|| items.clone());
    Ok(Answer(SessionList { items, sessions, total, next_cursor }))
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct NewSession {
    /// 1-200 characters; without one the first message names the session.
    #[schema(value_type = Option<String>)]
    title: Option<Title>,
    project_id: Option<String>,
}

/// Create an empty session
///
/// You do not need this to chat: `POST /chat` without `session_id` creates one.
#[utoipa::path(post, path = "/chat/sessions", tag = "sessions", request_body = NewSession,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 201, description = "The session", body = Session)))]
pub async fn create(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Keyed(body, repeatable): Keyed<NewSession>,
) -> Result<Response> {
    let project = body.project_id.map(|id| id.parse::<ProjectId>()).transpose();
    let project = project.map_err(|_| Error::not_found("project"))?;
    let (session, replayed) =
        sessions::create(&state.ctx, caller.user, body.title, project, repeatable.as_ref()).await?;
    let mut response = (StatusCode::CREATED, Answer(session)).into_response();
    super::chat::mark_replayed(&mut response, replayed);
    Ok(response)
}

/// A session, and what happens in it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct OpenSession {
    #[serde(flatten)]
    session: Session,
    /// The chat that is being answered, or waits: follow it at `GET /jobs/{id}/events`.
    #[schema(value_type = Option<String>)]
    active_job_id: Option<JobId>,
}

/// Show a session
///
/// Its title, project, status and number of messages, and the job that is answering it.
#[utoipa::path(get, path = "/chat/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, description = "The session", body = OpenSession)))]
pub async fn get(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SessionPath(id): SessionPath,
) -> Result<Answer<OpenSession>> {
    let mut conn = state.ctx.db.read().await?;
    let session = store::sessions::get(&mut conn, caller.user, id).await?;
    let session = session.ok_or_else(|| Error::not_found("session"))?;
    let active_job_id = store::jobs::open_chat(&mut conn, caller.user, id).await?;
    Ok(Answer(OpenSession { session, active_job_id }))
}

/// What to change; what is not named stays.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct SessionChange {
    #[schema(value_type = Option<String>, example = "Trip to Dhaka")]
    title: Option<Title>,
    is_pinned: Option<bool>,
    /// `active` or `archived`.
    #[schema(example = "archived")]
    status: Option<String>,
}

/// Rename, pin or archive a session
///
/// What you do not name stays as it is.
#[utoipa::path(patch, path = "/chat/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    request_body = SessionChange, responses((status = 200, description = "The session", body = Session)))]
pub async fn change(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SessionPath(id): SessionPath,
    Json(body): Json<SessionChange>,
) -> Result<Answer<Session>> {
    let SessionChange { title, is_pinned, status } = body;
    let change = Change { title, is_pinned, status };
    Ok(Answer(sessions::change(&state.ctx, caller.user, id, change).await?))
}

/// Rename, pin or archive a session (same as PATCH)
///
/// What you do not name stays as it is.
#[utoipa::path(put, path = "/chat/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    request_body = SessionChange, responses((status = 200, description = "The session", body = Session)))]
pub async fn put(
    state: State<AppState>,
    caller: Caller,
    id: SessionPath,
    body: Json<SessionChange>,
) -> Result<Answer<Session>> {
    change(state, caller, id, body).await
}

/// Delete a session with all its messages
///
/// What is still running in it is cancelled first. Memories that came from it stay.
#[utoipa::path(delete, path = "/chat/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted")))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SessionPath(id): SessionPath,
) -> Result<StatusCode> {
    sessions::delete(&state.ctx, caller.user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
