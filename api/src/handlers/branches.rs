//! Other ways through a conversation: branches, other answers, what one thinks of them; and taking it away.

use async_stream::try_stream;
use axum::{
    Json as Answer,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rapport_common::{
    Context, Error,
    domain::{
        ids::{MessageId, SessionId, UserId},
        message::{Message, Role},
        session::Session,
        texts,
    },
    error::Code,
    store::{self, branches::Variant},
    usecase::branch::{self, Again},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    chat::{ChatBody, job_response, mark, mark_replayed},
    jobs::JobView,
};
use crate::{
    error::Result,
    extract::{Caller, IdempotencyKey, Json, MessagePath, Prefer, Query, Raw, SessionPath, Trace},
    state::AppState,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct BranchBody {
    session_id: String,
    /// The last message that both will have; a user's message that `new_message` replaces is left out.
    from_message_id: String,
    /// What to go on with. With a user's message as `from_message_id` this edits it.
    #[schema(example = "And in winter?")]
    new_message: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct BranchMade {
    #[schema(value_type = String)]
    new_session_id: SessionId,
    #[schema(value_type = String)]
    parent_session_id: SessionId,
    #[schema(value_type = String)]
    branch_point: MessageId,
    /// Of the new message.
    #[schema(value_type = Option<String>)]
    message_id: Option<MessageId>,
    #[schema(value_type = Option<String>)]
    job_id: Option<rapport_common::domain::ids::JobId>,
}

/// Branch a conversation at a message
///
/// The branch shares the past without copying it. With `new_message` it continues immediately, like a chat.
#[utoipa::path(post, path = "/chat/branch", tag = "sessions", request_body = BranchBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 201, description = "The branch", body = BranchMade),
              (status = 404, description = "There is no such session or message", body = crate::openapi::Problem)))]
pub async fn branch(
    State(state): State<AppState>,
    Caller(caller): Caller,
    trace: Trace,
    IdempotencyKey(key): IdempotencyKey,
    Raw(body, bytes): Raw<BranchBody>,
) -> Result<Response> {
    let session: SessionId = body.session_id.parse().map_err(|_| Error::not_found("session"))?;
    let from: MessageId = body.from_message_id.parse().map_err(|_| Error::not_found("message"))?;
    let chat = match body.new_message {
        Some(message) => Some(ChatBody { message, ..ChatBody::default() }.new_chat(trace, None)?),
        None => None,
    };
    let idempotency = key.map(|key| (key, bytes.to_vec()));
    let (made, replayed) = branch::branch(&state.ctx, &caller, session, from, chat, &idempotency).await?;
    if let Some(accepted) = &made.message {
        accepted.start(&state.ctx).await;
    }
    let answer = BranchMade {
        new_session_id: made.session,
        parent_session_id: made.parent,
        branch_point: from,
        message_id: made.message.as_ref().map(|accepted| accepted.message),
        job_id: made.message.as_ref().map(|accepted| accepted.job),
    };
    let mut response = (StatusCode::CREATED, Answer(answer)).into_response();
    if let Some(accepted) = &made.message {
        mark(&mut response, accepted);
    }
    mark_replayed(&mut response, replayed);
    Ok(response)
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct RegenerateBody {
    session_id: String,
    /// A user's message; the last one when absent.
    message_id: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    /// 0-2.
    temperature: Option<f64>,
}

/// Answer a message again
///
/// The new answer takes the old one's place, which stays as a variant. Waits like `POST /chat`.
#[utoipa::path(post, path = "/chat/regenerate", tag = "sessions", request_body = RegenerateBody,
    params(("Prefer" = Option<String>, Header, description = "`respond-async` or `wait=N` (0-120 seconds)"),
           ("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 200, description = "The answer", body = super::chat::ChatReply),
              (status = 202, description = "Not answered yet: the job", body = JobView),
              (status = 404, description = "There is no such session or message", body = crate::openapi::Problem),
              (status = 409, description = "The session is busy, or the message is its parent's", body = crate::openapi::Problem),
              (status = 502, description = "The provider failed", body = crate::openapi::Problem),
              (status = 504, description = "The provider timed out", body = crate::openapi::Problem)))]
pub async fn regenerate(
    State(state): State<AppState>,
    Caller(caller): Caller,
    prefer: Prefer,
    IdempotencyKey(key): IdempotencyKey,
    Raw(body, bytes): Raw<RegenerateBody>,
) -> Result<Response> {
    let session: SessionId = body.session_id.parse().map_err(|_| Error::not_found("session"))?;
    let message =
        body.message_id.map(|id| id.parse().map_err(|_| Error::not_found("message"))).transpose()?;
    let again = Again { provider: body.provider, model: body.model, temperature: body.temperature };
    let idempotency = key.map(|key| (key, bytes.to_vec()));
    let (job, replayed) =
        branch::regenerate(&state.ctx, &caller, session, message, again, &idempotency).await?;
    let id = job.id;
    if prefer.respond_async && prefer.wait.is_none() {
        let mut response = job_response(&caller, job);
        mark_replayed(&mut response, replayed);
        return Ok(response);
    }
    let wait = prefer.wait.map_or(state.ctx.settings.chat.wait, std::time::Duration::from_secs);
    let ended = rapport_common::events::follow::wait_final(&state.ctx, caller.user, id, wait).await?;
    let mut response = super::chat::of_job(&caller, ended.unwrap_or(job))?;
    mark_replayed(&mut response, replayed);
    Ok(response)
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct FeedbackBody {
    /// `up` or `down`.
    #[schema(example = "up")]
    rating: String,
    /// At most 2,000 characters.
    comment: Option<String>,
}

/// Rate an answer
///
/// `up` or `down`, with a comment if you like. A new rating replaces the old one.
#[utoipa::path(post, path = "/chat/messages/{id}/feedback", tag = "sessions", params(("id" = String, Path)),
    request_body = FeedbackBody, responses((status = 204, description = "Noted")))]
pub async fn feedback(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MessagePath(id): MessagePath,
    Json(body): Json<FeedbackBody>,
) -> Result<StatusCode> {
    if !["up", "down"].contains(&body.rating.as_str()) {
        return Err(Error::field("rating", "must be up or down").into());
    }
    if body.comment.as_ref().is_some_and(|text| !texts::fits(text, 2_000)) {
        return Err(Error::field("comment", "must be at most 2000 characters, without NUL").into());
    }
    let at = rapport_common::clock::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let value = json!({"rating": body.rating, "comment": body.comment, "at": at});
    let mut tx = state.ctx.db.begin().await.map_err(Error::from)?;
    if !store::branches::feedback(&mut tx, caller.user, id, &value).await.map_err(Error::from)? {
        return Err(Error::not_found("answer").into());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct VariantList {
    items: Vec<Variant>,
}

/// List earlier answers to the same question, oldest first
///
/// What `POST /chat/regenerate` replaced.
#[utoipa::path(get, path = "/chat/messages/{id}/variants", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, description = "Variants", body = VariantList)))]
pub async fn variants(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MessagePath(id): MessagePath,
) -> Result<Answer<VariantList>> {
    let mut conn = state.ctx.db.read().await?;
    let place = store::branches::place(&mut conn, caller.user, id).await?;
    let (session, seq, role, _) = place.ok_or_else(|| Error::not_found("message"))?;
    // Asked of the question or of the answer.
    let seq = if role == Role::User { seq + 1 } else { seq };
    Ok(Answer(VariantList { items: store::branches::variants(&mut conn, caller.user, session, seq).await? }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `json` (default) or `md` (also `markdown`).
    format: Option<String>,
}

/// Export a conversation
///
/// As JSON, which `POST /chat/sessions/import` takes, or as Markdown.
#[utoipa::path(get, path = "/chat/sessions/{id}/export", tag = "sessions", params(("id" = String, Path), ExportQuery),
    responses((status = 200, description = "The conversation", content(
        (Object = "application/json"), (String = "text/markdown")))))]
pub async fn export(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SessionPath(id): SessionPath,
    Query(query): Query<ExportQuery>,
) -> Result<Response> {
    let format = query.format.unwrap_or_else(|| "json".to_owned());
    let format = match format.as_str() {
        "json" => "json",
        "md" | "markdown" => "md",
        _ => return Err(Error::new(Code::BadQuery, "`format` must be json or md.").into()),
    };
    let session = store::sessions::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    let session = session.ok_or_else(|| Error::not_found("session"))?;
    let media = if format == "md" { "text/markdown; charset=utf-8" } else { "application/json" };
    let body = Body::from_stream(pieces(state.ctx.clone(), caller.user, session, format == "md"));
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    let name = format!("attachment; filename=\"{id}.{format}\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// What a model or a user wrote stays text: a fence longer than any in it.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}\n")
}

fn pieces(
    ctx: Context,
    user: UserId,
    session: Session,
    markdown: bool,
) -> impl futures::Stream<Item = std::result::Result<Bytes, Error>> {
    let time = |message: &Message| message.created_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    try_stream! {
        let title = session.title.replace(['\n', '\r', '#'], " ");
        if markdown {
            yield Bytes::from(format!("# {title}\n"));
        } else {
            let created = session.created_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
            let head = json!({"session_id": session.id, "title": session.title, "created_at": created}).to_string();
            yield Bytes::from(format!("{},\"messages\":[", head.trim_end_matches('}')));
        }
        let (mut after, mut first) = (0, true);
        loop {
            let page = store::messages::page(&mut ctx.db.read().await?, user, session.id, after, 200, 0).await?;
            let (messages, Some(last)) = page else { break };
            after = last;
            let mut piece = String::new();
            for message in messages.iter().filter(|message| !message.content.is_empty()) {
                if markdown {
                    piece.push_str(&format!("\n**{}** ({})\n\n{}", message.role, time(message), fenced(&message.content)));
                } else {
                    let comma = if std::mem::take(&mut first) { "" } else { "," };
                    let one = json!({"role": message.role, "content": message.content, "created_at": time(message)});
                    piece.push_str(&format!("{comma}{one}"));
                }
            }
            yield Bytes::from(piece);
        }
        if !markdown {
            yield Bytes::from_static(b"]}");
        }
    }
}
