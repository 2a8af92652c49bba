//! Projects: their names, defaults and budgets; in files of their own their prompts, tools, and the keys they bring along.

pub mod prompts;
pub mod provider_keys;
pub mod tools;

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use rapport_common::{
    Error,
    domain::{ids::ProjectId, patch::Patch},
    error::Code,
    problems::Problems,
    store,
    usecase::projects::{self, ProjectDraft},
};
use serde::Deserialize;

use super::chat::mark_replayed;
use crate::{
    bodies::Project,
    error::Result,
    extract::{Caller, Json, Keyed, ListParams, ListQuery, ProjectPath, Query},
    page::{Page, Total, listed},
    policy::Content,
    state::AppState,
};

listed!(ProjectList = Page<Project>, Total::Always);

/// List projects, newest first
///
/// Your projects with their defaults.
#[utoipa::path(get, path = "/projects", tag = "projects", params(ListParams),
    responses((status = 200, description = "Projects", body = ProjectList)))]
pub async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ListQuery { limit, start }: ListQuery<ProjectId>,
) -> Result<Answer<ProjectList>> {
    let (before, skip) = start.parts();
    let mut conn = state.ctx.db.read().await?;
    let (items, total) = store::projects::list(&mut conn, caller.user, before, limit, skip).await?;
    Ok(Answer(Page::of(items, limit, |last| last.id).with_total(Some(total))))
}

/// `null` takes a default away; what is absent stays.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct ProjectBody {
    #[schema(example = "Help desk")]
    name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    default_provider: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    default_model: Patch<String>,
    /// 0-2.
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    temperature: Patch<f64>,
    /// Whether another provider may answer when the default one cannot. Default: no.
    fallback: Option<bool>,
}

impl ProjectBody {
    fn draft(self) -> Result<ProjectDraft> {
        let ProjectBody { name, description, default_provider, default_model, temperature, fallback } = self;
        let mut problems = Problems::default();
        let draft = ProjectDraft {
            name: problems.checked("name", name),
            description: problems.checked("description", description),
            default_provider,
            default_model: problems.patched("default_model", default_model),
            temperature,
            fallback,
        };
        draft.check(&mut problems);
        problems.done()?;
        Ok(draft)
    }
}

/// Create a project
///
/// A project gives its chats a system prompt, a default model, keys and a budget of their own.
#[utoipa::path(post, path = "/projects", tag = "projects", request_body = ProjectBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 201, description = "The project", body = Project)))]
pub async fn create(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Keyed(body, repeatable): Keyed<ProjectBody>,
) -> Result<Response> {
    let (project, replayed) =
        projects::create(&state.ctx, caller.user, body.draft()?, repeatable.as_ref()).await?;
    let mut response = (StatusCode::CREATED, Answer(Project::from(project))).into_response();
    mark_replayed(&mut response, replayed);
    Ok(response)
}

/// Show a project
///
/// Its name, description and defaults.
#[utoipa::path(get, path = "/projects/{id}", tag = "projects", params(("id" = String, Path)),
    responses((status = 200, description = "The project", body = Project)))]
pub async fn get(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
) -> Result<Answer<Project>> {
    Ok(Answer(projects::get(&mut state.ctx.db.read().await?, caller.user, id).await?.into()))
}

/// Change a project
///
/// What you do not name stays; `null` removes a default.
#[utoipa::path(patch, path = "/projects/{id}", tag = "projects", params(("id" = String, Path)), request_body = ProjectBody,
    responses((status = 200, description = "The project", body = Project)))]
pub async fn change(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    Json(body): Json<ProjectBody>,
) -> Result<Answer<Project>> {
    Ok(Answer(projects::change(&state.ctx, caller.user, id, body.draft()?).await?.into()))
}

/// Change a project (same as PATCH)
///
/// What you do not name stays; `null` removes a default.
#[utoipa::path(put, path = "/projects/{id}", tag = "projects", params(("id" = String, Path)), request_body = ProjectBody,
    responses((status = 200, description = "The project", body = Project)))]
pub async fn put(
    state: State<AppState>,
    caller: Caller,
    id: ProjectPath,
    body: Json<ProjectBody>,
) -> Result<Answer<Project>> {
    change(state, caller, id, body).await
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// `keep` (default): its sessions stay, in no project. `delete`: they go with it.
    sessions: Option<String>,
}

/// Delete a project with its prompts and keys
///
/// Its sessions stay, in no project, unless `?sessions=delete` says otherwise.
#[utoipa::path(delete, path = "/projects/{id}", tag = "projects", params(("id" = String, Path), DeleteQuery),
    responses((status = 204, description = "Deleted")))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    Query(query): Query<DeleteQuery>,
) -> Result<StatusCode> {
    let with_sessions = match query.sessions.as_deref() {
        None | Some("keep") => false,
        Some("delete") => true,
        Some(_) => return Err(Error::new(Code::BadQuery, "`sessions` must be keep or delete.").into()),
    };
    if with_sessions {
        Content::Conversations.check(&caller)?;
    }
    projects::delete(&state.ctx, caller.user, id, with_sessions).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct BudgetBody {
    /// Tokens a day (UTC); 0 or absent is no limit.
    daily_tokens: Option<i64>,
    /// US dollars a day; 0 or absent is no limit.
    daily_cost: Option<f64>,
}

/// Set what a project's chats may spend a day
///
/// `GET /analytics/quota?project_id=` shows what is left. The owner's own budget also applies.
#[utoipa::path(put, path = "/projects/{id}/budget", tag = "projects", params(("id" = String, Path)),
    request_body = BudgetBody, responses((status = 204, description = "Set")))]
pub async fn budget(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    Json(body): Json<BudgetBody>,
) -> Result<StatusCode> {
    projects::set_budget(&state.ctx, caller.user, id, body.daily_tokens, body.daily_cost).await?;
    Ok(StatusCode::NO_CONTENT)
}
