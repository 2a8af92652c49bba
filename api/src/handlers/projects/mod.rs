//! Projects, prompts, and keys that projects bring along.

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error,
    domain::{
        ids::{ProjectId, PromptId},
        patch::Patch,
    },
    error::Code,
    store::{
        self,
        projects::{Project, Prompt, PromptVersion},
    },
    usecase::projects::{self, ProjectDraft, PromptDraft},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chat::mark_replayed;
use crate::{
    error::Result,
    extract::{
        Address, Caller, IdempotencyKey, Json, Page, ProjectPath, PromptPath, ProviderPath, Query, Raw,
        decode_cursor, encode_cursor,
    },
    policy::Content,
    state::AppState,
};

#[derive(Serialize, utoipa::ToSchema)]
pub struct ProjectList {
    items: Vec<Project>,
    total: i64,
    next_cursor: Option<String>,
}

/// List projects, newest first
///
/// Your projects with their defaults.
#[utoipa::path(get, path = "/projects", tag = "projects", params(Page),
    responses((status = 200, description = "Projects", body = ProjectList)))]
pub async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(page): Query<Page>,
) -> Result<Answer<ProjectList>> {
    let (limit, skip, cursor) = page.check()?;
    let before: Option<ProjectId> = decode_cursor(cursor)?;
    let mut conn = state.ctx.db.read().await?;
    let (items, total) = store::projects::list(&mut conn, caller.user, before, limit, skip).await?;
    let full = items.len() as i64 == limit;
    let next_cursor = items.last().filter(|_| full).map(|last| encode_cursor(&last.id));
    Ok(Answer(ProjectList { items, total, next_cursor }))
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

impl From<ProjectBody> for ProjectDraft {
    fn from(body: ProjectBody) -> Self {
        let ProjectBody { name, description, default_provider, default_model, temperature, fallback } = body;
        Self { name, description, default_provider, default_model, temperature, fallback }
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
    IdempotencyKey(key): IdempotencyKey,
    Raw(body, bytes): Raw<ProjectBody>,
) -> Result<Response> {
    let idempotency = key.map(|key| (key, bytes.to_vec()));
    let (project, replayed) = projects::create(&state.ctx, caller.user, body.into(), &idempotency).await?;
    let mut response = (StatusCode::CREATED, Answer(project)).into_response();
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
    Ok(Answer(projects::get(&mut state.ctx.db.read().await?, caller.user, id).await?))
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
    Ok(Answer(projects::change(&state.ctx, caller.user, id, body.into()).await?))
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

#[derive(Serialize, utoipa::ToSchema)]
pub struct PromptList {
    items: Vec<Prompt>,
}

/// List a project's prompts
///
/// With the content of the version in use. At most one prompt is active.
#[utoipa::path(get, path = "/projects/{id}/prompts", tag = "projects", params(("id" = String, Path)),
    responses((status = 200, description = "Prompts", body = PromptList)))]
pub async fn list_prompts(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
) -> Result<Answer<PromptList>> {
    let mut conn = state.ctx.db.read().await?;
    projects::get(&mut conn, caller.user, id).await?;
    Ok(Answer(PromptList { items: store::projects::prompts(&mut conn, caller.user, id).await? }))
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct PromptBody {
    /// 1-100 characters.
    #[schema(example = "support")]
    name: Option<String>,
    /// A template: `{{ user.name }}`, `{{ date }}`, `{{ memories }}`, `{{ project.name }}`, and its own variables. Another text
    /// is another version.
    #[schema(example = "You help {{ user.name }} with {{ product }}.")]
    content: Option<String>,
    /// Values of its own variables.
    #[schema(value_type = Option<Object>, example = json!({"product": "lamps"}))]
    variables: Option<Value>,
    /// Use it in the project's chats. Of all prompts at most one is.
    is_active: Option<bool>,
    /// Go back to this version (only when changing).
    version: Option<i64>,
}

impl From<PromptBody> for PromptDraft {
    fn from(body: PromptBody) -> Self {
        let PromptBody { name, content, variables, is_active, version } = body;
        Self { name, content, variables, is_active, version }
    }
}

/// Create a prompt
///
/// The template is checked. It may use variables (`{{ user.name }}`), the filters `upper`, `lower`, `title`, `trim`, `default`, `length`, `truncate` and
/// `date`, `{% if %}`, `{% for %}` over a list among its variables, and `{# comments #}`. The first prompt of a project is active unless it says otherwise.
#[utoipa::path(post, path = "/projects/{id}/prompts", tag = "projects", params(("id" = String, Path),
    ("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")), request_body = PromptBody,
    responses((status = 201, description = "The prompt", body = Prompt),
              (status = 409, description = "There are too many", body = crate::problem::Problem)))]
pub async fn create_prompt(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    IdempotencyKey(key): IdempotencyKey,
    Raw(body, bytes): Raw<PromptBody>,
) -> Result<Response> {
    let idempotency = key.map(|key| (key, [id.to_string().as_bytes(), &bytes].concat()));
    let (prompt, replayed) =
        projects::create_prompt(&state.ctx, caller.user, id, body.into(), &idempotency).await?;
    let mut response = (StatusCode::CREATED, Answer(prompt)).into_response();
    mark_replayed(&mut response, replayed);
    Ok(response)
}

/// Show a prompt
///
/// With the content of the version in use.
#[utoipa::path(get, path = "/projects/{id}/prompts/{prompt_id}", tag = "projects",
    params(("id" = String, Path), ("prompt_id" = String, Path)),
    responses((status = 200, description = "The prompt", body = Prompt)))]
pub async fn get_prompt(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    PromptPath(prompt): PromptPath,
) -> Result<Answer<Prompt>> {
    Ok(Answer(projects::prompt_in(&mut state.ctx.db.read().await?, caller.user, id, prompt).await?))
}

/// Change a prompt
///
/// A new content is a new version. `version` alone goes back to an earlier one.
#[utoipa::path(patch, path = "/projects/{id}/prompts/{prompt_id}", tag = "projects",
    params(("id" = String, Path), ("prompt_id" = String, Path)), request_body = PromptBody,
    responses((status = 200, description = "The prompt", body = Prompt)))]
pub async fn change_prompt(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    PromptPath(prompt): PromptPath,
    Json(body): Json<PromptBody>,
) -> Result<Answer<Prompt>> {
    Ok(Answer(projects::change_prompt(&state.ctx, caller.user, id, prompt, body.into()).await?))
}

/// Delete a prompt with all its versions
///
/// If it was the active one, chats use the default system prompt.
#[utoipa::path(delete, path = "/projects/{id}/prompts/{prompt_id}", tag = "projects",
    params(("id" = String, Path), ("prompt_id" = String, Path)), responses((status = 204, description = "Deleted")))]
pub async fn delete_prompt(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    PromptPath(prompt): PromptPath,
) -> Result<StatusCode> {
    projects::delete_prompt(&state.ctx, caller.user, id, prompt).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct VersionList {
    items: Vec<PromptVersion>,
}

/// List the versions of a prompt, newest first
///
/// Each with its content and date.
#[utoipa::path(get, path = "/projects/{id}/prompts/{prompt_id}/versions", tag = "projects",
    params(("id" = String, Path), ("prompt_id" = String, Path)),
    responses((status = 200, description = "Versions", body = VersionList)))]
pub async fn versions(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    PromptPath(prompt): PromptPath,
) -> Result<Answer<VersionList>> {
    let mut conn = state.ctx.db.read().await?;
    projects::prompt_in(&mut conn, caller.user, id, prompt).await?;
    Ok(Answer(VersionList { items: store::projects::versions(&mut conn, caller.user, prompt).await? }))
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct PreviewBody {
    /// A template; or `prompt_id`.
    #[schema(example = "Hello {{ user.name }}")]
    content: Option<String>,
    prompt_id: Option<String>,
    /// Instead of the prompt's own.
    #[schema(value_type = Option<Object>)]
    variables: Option<Value>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Preview {
    #[schema(example = "Hello Ann")]
    rendered: String,
}

/// Render a prompt as a chat would
///
/// Errors name the line and the column.
#[utoipa::path(post, path = "/projects/{id}/prompts/preview", tag = "projects", params(("id" = String, Path)),
    request_body = PreviewBody, responses((status = 200, description = "The text", body = Preview)))]
pub async fn preview(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    Json(body): Json<PreviewBody>,
) -> Result<Answer<Preview>> {
    let PreviewBody { content, prompt_id, variables } = body;
    let prompt =
        prompt_id.map(|id| id.parse::<PromptId>().map_err(|_| Error::not_found("prompt"))).transpose()?;
    let rendered = projects::preview(&state.ctx, caller.user, id, content, prompt, variables).await?;
    Ok(Answer(Preview { rendered }))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ProviderKeyBody {
    /// 8-500 visible ASCII characters.
    #[schema(example = "sk-0123456789")]
    api_key: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ProviderKey {
    #[schema(example = "openai")]
    provider: String,
    #[serde(with = "rapport_common::clock::rfc3339_millis")]
    created_at: DateTime<Utc>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ProviderKeyList {
    items: Vec<ProviderKey>,
}

/// List the providers a project has its own keys for
///
/// The providers and dates; never the keys.
#[utoipa::path(get, path = "/projects/{id}/provider-keys", tag = "projects", params(("id" = String, Path)),
    responses((status = 200, description = "Providers, never the keys", body = ProviderKeyList)))]
pub async fn list_keys(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
) -> Result<Answer<ProviderKeyList>> {
    let mut conn = state.ctx.db.read().await?;
    projects::get(&mut conn, caller.user, id).await?;
    let keys = store::projects::keys(&mut conn, caller.user, id).await?;
    let items = keys.into_iter().map(|(provider, _, created_at)| ProviderKey { provider, created_at });
    Ok(Answer(ProviderKeyList { items: items.collect() }))
}

/// Set a project's own key for a provider
///
/// It is encrypted at rest and never shown again; chats in the project use it instead of the deployment's.
#[utoipa::path(put, path = "/projects/{id}/provider-keys/{provider}", tag = "projects",
    params(("id" = String, Path), ("provider" = String, Path)), request_body = ProviderKeyBody,
    responses((status = 204, description = "Kept")))]
pub async fn put_key(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    ProviderPath(provider): ProviderPath,
    Address(address): Address,
    Json(body): Json<ProviderKeyBody>,
) -> Result<StatusCode> {
    projects::put_key(&state.ctx, caller.user, id, &provider, &body.api_key, Some(&address)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete a project's key for a provider
///
/// Chats in the project use the deployment's key again, if there is one.
#[utoipa::path(delete, path = "/projects/{id}/provider-keys/{provider}", tag = "projects",
    params(("id" = String, Path), ("provider" = String, Path)), responses((status = 204, description = "Gone")))]
pub async fn delete_key(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    ProviderPath(provider): ProviderPath,
) -> Result<StatusCode> {
    projects::delete_key(&state.ctx, caller.user, id, &provider).await?;
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
