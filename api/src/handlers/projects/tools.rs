//! Tools that a project describes, and which of all tools its chats do without.

use std::collections::BTreeMap;

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use rapport_common::{
    auth::Caller as Who,
    domain::ids::{ProjectId, ToolId},
    http_tools::Described,
    store::{self, http_tools},
    usecase::projects::{
        self,
        tools::{Import, Made, Place, ToolChange},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::Result,
    extract::{Address, Caller, Json, Keyed, NoPages, ProjectPath, ToolPath, Wide},
    handlers::chat::mark_replayed,
    page::{List, listed},
    state::AppState,
};

/// A tool as its owner sees it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ProjectTool {
    #[schema(value_type = String, example = "tool_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: ToolId,
    #[schema(value_type = String)]
    project_id: ProjectId,
    #[schema(example = "find_order")]
    name: String,
    description: String,
    /// JSON Schema of its arguments.
    #[schema(value_type = Object)]
    parameters: Value,
    #[schema(example = "https://example.com/orders/{number}")]
    url: String,
    #[schema(example = "GET")]
    method: String,
    timeout_seconds: i64,
    changes_something: bool,
    /// The names of the headers it sends along; their values are never shown.
    headers: Vec<String>,
    /// Whether the project's chats may use it.
    is_enabled: bool,
    #[serde(with = "rapport_common::clock::rfc3339_millis")]
    created_at: DateTime<Utc>,
    #[serde(with = "rapport_common::clock::rfc3339_millis")]
    updated_at: DateTime<Utc>,
}

impl ProjectTool {
    fn of(row: http_tools::HttpTool, disabled: &[String]) -> Self {
        Self {
            is_enabled: !disabled.contains(&row.name),
            id: row.id,
            project_id: row.project_id,
            name: row.name,
            description: row.description,
            parameters: row.parameters,
            url: row.url,
            method: row.method,
            timeout_seconds: row.timeout_seconds,
            changes_something: row.changes_something,
            headers: row.header_names,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

listed!(ProjectToolList = List<ProjectTool>);

async fn disabled(state: &AppState, caller: &Who, project: ProjectId) -> Result<Vec<String>> {
    let mut conn = state.ctx.db.read().await?;
    Ok(http_tools::disabled(&mut conn, caller.user, project).await?.unwrap_or_default())
}

/// List a project's own tools
///
/// `GET /tools?project_id=` lists all that its chats may use.
#[utoipa::path(get, path = "/projects/{id}/tools", tag = "projects", params(("id" = String, Path)),
    responses((status = 200, description = "Tools, without their secrets", body = ProjectToolList)))]
pub async fn list_tools(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    _: NoPages,
) -> Result<Answer<ProjectToolList>> {
    let mut conn = state.ctx.db.read().await?;
    projects::get(&mut conn, caller.user, id).await?;
    let tools = http_tools::list(&mut conn, caller.user, id).await?;
    drop(conn);
    let disabled = disabled(&state, &caller, id).await?;
    Ok(Answer(List::of(tools.into_iter().map(|tool| ProjectTool::of(tool, &disabled)).collect())))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ProjectToolBody {
    /// 1-64 ASCII letters, digits, `_` and `-`; no other tool's name.
    #[schema(example = "find_order")]
    name: String,
    /// What it is for, told to the model: at most 1,000 characters.
    #[schema(example = "Finds an order by its number.")]
    description: Option<String>,
    /// JSON Schema of an object; none: it takes no arguments.
    #[schema(value_type = Option<Object>, example = json!({"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]}))]
    parameters: Option<Value>,
    /// http or https, on the public internet, or where `TOOLS__HOSTS` says. Its path may name arguments in braces. The others go into
    /// the query (GET, DELETE) or are the body, as an object.
    #[schema(example = "https://example.com/orders/{number}")]
    url: String,
    /// `GET`, `POST` (default), `PUT`, `PATCH` or `DELETE`.
    #[schema(example = "GET")]
    method: Option<String>,
    /// 1-30; default 10.
    timeout_seconds: Option<i64>,
    /// Whether calling it twice is not as good as once: then it never is. Default: yes, but for `GET`.
    changes_something: Option<bool>,
    /// Sent along with each call, and never shown again: at most 20.
    headers: Option<BTreeMap<String, String>>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ToolMade {
    #[serde(flatten)]
    tool: ProjectTool,
    /// For checking signatures of its calls (Standard Webhooks): shown once.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    secret: String,
}

/// Describe a tool
///
/// The models of the project's chats may call it: an HTTP request, signed as webhooks are, with an `Idempotency-Key` that names the
/// call. It answers with JSON (or plain text) of at most 256 KiB. A redirect to another origin is not followed.
#[utoipa::path(post, path = "/projects/{id}/tools", tag = "projects", params(("id" = String, Path),
    ("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")), request_body = ProjectToolBody,
    responses((status = 201, description = "The tool and its secret", body = ToolMade),
              (status = 409, description = "There are too many, or one of that name", body = crate::problem::Problem)))]
pub async fn create_tool(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    Address(address): Address,
    Keyed(body, repeatable): Keyed<ProjectToolBody>,
) -> Result<Response> {
    let ProjectToolBody {
        name,
        description,
        parameters,
        url,
        method,
        timeout_seconds,
        changes_something,
        headers,
    } = body;
    let description = description.unwrap_or_default();
    let described =
        Described { name, description, parameters, url, method, timeout_seconds, changes_something };
    let place = Place { user: caller.user, project: id, address: &address };
    let headers = headers.unwrap_or_default();
    let made = projects::tools::create(&state.ctx, place, described, headers, repeatable.as_ref()).await?;
    let Made { tools, secret, replayed, .. } = made;
    let disabled = disabled(&state, &caller, id).await?;
    let made = tools
        .into_iter()
        .next()
        .map(|tool| ToolMade { tool: ProjectTool::of(tool, &disabled), secret: secret.unwrap_or_default() });
    let mut response = (StatusCode::CREATED, Answer(made)).into_response();
    mark_replayed(&mut response, replayed);
    Ok(response)
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ToolsImportBody {
    /// An OpenAPI document, version 3.0 or 3.1, as JSON.
    #[schema(value_type = Object, example = json!({"openapi": "3.1.0", "servers": [{"url": "https://example.com"}], "paths": {"/orders": {"get": {"operationId": "list_orders"}}}}))]
    document: Value,
    /// In place of the servers that the document names.
    #[schema(example = "https://example.com/api")]
    base_url: Option<String>,
    /// These operations (`operationId`) alone.
    operations: Option<Vec<String>>,
    /// Sent along with each call, and never shown again: at most 20.
    headers: Option<BTreeMap<String, String>>,
    /// Whether tools of the same names go. Default: no, they stay.
    replace: Option<bool>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct SkippedOperation {
    operation: String,
    reason: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ToolsImported {
    tools: Vec<ProjectTool>,
    /// What became no tool.
    skipped: Vec<SkippedOperation>,
    /// Signs the calls of all of them: shown once.
    secret: Option<String>,
}

/// Make tools of an OpenAPI document
///
/// Each operation with an `operationId` becomes a tool of that name: its parameters are arguments, its JSON body is the argument
/// `body`, and what is not `GET` changes something. All others are told, with the reason.
#[utoipa::path(post, path = "/projects/{id}/tools/import", tag = "projects", params(("id" = String, Path),
    ("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")), request_body = ToolsImportBody,
    responses((status = 201, description = "What was made of it", body = ToolsImported),
              (status = 409, description = "There are too many", body = crate::problem::Problem)))]
pub async fn import_tools(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    Address(address): Address,
    Wide(body, repeatable): Wide<ToolsImportBody>,
) -> Result<Response> {
    let ToolsImportBody { document, base_url, operations, headers, replace } = body;
    let (headers, replace) = (headers.unwrap_or_default(), replace.unwrap_or(false));
    let import = Import { document, base_url, operations, headers, replace };
    let place = Place { user: caller.user, project: id, address: &address };
    let made = projects::tools::import(&state.ctx, place, import, repeatable.as_ref()).await?;
    let Made { tools, secret, skipped, replayed } = made;
    let disabled = disabled(&state, &caller, id).await?;
    let skipped =
        skipped.into_iter().map(|one| SkippedOperation { operation: one.operation, reason: one.reason });
    let imported = ToolsImported {
        tools: tools.into_iter().map(|tool| ProjectTool::of(tool, &disabled)).collect(),
        skipped: skipped.collect(),
        secret,
    };
    let mut response = (StatusCode::CREATED, Answer(imported)).into_response();
    mark_replayed(&mut response, replayed);
    Ok(response)
}

/// Show a tool of a project
///
/// Without its secret and the values of its headers.
#[utoipa::path(get, path = "/projects/{id}/tools/{tool_id}", tag = "projects",
    params(("id" = String, Path), ("tool_id" = String, Path)),
    responses((status = 200, description = "The tool", body = ProjectTool)))]
pub async fn get_tool(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    ToolPath(tool): ToolPath,
) -> Result<Answer<ProjectTool>> {
    let found = projects::tools::one(&mut state.ctx.db.read().await?, caller.user, id, tool).await?;
    Ok(Answer(ProjectTool::of(found, &disabled(&state, &caller, id).await?)))
}

/// What is absent stays. A tool with another name, address or other arguments is another tool.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct ToolChangeBody {
    description: Option<String>,
    /// 1-30.
    timeout_seconds: Option<i64>,
    changes_something: Option<bool>,
    /// All of them anew.
    headers: Option<BTreeMap<String, String>>,
}

/// Change a tool of a project
///
/// Its description, its time, its headers, and whether it changes something.
#[utoipa::path(patch, path = "/projects/{id}/tools/{tool_id}", tag = "projects",
    params(("id" = String, Path), ("tool_id" = String, Path)), request_body = ToolChangeBody,
    responses((status = 200, description = "The tool", body = ProjectTool)))]
pub async fn change_tool(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    ToolPath(tool): ToolPath,
    Json(body): Json<ToolChangeBody>,
) -> Result<Answer<ProjectTool>> {
    let ToolChangeBody { description, timeout_seconds, changes_something, headers } = body;
    let change = ToolChange { description, timeout_seconds, changes_something, headers };
    let changed = projects::tools::change(&state.ctx, caller.user, id, tool, change).await?;
    Ok(Answer(ProjectTool::of(changed, &disabled(&state, &caller, id).await?)))
}

/// Delete a tool of a project
///
/// Calls that are under way end.
#[utoipa::path(delete, path = "/projects/{id}/tools/{tool_id}", tag = "projects",
    params(("id" = String, Path), ("tool_id" = String, Path)), responses((status = 204, description = "Deleted")))]
pub async fn delete_tool(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    ToolPath(tool): ToolPath,
) -> Result<StatusCode> {
    projects::tools::delete(&state.ctx, caller.user, id, tool).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, Serialize, utoipa::ToSchema)]
pub struct DisabledTools {
    /// At most 200. They need not be there yet.
    #[schema(example = json!(["web_search"]))]
    names: Vec<String>,
}

/// Show which tools a project does without
///
/// Its own, the deployment's, or those of MCP servers.
#[utoipa::path(get, path = "/projects/{id}/disabled-tools", tag = "projects", params(("id" = String, Path)),
    responses((status = 200, description = "Their names", body = DisabledTools)))]
pub async fn get_disabled(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
) -> Result<Answer<DisabledTools>> {
    let mut conn = state.ctx.db.read().await?;
    projects::get(&mut conn, caller.user, id).await?;
    let names = store::http_tools::disabled(&mut conn, caller.user, id).await?.unwrap_or_default();
    Ok(Answer(DisabledTools { names }))
}

/// Say which tools a project does without
///
/// All of them anew: its own, the deployment's, or those of MCP servers. Its chats are not offered these.
#[utoipa::path(put, path = "/projects/{id}/disabled-tools", tag = "projects", params(("id" = String, Path)),
    request_body = DisabledTools, responses((status = 200, description = "Their names", body = DisabledTools)))]
pub async fn put_disabled(
    State(state): State<AppState>,
    Caller(caller): Caller,
    ProjectPath(id): ProjectPath,
    Json(body): Json<DisabledTools>,
) -> Result<Answer<DisabledTools>> {
    let names = projects::tools::disable(&state.ctx, caller.user, id, body.names).await?;
    Ok(Answer(DisabledTools { names }))
}
