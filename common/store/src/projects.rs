//! Projects, their prompts with all versions, and keys they bring along.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements};
use crate::{
    domain::ids::{ProjectId, PromptId, SessionId, UserId},
    error::Result,
};

macro_rules! project {
    () => {
        "id, name, description, default_provider, default_model, temperature, fallback, created_at, updated_at"
    };
}
macro_rules! prompt {
    () => {
        "p.id, p.project_id, p.name, v.content, p.version, p.variables, p.is_active, p.created_at, p.updated_at"
    };
}

statements! {
    INSERT =
        "insert into projects (id, user_id, name, description, default_provider, default_model, temperature, created_at, updated_at, fallback)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)";
    GET = "select ", project!(), " from projects where id = $1 and user_id = $2";
    LIST = "select ", project!(), " from projects where user_id = $1 and id < $2 order by id desc limit $3 offset $4";
    COUNT = "select count(*) from projects where user_id = $1";
    IDS = "select id from projects where user_id = $1";
    UPDATE = "update projects set name = $3, description = $4, default_provider = $5, default_model = $6, temperature = $7,
    updated_at = $8, fallback = $9 where id = $1 and user_id = $2";
    DELETE = "delete from projects where id = $1 and user_id = $2";
    LEAVE = "update sessions set project_id = null where project_id = $1 and user_id = $2";
    SESSIONS = "select id from sessions where project_id = $1 and user_id = $2 and status <> 'deleted' limit 200";
    OF_SESSION = "select project_id from sessions where id = $1 and user_id = $2 and status <> 'deleted'";
    INSERT_PROMPT =
        "insert into prompts (id, project_id, user_id, name, version, variables, is_active, created_at, updated_at)
    values ($1, $2, $3, $4, 1, $5, $6, $7, $7)";
    INSERT_VERSION = "insert into prompt_versions (prompt_id, version, content, created_at) values ($1, $2, $3, $4)";
    PROMPT = "select ", prompt!(), " from prompts p join prompt_versions v on v.prompt_id = p.id and v.version = p.version
      where p.id = $1 and p.project_id = $2 and p.user_id = $3";
    PROMPTS = "select ", prompt!(), " from prompts p join prompt_versions v on v.prompt_id = p.id and v.version = p.version
      where p.project_id = $1 and p.user_id = $2 order by p.id";
    ACTIVE = "select ", prompt!(), " from prompts p join prompt_versions v on v.prompt_id = p.id and v.version = p.version
      where p.project_id = $1 and p.user_id = $2 and p.is_active";
    LAST_VERSION = "select cast(coalesce(max(version), 0) as bigint) from prompt_versions where prompt_id = $1";
    VERSIONS = "select v.version, v.content, v.created_at from prompt_versions v join prompts p on p.id = v.prompt_id
    where v.prompt_id = $1 and p.user_id = $2 order by v.version desc limit 200";
    UPDATE_PROMPT = "update prompts set name = $3, version = $4, variables = $5, is_active = $6, updated_at = $7
    where id = $1 and user_id = $2";
    NONE_ACTIVE = "update prompts set is_active = false where project_id = $1 and user_id = $2 and is_active";
    DELETE_PROMPT = "delete from prompts where id = $1 and project_id = $2 and user_id = $3";
    PUT_KEY = "insert into provider_keys (project_id, provider, user_id, sealed, created_at) values ($1, $2, $3, $4, $5)
    on conflict (project_id, provider) do update set sealed = $4, created_at = $5";
    KEYS = "select provider, sealed, created_at from provider_keys where project_id = $1 and user_id = $2 order by provider";
    DELETE_KEY = "delete from provider_keys where project_id = $1 and provider = $2 and user_id = $3";
}

#[derive(Debug, Clone, serde::Serialize)]
pub struct Project {
    pub id: ProjectId,
    pub name: String,
    pub description: String,
    pub default_provider: Option<String>,
    pub default_model: Option<String>,
    pub temperature: Option<f64>,
    /// Whether another provider may answer when the default one cannot.
    pub fallback: bool,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub updated_at: DateTime<Utc>,
}

row!(Project:
    id, name, description, default_provider, default_model, temperature, fallback, created_at, updated_at
);

#[derive(Debug, Clone, serde::Serialize)]
pub struct Prompt {
    pub id: PromptId,
    pub project_id: ProjectId,
    pub name: String,
    pub content: String,
    /// The version in use.
    pub version: i64,
    /// Values of its own variables.
    pub variables: Value,
    /// Whether chats in the project use it.
    pub is_active: bool,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub updated_at: DateTime<Utc>,
}

row!(Prompt: id, project_id, name, content, version, variables as json, is_active, created_at, updated_at);

#[derive(Debug, Clone, serde::Serialize)]
pub struct PromptVersion {
    pub version: i64,
    pub content: String,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
}

row!(PromptVersion: version, content, created_at);

pub async fn insert(tx: &mut Tx, user: UserId, project: &Project) -> Result<(), sqlx::Error> {
    let Project {
        id,
        name,
        description,
        default_provider,
        default_model,
        temperature,
        fallback,
        created_at,
        ..
    } = project;
    execute!(
        tx,
        INSERT,
        id,
        user,
        name,
        description,
        default_provider,
        default_model,
        temperature,
        created_at,
        fallback
    )
    .map(drop)
}

pub async fn get(q: &mut impl Querier, user: UserId, id: ProjectId) -> Result<Option<Project>, sqlx::Error> {
    fetch_optional!(Project, q, GET, id, user)
}

pub async fn list(
    q: &mut impl Querier,
    user: UserId,
    before: Option<ProjectId>,
    limit: i64,
    skip: i64,
) -> Result<(Vec<Project>, i64), sqlx::Error> {
    let before = before.unwrap_or(ProjectId(uuid::Uuid::from_bytes([0xff; 16])));
    let projects = fetch_all!(Project, q, LIST, user, before, limit, skip)?;
    Ok((projects, fetch_one!((i64,), q, COUNT, user)?.0))
}

pub async fn ids(q: &mut impl Querier, user: UserId) -> Result<Vec<ProjectId>, sqlx::Error> {
    Ok(fetch_all!((ProjectId,), q, IDS, user)?.into_iter().map(|row| row.0).collect())
}

pub async fn update(tx: &mut Tx, user: UserId, project: &Project) -> Result<(), sqlx::Error> {
    let Project {
        id,
        name,
        description,
        default_provider,
        default_model,
        temperature,
        fallback,
        updated_at,
        ..
    } = project;
    execute!(
        tx,
        UPDATE,
        id,
        user,
        name,
        description,
        default_provider,
        default_model,
        temperature,
        updated_at,
        fallback
    )
    .map(drop)
}

/// Deletes a project with its prompts and keys; its sessions stay, in none.
pub async fn delete(tx: &mut Tx, user: UserId, id: ProjectId) -> Result<bool, sqlx::Error> {
    execute!(tx, LEAVE, id, user)?;
    Ok(execute!(tx, DELETE, id, user)? == 1)
}

/// Some of the sessions of a project.
pub async fn sessions(
    q: &mut impl Querier,
    user: UserId,
    id: ProjectId,
) -> Result<Vec<SessionId>, sqlx::Error> {
    Ok(fetch_all!((SessionId,), q, SESSIONS, id, user)?.into_iter().map(|row| row.0).collect())
}

/// The project of a session, if it has one.
pub async fn of_session(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
) -> Result<Option<ProjectId>, sqlx::Error> {
    Ok(fetch_optional!((Option<ProjectId>,), q, OF_SESSION, session, user)?.and_then(|row| row.0))
}

pub async fn insert_prompt(tx: &mut Tx, user: UserId, prompt: &Prompt) -> Result<(), sqlx::Error> {
    let Prompt { id, project_id, name, content, variables, is_active, created_at, .. } = prompt;
    execute!(tx, INSERT_PROMPT, id, project_id, user, name, Json(variables), is_active, created_at)?;
    insert_version(tx, *id, 1, content, *created_at).await
}

pub async fn insert_version(
    tx: &mut Tx,
    prompt: PromptId,
    version: i64,
    content: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, INSERT_VERSION, prompt, version, content, now).map(drop)
}

pub async fn prompt(
    q: &mut impl Querier,
    user: UserId,
    project: ProjectId,
    id: PromptId,
) -> Result<Option<Prompt>, sqlx::Error> {
    fetch_optional!(Prompt, q, PROMPT, id, project, user)
}

pub async fn prompts(
    q: &mut impl Querier,
    user: UserId,
    project: ProjectId,
) -> Result<Vec<Prompt>, sqlx::Error> {
    fetch_all!(Prompt, q, PROMPTS, project, user)
}

pub async fn active_prompt(
    q: &mut impl Querier,
    user: UserId,
    project: ProjectId,
) -> Result<Option<Prompt>, sqlx::Error> {
    fetch_optional!(Prompt, q, ACTIVE, project, user)
}

pub async fn last_version(q: &mut impl Querier, prompt: PromptId) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, LAST_VERSION, prompt)?.0)
}

pub async fn versions(
    q: &mut impl Querier,
    user: UserId,
    prompt: PromptId,
) -> Result<Vec<PromptVersion>, sqlx::Error> {
    fetch_all!(PromptVersion, q, VERSIONS, prompt, user)
}

pub async fn update_prompt(tx: &mut Tx, user: UserId, prompt: &Prompt) -> Result<(), sqlx::Error> {
    let Prompt { id, name, version, variables, is_active, updated_at, .. } = prompt;
    execute!(tx, UPDATE_PROMPT, id, user, name, version, Json(variables), is_active, updated_at).map(drop)
}

/// No prompt of the project is the active one any more.
pub async fn none_active(tx: &mut Tx, user: UserId, project: ProjectId) -> Result<(), sqlx::Error> {
    execute!(tx, NONE_ACTIVE, project, user).map(drop)
}

pub async fn delete_prompt(
    tx: &mut Tx,
    user: UserId,
    project: ProjectId,
    id: PromptId,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE_PROMPT, id, project, user)? == 1)
}

pub async fn put_key(
    tx: &mut Tx,
    user: UserId,
    project: ProjectId,
    provider: &str,
    sealed: &[u8],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, PUT_KEY, project, provider, user, sealed, now).map(drop)
}

/// A key of a provider that a project brings along.
pub struct ProviderKey {
    pub provider: String,
    pub sealed: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

row!(ProviderKey: provider, sealed, created_at);

pub async fn keys(
    q: &mut impl Querier,
    user: UserId,
    project: ProjectId,
) -> Result<Vec<ProviderKey>, sqlx::Error> {
    fetch_all!(ProviderKey, q, KEYS, project, user)
}

pub async fn delete_key(
    tx: &mut Tx,
    user: UserId,
    project: ProjectId,
    provider: &str,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE_KEY, project, provider, user)? == 1)
}
