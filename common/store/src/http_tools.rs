//! Tools that projects describe, and which tools a project does without.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements};
use crate::domain::ids::{ProjectId, ToolId, UserId};

macro_rules! tool {
    () => {
        "id, project_id, batch, name, description, parameters, url, method, places, timeout_seconds, changes_something,
    header_names, sealed, created_at, updated_at"
    };
}

statements! {
    INSERT = "insert into http_tools (id, project_id, user_id, batch, name, description, parameters, url, method, places,
    timeout_seconds, changes_something, header_names, sealed, created_at, updated_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15) on conflict (project_id, name) do nothing";
    GET = "select ", tool!(), " from http_tools where id = $1 and project_id = $2 and user_id = $3";
    TAKE = "update http_tools set updated_at = updated_at where id = $1 and project_id = $2 and user_id = $3";
    TAKE_PROJECT = "update projects set disabled_tools = disabled_tools where id = $1 and user_id = $2";
    LIST = "select ", tool!(), " from http_tools where project_id = $1 and user_id = $2 order by id";
    OF_BATCH = "select ", tool!(), " from http_tools where batch = $1 and project_id = $2 and user_id = $3 order by id";
    COUNT = "select count(*) from http_tools where project_id = $1 and user_id = $2";
    UPDATE = "update http_tools set description = $3, timeout_seconds = $4, changes_something = $5, header_names = $6,
    sealed = $7, updated_at = $8 where id = $1 and user_id = $2";
    DELETE = "delete from http_tools where id = $1 and project_id = $2 and user_id = $3";
    DELETE_NAMED = "delete from http_tools where project_id = $1 and user_id = $2 and name = $3";
    DISABLED = "select disabled_tools from projects where id = $1 and user_id = $2";
    DISABLE = "update projects set disabled_tools = $3 where id = $1 and user_id = $2";
}

#[derive(Debug, Clone, serde::Serialize)]
pub struct HttpTool {
    pub id: ToolId,
    pub project_id: ProjectId,
    #[serde(skip)]
    pub batch: ToolId,
    pub name: String,
    pub description: String,
    pub parameters: Value,
    pub url: String,
    pub method: String,
    /// Where arguments go, by their names.
    pub places: Value,
    pub timeout_seconds: i64,
    pub changes_something: bool,
    pub header_names: Vec<String>,
    /// Its secret and its headers.
    #[serde(skip)]
    pub sealed: Vec<u8>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub updated_at: DateTime<Utc>,
}

row!(HttpTool:
    id, project_id, batch, name, description, parameters as json, url, method, places as json, timeout_seconds,
    changes_something, header_names as json, sealed, created_at, updated_at
);

/// `false`: the project has a tool of that name.
pub async fn insert(tx: &mut Tx, user: UserId, tool: &HttpTool) -> Result<bool, sqlx::Error> {
    let (parameters, places) = (Json(&tool.parameters), Json(&tool.places));
    let inserted = execute!(
        tx,
        INSERT,
        tool.id,
        tool.project_id,
        user,
        tool.batch,
        &tool.name,
        &tool.description,
        parameters,
        &tool.url,
        &tool.method,
        places,
        tool.timeout_seconds,
        tool.changes_something,
        Json(&tool.header_names),
        &tool.sealed,
        tool.created_at
    )?;
    Ok(inserted == 1)
}

pub async fn get(
    q: &mut impl Querier,
    user: UserId,
    project: ProjectId,
    id: ToolId,
) -> Result<Option<HttpTool>, sqlx::Error> {
    fetch_optional!(HttpTool, q, GET, id, project, user)
}

/// Takes a tool's row until the transaction ends: of two who change it, one waits. `false`: there is no such tool.
pub async fn take(tx: &mut Tx, user: UserId, project: ProjectId, id: ToolId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, TAKE, id, project, user)? == 1)
}

/// The same with a project's row, for who adds to its tools.
pub async fn take_project(tx: &mut Tx, user: UserId, project: ProjectId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, TAKE_PROJECT, project, user)? == 1)
}

pub async fn list(
    q: &mut impl Querier,
    user: UserId,
    project: ProjectId,
) -> Result<Vec<HttpTool>, sqlx::Error> {
    fetch_all!(HttpTool, q, LIST, project, user)
}

/// What one request made.
pub async fn of_batch(
    q: &mut impl Querier,
    user: UserId,
    project: ProjectId,
    batch: ToolId,
) -> Result<Vec<HttpTool>, sqlx::Error> {
    fetch_all!(HttpTool, q, OF_BATCH, batch, project, user)
}

pub async fn count(q: &mut impl Querier, user: UserId, project: ProjectId) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, COUNT, project, user)?.0)
}

/// Changes what may be changed of one.
pub async fn update(tx: &mut Tx, user: UserId, tool: &HttpTool) -> Result<(), sqlx::Error> {
    execute!(
        tx,
        UPDATE,
        tool.id,
        user,
        &tool.description,
        tool.timeout_seconds,
        tool.changes_something,
        Json(&tool.header_names),
        &tool.sealed,
        tool.updated_at
    )
    .map(drop)
}

pub async fn delete(tx: &mut Tx, user: UserId, project: ProjectId, id: ToolId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE, id, project, user)? == 1)
}

/// Makes room for another of the same name.
pub async fn delete_named(
    tx: &mut Tx,
    user: UserId,
    project: ProjectId,
    name: &str,
) -> Result<(), sqlx::Error> {
    execute!(tx, DELETE_NAMED, project, user, name).map(drop)
}

/// The names of tools that a project does without. `None`: there is no such project.
pub async fn disabled(
    q: &mut impl Querier,
    user: UserId,
    project: ProjectId,
) -> Result<Option<Vec<String>>, sqlx::Error> {
    let row = fetch_optional!((Json<Vec<String>>,), q, DISABLED, project, user)?;
    Ok(row.map(|(names,)| names.0))
}

/// `false`: there is no such project.
pub async fn disable(
    tx: &mut Tx,
    user: UserId,
    project: ProjectId,
    names: &[String],
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DISABLE, project, user, Json(names))? == 1)
}
