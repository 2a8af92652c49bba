//! The simple shapes of a mobile app: conversations and messages. They are views of sessions.

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use rapport_common::{
    Error, auth,
    domain::{
        ids::{MessageId, SessionId},
        message::{Message, Role},
        texts::Title,
    },
    follow::{Ear, Waited, wait_started},
    store::{
        self,
        sessions::{Filter, Part},
    },
    usecase::{
        repeat::Repeatable,
        send_message::{Accepted, send_message},
        sessions,
    },
};
use serde::{Deserialize, Serialize};

use super::chat::{ChatBody, ended, error_of, job_response, mark};
use crate::{
    error::{Failure, Result},
    extract::{Caller, Json, KeyHeader, Keyed, SessionPath, SkipParams, SkipQuery, Trace},
    state::AppState,
};

#[derive(Serialize, utoipa::ToSchema)]
pub struct Conversation {
    #[schema(value_type = String)]
    id: SessionId,
    title: String,
    message_count: i64,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ConversationList {
    conversations: Vec<Conversation>,
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct NewConversation {
    #[schema(value_type = Option<String>)]
    title: Option<Title>,
}

/// Start a conversation
///
/// The body is optional. The first message gives it a title.
#[utoipa::path(post, path = "/conversations", tag = "conversations", request_body = Option<NewConversation>,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 201, description = "The conversation", body = Conversation)))]
pub async fn create(
    State(state): State<AppState>,
    Caller(caller): Caller,
    KeyHeader(key): KeyHeader,
    request: axum::extract::Request,
) -> Result<Response> {
    use axum::extract::FromRequest;
    let has_body = request.headers().contains_key("content-type");
    let Keyed(body, repeatable) = if has_body {
        Keyed::<NewConversation>::from_request(request, &state).await?
    } else {
        Keyed(NewConversation::default(), Repeatable::of(key, ""))
    };
    let (session, replayed) =
        sessions::create(&state.ctx, caller.user, body.title, None, repeatable.as_ref()).await?;
    let conversation =
        Conversation { id: session.id, title: session.title, message_count: session.message_count };
    let mut response = (StatusCode::CREATED, Answer(conversation)).into_response();
    super::chat::mark_replayed(&mut response, replayed);
    Ok(response)
}

/// List conversations, newest first
///
/// A simple view of sessions: id, title and number of messages.
#[utoipa::path(get, path = "/conversations", tag = "conversations", params(SkipParams),
    responses((status = 200, description = "Conversations", body = ConversationList)))]
pub async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SkipQuery { limit, skip }: SkipQuery,
) -> Result<Answer<ConversationList>> {
    let filter = Filter { status: "active".to_owned(), project: None, q: None };
    let mut conn = state.ctx.db.read().await?;
    let (items, _) =
        store::sessions::list(&mut conn, caller.user, &filter, &Part { after: None, limit, skip }).await?;
    let view = |session: rapport_common::domain::session::Session| Conversation {
        id: session.id,
        title: session.title,
        message_count: session.message_count,
    };
    Ok(Answer(ConversationList { conversations: items.into_iter().map(view).collect() }))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ConversationDeleted {
    #[schema(example = "Conversation deleted successfully")]
    msg: &'static str,
}

/// Delete a conversation
///
/// Deletes it with all its messages.
#[utoipa::path(delete, path = "/conversations/{id}", tag = "conversations", params(("id" = String, Path)),
    responses((status = 200, description = "ConversationDeleted", body = ConversationDeleted)))]
pub async fn delete(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SessionPath(id): SessionPath,
) -> Result<Answer<ConversationDeleted>> {
    sessions::delete(&state.ctx, caller.user, id).await?;
    Ok(Answer(ConversationDeleted { msg: "Conversation deleted successfully" }))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ConversationMessage {
    #[schema(value_type = String)]
    id: MessageId,
    /// `user` or `ai`.
    #[schema(example = "ai")]
    sender: &'static str,
    content: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct NewLine {
    /// 1-32,000 characters.
    #[schema(example = "Hello!")]
    content: String,
}

/// Send a message and wait for the answer
///
/// A simple form of `POST /chat`. If the answer takes too long, you get the job instead (202).
#[utoipa::path(post, path = "/conversations/{id}/messages", tag = "conversations", params(("id" = String, Path)),
    request_body = NewLine,
    responses((status = 200, description = "The answer", body = ConversationMessage),
              (status = 202, description = "Not answered yet: the job", body = super::jobs::JobView),
              (status = 502, description = "The provider failed", body = crate::problem::Problem),
              (status = 504, description = "The provider timed out", body = crate::problem::Problem)))]
pub async fn send(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SessionPath(id): SessionPath,
    trace: Trace,
    Json(body): Json<NewLine>,
) -> Result<Response> {
    let chat = ChatBody { message: body.content, session_id: Some(id.to_string()), ..ChatBody::default() };
    let new = chat.new_chat(&state.ctx, trace, None).map_err(|Failure(error)| named_content(error))?;
    let accepted = send_message(&state.ctx, &caller, new).await.map_err(named_content)?;
    let ear = Ear::listen(&state.ctx, accepted.job).await;
    accepted.start(&state.ctx).await;
    // A failure tells its job as well.
    let mut response =
        answer(&state, &caller, &accepted, ear).await.unwrap_or_else(IntoResponse::into_response);
    mark(&mut response, &accepted);
    Ok(response)
}

async fn answer(state: &AppState, caller: &auth::Caller, accepted: &Accepted, ear: Ear) -> Result<Response> {
    let waited = wait_started(&state.ctx, caller.user, ear, state.ctx.settings.chat.wait).await;
    let result = match waited.map_err(|error| error.while_waiting_for(accepted.job))? {
        Waited::Heard(event) if event.name == "done" => event.data,
        Waited::Heard(event) => return Err(Failure(error_of(&event.data).of_accepted(accepted.job))),
        Waited::Looked(job) => match ended(*job.ok_or_else(|| Error::not_found("job"))?) {
            Ok(reply) => reply?,
            Err(job) => return Ok(job_response(caller, *job)),
        },
    };
    let id = result["message_id"].as_str().and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| Error::internal("an answer without id"))?;
    let content = result["reply"].as_str().unwrap_or_default().to_owned();
    Ok(Answer(ConversationMessage { id, sender: "ai", content }).into_response())
}

/// The text is called `content` on this route.
fn named_content(mut error: Error) -> Error {
    if error.errors.iter().any(|error| error.field == "message") {
        for wrong in &mut error.errors {
            if wrong.field == "message" {
                wrong.field = "content".to_owned();
            }
        }
        error = Error::fields(error.errors);
    }
    error
}

/// List the messages of a conversation, in order
///
/// Each with its sender: `user` or `ai`.
#[utoipa::path(get, path = "/conversations/{id}/messages", tag = "conversations", params(("id" = String, Path), SkipParams),
    responses((status = 200, description = "Messages", body = Vec<ConversationMessage>)))]
pub async fn messages(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SessionPath(id): SessionPath,
    SkipQuery { limit, skip }: SkipQuery,
) -> Result<Answer<Vec<ConversationMessage>>> {
    let mut conn = state.ctx.db.read().await?;
    if store::sessions::get(&mut conn, caller.user, id).await?.is_none() {
        return Err(Error::not_found("conversation").into());
    }
    let (messages, _) = store::messages::page(&mut conn, caller.user, id, 0, limit, skip).await?;
    let line = |message: Message| ConversationMessage {
        id: message.id,
        sender: match message.role {
            Role::User => "user",
            Role::Assistant => "ai",
        },
        content: message.content,
    };
    Ok(Answer(messages.into_iter().map(line).collect()))
}
