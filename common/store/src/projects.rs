//! Projects, their prompts with all versions, and keys they bring along.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional};
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

const INSERT: &str = "insert into projects (id, user_id, name, description, default_provider, default_model, temperature, created_at, updated_at, fallback)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)";
const GET: &str = concat!("select ", project!(), " from projects where id = $1 and user_id = $2");
const LIST: &str = concat!(
    "select ",
    project!(),
    " from projects where user_id = $1 and id < $2 order by id desc limit $3 offset $4"
);
const COUNT: &str = "select count(*) from projects where user_id = $1";
const IDS: &str = "select id from projects where user_id = $1";
const UPDATE: &str = "update projects set name = $3, description = $4, default_provider = $5, default_model = $6, temperature = $7,
    updated_at = $8, fallback = $9 where id = $1 and user_id = $2";
const DELETE: &str = "delete from projects where id = $1 and user_id = $2";
const LEAVE: &str = "update sessions set project_id = null where project_id = $1 and user_id = $2";
const SESSIONS: &str =
    "select id from sessions where project_id = $1 and user_id = $2 and status <> 'deleted' limit 200";
const OF_SESSION: &str =
    "select project_id from sessions where id = $1 and user_id = $2 and status <> 'deleted'";

const INSERT_PROMPT: &str = "insert into prompts (id, project_id, user_id, name, version, variables, is_active, created_at, updated_at)
    values ($1, $2, $3, $4, 1, $5, $6, $7, $7)";
const INSERT_VERSION: &str =
    "insert into prompt_versions (prompt_id, version, content, created_at) values ($1, $2, $3, $4)";
const PROMPT: &str = concat!(
    "select ",
    prompt!(),
    " from prompts p join prompt_versions v on v.prompt_id = p.id and v.version = p.version
      where p.id = $1 and p.project_id = $2 and p.user_id = $3"
);
const PROMPTS: &str = concat!(
    "select ",
    prompt!(),
    " from prompts p join prompt_versions v on v.prompt_id = p.id and v.version = p.version
      where p.project_id = $1 and p.user_id = $2 order by p.id"
);
const ACTIVE: &str = concat!(
    "select ",
    prompt!(),
    " from prompts p join prompt_versions v on v.prompt_id = p.id and v.version = p.version
      where p.project_id = $1 and p.user_id = $2 and p.is_active"
);
const LAST_VERSION: &str =
    "select cast(coalesce(max(version), 0) as bigint) from prompt_versions where prompt_id = $1";
const VERSIONS: &str =
    "select v.version, v.content, v.created_at from prompt_versions v join prompts p on p.id = v.prompt_id
    where v.prompt_id = $1 and p.user_id = $2 order by v.version desc limit 200";
const UPDATE_PROMPT: &str =
    "update prompts set name = $3, version = $4, variables = $5, is_active = $6, updated_at = $7
    where id = $1 and user_id = $2";
const NONE_ACTIVE: &str =
    "update prompts set is_active = false where project_id = $1 and user_id = $2 and is_active";
const DELETE_PROMPT: &str = "delete from prompts where id = $1 and project_id = $2 and user_id = $3";

const PUT_KEY: &str = "insert into provider_keys (project_id, provider, user_id, sealed, created_at) values ($1, $2, $3, $4, $5)
    on conflict (project_id, provider) do update set sealed = $4, created_at = $5";
const KEYS: &str = "select provider, sealed, created_at from provider_keys where project_id = $1 and user_id = $2 order by provider";
const DELETE_KEY: &str = "delete from provider_keys where project_id = $1 and provider = $2 and user_id = $3";

pub(super) const SQL: &[&str] = &[
    INSERT,
    GET,
    LIST,
    COUNT,
    IDS,
    UPDATE,
    DELETE,
    LEAVE,
    SESSIONS,
    OF_SESSION,
    INSERT_PROMPT,
    INSERT_VERSION,
    PROMPT,
    PROMPTS,
    ACTIVE,
    LAST_VERSION,
    VERSIONS,
    UPDATE_PROMPT,
    NONE_ACTIVE,
    DELETE_PROMPT,
    PUT_KEY,
    KEYS,
    DELETE_KEY,
];

#[derive(Debug, Clone, serde::Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub struct Project {
    #[schema(value_type = String, example = "proj_06dqz6ef8swq1bnx1rc6a2k8t4")]
    pub id: ProjectId,
    #[schema(example = "Help desk")]
    pub name: String,
    pub description: String,
    #[schema(example = "openai")]
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

#[derive(Debug, Clone, serde::Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub struct Prompt {
    #[schema(value_type = String, example = "prompt_06dqz6ef8swq1bnx1rc6a2k8t4")]
    pub id: PromptId,
    #[schema(value_type = String)]
    pub project_id: ProjectId,
    #[schema(example = "support")]
    pub name: String,
    #[schema(example = "You help {{ user.name }} with {{ product }}.")]
    pub content: String,
    /// The version in use.
    pub version: i64,
    /// Values of its own variables.
    #[schema(value_type = Object)]
    pub variables: Json<Value>,
    /// Whether chats in the project use it.
    pub is_active: bool,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, serde::Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub struct PromptVersion {
    pub version: i64,
    pub content: String,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
}

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
    execute!(tx, INSERT_PROMPT, id, project_id, user, name, variables, is_active, created_at)?;
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
    execute!(tx, UPDATE_PROMPT, id, user, name, version, variables, is_active, updated_at).map(drop)
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

/// (provider, sealed key, since when)
pub async fn keys(
    q: &mut impl Querier,
    user: UserId,
    project: ProjectId,
) -> Result<Vec<(String, Vec<u8>, DateTime<Utc>)>, sqlx::Error> {
    fetch_all!((String, Vec<u8>, DateTime<Utc>), q, KEYS, project, user)
}

pub async fn delete_key(
    tx: &mut Tx,
    user: UserId,
    project: ProjectId,
    provider: &str,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE_KEY, project, provider, user)? == 1)
}
