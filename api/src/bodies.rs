//! What the API shows of rows that it gives as they are: bodies of its own, so that a column that comes to a table does not come to
//! its clients by itself.

use chrono::{DateTime, Utc};
use rapport_common::{
    clock,
    domain::{
        ids::{
            AuditId, DeliveryId, JobId, KeyId, MemoryId, MessageId, ProjectId, PromptId, SessionId, UserId,
            WebhookId,
        },
        memory::Relationship,
        message::{Details, Usage},
    },
    store::{
        admin, analytics, audit, branches, keys, memory_conflicts, memory_links, projects, sessions, webhooks,
    },
};
use serde::Serialize;
use serde_json::Value;

/// `of_row!(Body = Row: fields)`: a body is made of these fields of a row.
macro_rules! of_row {
    ($body:ident = $row:ty: $($field:ident),*) => {
        impl From<$row> for $body {
            fn from(row: $row) -> Self {
                Self { $($field: row.$field),* }
            }
        }
    };
}

/// A key as its owner sees it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ApiKey {
    #[schema(value_type = String, example = "key_06dqz6ef8swq1bnx1rc6a2k8t4")]
    pub id: KeyId,
    #[schema(example = "my script")]
    pub name: String,
    /// How the key begins.
    #[schema(example = "rk_3fQx")]
    pub prefix: String,
    /// What it may be used for; null is everything keys may do.
    pub scopes: Option<Vec<String>>,
    #[serde(serialize_with = "clock::rfc3339_millis::option::serialize")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Tokens it may spend a month (UTC).
    pub monthly_tokens: Option<i64>,
    #[serde(serialize_with = "clock::rfc3339_millis::option::serialize")]
    pub last_used_at: Option<DateTime<Utc>>,
    #[serde(with = "clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    /// An MCP client that signed in by itself (`/token`): its name is its own word for itself, its key is nobody's, and it ends when
    /// it does not come back in time.
    pub is_client: bool,
}

of_row!(ApiKey = keys::ApiKey:
    id, name, prefix, scopes, expires_at, monthly_tokens, last_used_at, created_at, is_client
);

#[derive(Serialize, utoipa::ToSchema)]
pub struct Webhook {
    #[schema(value_type = String, example = "hook_06dqz6ef8swq1bnx1rc6a2k8t4")]
    pub id: WebhookId,
    #[schema(example = "https://example.com/rapport")]
    pub url: String,
    /// `job.succeeded`, `job.failed`, `memory.created`.
    pub events: Vec<String>,
    #[serde(with = "clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
}

of_row!(Webhook = webhooks::Webhook: id, url, events, created_at);

/// One delivery as its owner sees it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Delivery {
    /// Also the `webhook-id` header.
    #[schema(value_type = String)]
    pub id: DeliveryId,
    pub event: String,
    /// `pending`, `delivered` or `failed`.
    pub status: String,
    pub attempts: i64,
    /// The last HTTP status.
    pub answer: Option<i64>,
    pub error: Option<String>,
    #[serde(with = "clock::rfc3339_millis")]
    pub next_at: DateTime<Utc>,
    #[serde(with = "clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    #[serde(serialize_with = "clock::rfc3339_millis::option::serialize")]
    pub delivered_at: Option<DateTime<Utc>>,
}

of_row!(Delivery = webhooks::Delivery:
    id, event, status, attempts, answer, error, next_at, created_at, delivered_at
);

#[derive(Serialize, utoipa::ToSchema)]
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
    #[serde(with = "clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    #[serde(with = "clock::rfc3339_millis")]
    pub updated_at: DateTime<Utc>,
}

of_row!(Project = projects::Project:
    id, name, description, default_provider, default_model, temperature, fallback, created_at, updated_at
);

#[derive(Serialize, utoipa::ToSchema)]
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
    pub variables: Value,
    /// Whether chats in the project use it.
    pub is_active: bool,
    #[serde(with = "clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    #[serde(with = "clock::rfc3339_millis")]
    pub updated_at: DateTime<Utc>,
}

of_row!(Prompt = projects::Prompt:
    id, project_id, name, content, version, variables, is_active, created_at, updated_at
);

#[derive(Serialize, utoipa::ToSchema)]
pub struct PromptVersion {
    pub version: i64,
    pub content: String,
    #[serde(with = "clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
}

of_row!(PromptVersion = projects::PromptVersion: version, content, created_at);

/// One line of `GET /history`.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Recent {
    #[schema(value_type = String)]
    pub session_id: SessionId,
    pub title: String,
    pub last_message: Option<String>,
    #[serde(with = "clock::rfc3339_millis")]
    pub updated_at: DateTime<Utc>,
}

of_row!(Recent = sessions::Recent: session_id, title, last_message, updated_at);

/// An answer that gave way to another one.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Variant {
    #[schema(value_type = String)]
    pub id: MessageId,
    pub content: String,
    pub status: String,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub usage: Option<Usage>,
    #[serde(with = "clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    pub details: Option<Details>,
}

of_row!(Variant = branches::Variant: id, content, status, provider, model, usage, created_at, details);

#[derive(Serialize, utoipa::ToSchema)]
pub struct Link {
    #[schema(value_type = String)]
    pub source: MemoryId,
    #[schema(value_type = String)]
    pub target: MemoryId,
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "supports")]
    pub relationship: Relationship,
}

of_row!(Link = memory_links::Link: source, target, relationship);

#[derive(Serialize, utoipa::ToSchema)]
pub struct Suggestion {
    #[schema(value_type = Vec<String>)]
    pub memory_ids: Vec<MemoryId>,
    pub reason: String,
    pub suggested_content: String,
}

of_row!(Suggestion = memory_conflicts::Suggestion: memory_ids, reason, suggested_content);

#[derive(Serialize, utoipa::ToSchema)]
pub struct Day {
    #[schema(example = "2026-11-21")]
    pub date: String,
    pub messages: i64,
    pub sessions: i64,
}

of_row!(Day = analytics::Day: date, messages, sessions);

/// One line of usage: the sums of a day, project, key, provider, model and kind of job.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UsageLine {
    #[schema(example = "2026-11-21")]
    pub date: String,
    /// Null: none.
    pub project_id: Option<String>,
    pub api_key_id: Option<String>,
    pub provider: String,
    pub model: String,
    #[schema(example = "chat")]
    pub kind: String,
    pub requests: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    /// US dollars.
    pub cost: f64,
}

of_row!(UsageLine = analytics::UsageLine:
    date, project_id, api_key_id, provider, model, kind, requests, prompt_tokens, completion_tokens, cost
);

#[derive(Serialize, utoipa::ToSchema)]
pub struct Entry {
    #[schema(value_type = String)]
    pub id: AuditId,
    /// Whom it is about.
    #[schema(value_type = Option<String>)]
    pub user_id: Option<UserId>,
    /// Who did it: a user's id, or `command line`.
    pub actor: String,
    #[schema(example = "password_changed")]
    pub event: String,
    pub address: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub detail: Option<Value>,
    #[serde(with = "clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
}

of_row!(Entry = audit::Entry: id, user_id, actor, event, address, detail, created_at);

/// A job that failed for good, whoever's it is.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Dead {
    #[schema(value_type = String)]
    pub id: JobId,
    pub kind: String,
    pub queue: String,
    #[schema(value_type = Option<String>)]
    pub user_id: Option<UserId>,
    pub attempt: i64,
    #[schema(value_type = Option<Object>)]
    pub error: Option<Value>,
    #[serde(with = "clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    #[serde(serialize_with = "clock::rfc3339_millis::option::serialize")]
    pub finished_at: Option<DateTime<Utc>>,
}

of_row!(Dead = admin::Dead: id, kind, queue, user_id, attempt, error, created_at, finished_at);
