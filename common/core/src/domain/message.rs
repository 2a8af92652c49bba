//! One turn of a session.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    ids::{FileId, JobId, MemoryId, MessageId, PassageId},
    words::words,
};
use crate::row;

words! {
    /// Whose words a message holds.
    Role as "role" {
        User = "user",
        Assistant = "assistant",
    }

    MessageStatus as "message status" {
        Complete = "complete",
        /// The words until it was cancelled are kept.
        Cancelled = "cancelled",
        /// There is no answer, or the deployment's fallback message, which no model is shown.
        Failed = "failed",
    }
}

/// Tokens as the provider counted them, or as we estimated when it gave no figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(from = "Counted")]
pub struct Usage {
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub total_tokens: i64,
    /// The same as `total_tokens`, by the name that some clients look for.
    pub tokens: i64,
}

/// What is read of a stored usage: older ones have no `tokens`.
#[derive(Deserialize)]
struct Counted {
    prompt_tokens: i64,
    completion_tokens: i64,
}

impl From<Counted> for Usage {
    fn from(counted: Counted) -> Self {
        Self::new(counted.prompt_tokens, counted.completion_tokens)
    }
}

impl Usage {
    pub fn new(prompt_tokens: i64, completion_tokens: i64) -> Self {
        let total = prompt_tokens + completion_tokens;
        Self { prompt_tokens, completion_tokens, total_tokens: total, tokens: total }
    }
}

/// A message as the history shows it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Message {
    #[schema(value_type = String, example = "msg_01jd3kq7g0e5r8x2y4z6a8b0cm")]
    pub id: MessageId,
    /// `user` or `assistant`.
    #[schema(value_type = String, example = "assistant")]
    pub role: Role,
    pub content: String,
    pub model: Option<String>,
    pub provider: Option<String>,
    pub usage: Option<Usage>,
    #[schema(value_type = Option<String>)]
    pub job_id: Option<JobId>,
    /// `complete`, `cancelled` (the words so far are kept) or `failed` (see the job's error; `content` is empty or the
    /// deployment's fallback message, which no model is shown).
    #[schema(value_type = String, example = "complete")]
    pub status: MessageStatus,
    #[schema(value_type = Option<Object>)]
    pub feedback: Option<serde_json::Value>,
    /// Other answers there were to the same question (`GET /chat/messages/{id}/variants`).
    pub variants: i64,
    #[serde(flatten)]
    pub details: Details,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
}

row!(Message:
    id, role, content, model, provider, usage as optional_json, job_id, status, feedback as optional_json,
    variants, details as default_json, created_at
);

/// What an answer was made with, and what came with a question. Empty where there was nothing, and in messages from before this was kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Details {
    /// Why it ended: `stop`, `length`, `cancelled`, `fallback`, …
    #[schema(example = "stop")]
    pub finish_reason: Option<String>,
    /// The memories that stood in its prompt and are still there.
    pub memories: Vec<Used>,
    /// Tools that were called: `{name, arguments, ok, ms}`.
    #[schema(value_type = Vec<Object>)]
    pub tool_calls: Vec<serde_json::Value>,
    /// What of the user's files it rests on.
    pub sources: Vec<AnswerSource>,
    /// Milliseconds from its job's start to its end.
    pub ms: Option<i64>,
    /// Images that came with a question.
    pub images: Vec<Image>,
}

/// An image that came with a question. Only which it is is kept with the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Image {
    #[schema(value_type = String)]
    pub file_id: FileId,
    /// Null: the file was deleted.
    #[serde(skip_deserializing)]
    #[schema(example = "cat.png")]
    pub name: Option<String>,
    #[serde(skip_deserializing)]
    #[schema(example = "image/png")]
    pub media_type: Option<String>,
}

impl Image {
    pub fn new(file_id: FileId) -> Self {
        Self { file_id, name: None, media_type: None }
    }
}

/// Words of a file that an answer rests on: verbatim, at the place that is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AnswerSource {
    /// As the answer names it: `[1]`.
    pub number: i64,
    /// Where the answer first names it, in characters; not there if it says the words without naming it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    #[schema(value_type = String)]
    pub file_id: FileId,
    /// Its name then.
    #[schema(example = "manual.pdf")]
    pub file: String,
    #[schema(value_type = String)]
    pub passage_id: PassageId,
    pub page: Option<i64>,
    /// Where the words begin and end in the file's text, in characters.
    pub start: i64,
    pub end: i64,
    #[schema(example = "It stops when the tank is full.")]
    pub quote: String,
}

/// A memory that stood in a prompt.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Used {
    #[schema(value_type = String)]
    pub id: MemoryId,
    /// What it says now. Not kept with the message, so that a memory that is deleted is gone from here too.
    #[serde(skip_deserializing)]
    pub content: Option<String>,
    /// The words it was taken from.
    #[serde(skip_deserializing)]
    pub quote: Option<String>,
    pub score: f64,
}

/// A message holds at most this many characters.
pub const MESSAGE_MAX: usize = 32_000;

/// A turn as the model sees it.
#[derive(Debug, Clone)]
pub struct Turn {
    pub role: Role,
    pub content: String,
    pub status: MessageStatus,
    pub seq: i64,
    /// Of a question.
    pub details: Details,
}

row!(Turn: role, content, status, seq, details as default_json);
