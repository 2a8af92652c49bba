//! Prompts of a project, their versions, and a look at what they become.

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use rapport_common::{
    Error,
    domain::{ids::PromptId, texts::Name},
    store,
    usecase::{
        projects::{self, PromptDraft},
        repeat::Repeatable,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    bodies::{Prompt, PromptVersion},
    error::Result,
    extract::{Caller, Json, Keyed, NoPages, ProjectPath, PromptPath},
    handlers::chat::mark_replayed,
    page::{List, listed},
    state::AppState,
};

listed!(PromptList = List<Prompt>);

/// List a project's prompts
///
/// With the content of the version in use. At most one prompt is active.
#[utoipa::path(get, path = "/projects/{id}/prompts", tag = "projects", params(("id" = String, Path)),
    responses((status = 200, description = "Prompts", body = PromptList)))]
pub async fn list_prompts(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    _: NoPages,
) -> Result<Answer<PromptList>> {
    let mut conn = state.ctx.db.read().await?;
    projects::get(&mut conn, caller.user, id).await?;
    Ok(Answer(List::of(store::projects::prompts(&mut conn, caller.user, id).await?)))
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct PromptBody {
    /// 1-100 characters.
    #[schema(value_type = Option<String>, example = "support")]
    name: Option<Name>,
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
    Keyed(body, repeatable): Keyed<PromptBody>,
) -> Result<Response> {
    // The same words to another project are another request.
    let repeatable = repeatable.map(|request| Repeatable {
        body: [id.to_string().as_bytes(), &request.body].concat().into(),
        ..request
    });
    let (prompt, replayed) =
        projects::create_prompt(&state.ctx, caller.user, id, body.into(), repeatable.as_ref()).await?;
    let mut response = (StatusCode::CREATED, Answer(Prompt::from(prompt))).into_response();
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
    let found = projects::prompt_in(&mut state.ctx.db.read().await?, caller.user, id, prompt).await?;
    Ok(Answer(found.into()))
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
    Ok(Answer(projects::change_prompt(&state.ctx, caller.user, id, prompt, body.into()).await?.into()))
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

listed!(VersionList = List<PromptVersion>);

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
    _: NoPages,
) -> Result<Answer<VersionList>> {
    let mut conn = state.ctx.db.read().await?;
    projects::prompt_in(&mut conn, caller.user, id, prompt).await?;
    Ok(Answer(List::of(store::projects::versions(&mut conn, caller.user, prompt).await?)))
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
