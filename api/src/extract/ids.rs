//! Ids in paths. What is no id of the wanted type is 404, like an id of nobody's.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use rapport_common::{
    Error,
    domain::{
        ids::{
            BatchId, ConflictId, ConversationId, DeliveryId, FileId, JobId, KeyId, MemoryId, MessageId,
            ProjectId, PromptId, SessionId, ToolId, UploadId, UserId, VectorStoreId, WebhookId,
        },
        job::Queue,
    },
};

use crate::{error::Failure, state::AppState};

async fn in_path(parts: &mut Parts, state: &AppState, name: &str) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, state).await.ok()?;
    params.iter().find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
}

/// A provider's name in a path.
#[derive(Clone)]
pub struct ProviderPath(pub String);

impl FromRequestParts<AppState> for ProviderPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        in_path(parts, state, "provider").await.map(Self).ok_or_else(|| Failure(Error::not_found("provider")))
    }
}

/// A model's name in a path of `/v1`.
#[derive(Clone)]
pub struct ModelPath(pub String);

impl FromRequestParts<AppState> for ModelPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        in_path(parts, state, "model").await.map(Self).ok_or_else(|| Failure(Error::not_found("model")))
    }
}

/// A response's id: its job's, by another name.
#[derive(Clone, Copy)]
pub struct ResponsePath(pub JobId);

impl FromRequestParts<AppState> for ResponsePath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        let text = in_path(parts, state, "id").await.unwrap_or_default();
        response_id(&text).map(Self).map_err(Failure)
    }
}

/// `resp_06…` is the job `job_06…`. Anything else is no response of anybody.
pub fn response_id(text: &str) -> Result<JobId, Error> {
    let job = text.strip_prefix("resp_").and_then(|rest| format!("job_{rest}").parse().ok());
    job.ok_or_else(|| Error::not_found("response"))
}

/// The id of an item in a path: whatever its client made of it.
#[derive(Clone)]
pub struct ItemPath(pub String);

impl FromRequestParts<AppState> for ItemPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        let found = in_path(parts, state, "item_id").await.filter(|id| !id.contains('\0'));
        found.map(Self).ok_or_else(|| Failure(Error::not_found("item")))
    }
}

/// A queue's name in a path.
#[derive(Clone, Copy)]
pub struct QueuePath(pub Queue);

impl FromRequestParts<AppState> for QueuePath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        let name = in_path(parts, state, "queue").await.unwrap_or_default();
        name.parse().map(Self).map_err(|_| Failure(Error::not_found("queue")))
    }
}

macro_rules! id_extractor {
    ($($name:ident($id:ty) = $param:literal $what:literal;)*) => {$(
        #[derive(Clone, Copy)]
        pub struct $name(pub $id);

        impl FromRequestParts<AppState> for $name {
            type Rejection = Failure;

            async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
                let text = in_path(parts, state, $param).await.unwrap_or_default();
                text.parse().map(Self).map_err(|_| Failure(Error::not_found($what)))
            }
        }
    )*};
}

id_extractor! {
    BatchPath(BatchId) = "batch_id" "batch in this vector store";
    ConflictPath(ConflictId) = "id" "conflict";
    ConversationPath(ConversationId) = "id" "conversation";
    DeliveryPath(DeliveryId) = "delivery_id" "delivery";
    FilePath(FileId) = "id" "file";
    JobPath(JobId) = "id" "job";
    KeyPath(KeyId) = "id" "key";
    MemberPath(FileId) = "file_id" "file in this vector store";
    MemoryPath(MemoryId) = "id" "memory";
    MessagePath(MessageId) = "id" "message";
    ProjectPath(ProjectId) = "id" "project";
    PromptPath(PromptId) = "prompt_id" "prompt";
    SessionPath(SessionId) = "id" "session";
    ToolPath(ToolId) = "tool_id" "tool";
    UploadPath(UploadId) = "id" "upload";
    UserPath(UserId) = "id" "user";
    VectorStorePath(VectorStoreId) = "id" "vector store";
    WebhookPath(WebhookId) = "id" "webhook";
}
