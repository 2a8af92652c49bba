//! Other ways through a conversation: branches, and other answers.

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use rapport_common::{
    Error,
    domain::{
        ids::{MessageId, SessionId},
        message::Role,
    },
    error::Wrong,
    problems::Problems,
    store::{self, branches::Standing},
    usecase::branch::{self, Again},
};
use serde::{Deserialize, Serialize};

use super::{
    chat::{ChatBody, job_response, mark, mark_replayed},
    jobs::JobView,
};
use crate::{
    bodies::Variant,
    error::Result,
    extract::{Caller, Keyed, MessagePath, NoPages, Prefer, Trace},
    page::{List, listed},
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
    /// Images that come with the new message, as in `POST /chat`. Absent: those of the message whose place it takes.
    images: Option<Vec<String>>,
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
              (status = 404, description = "There is no such session or message", body = crate::problem::Problem)))]
pub async fn branch(
    State(state): State<AppState>,
    Caller(caller): Caller,
    trace: Trace,
    Keyed(body, repeatable): Keyed<BranchBody>,
) -> Result<Response> {
    let session: SessionId = body.session_id.parse().map_err(|_| Error::not_found("session"))?;
    let from: MessageId = body.from_message_id.parse().map_err(|_| Error::not_found("message"))?;
    let chat = match body.new_message {
        Some(message) => {
            let body = ChatBody { message, images: body.images, ..ChatBody::default() };
            Some(body.new_chat(&state.ctx, trace, None)?)
        }
        None => {
            let mut problems = Problems::default();
            problems.unless(body.images.is_none(), "images", Wrong::Unfit("come with a `new_message`"));
            problems.done()?;
            None
        }
    };
    let (made, replayed) =
        branch::branch(&state.ctx, &caller, session, from, chat, repeatable.as_ref()).await?;
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
              (status = 404, description = "There is no such session or message", body = crate::problem::Problem),
              (status = 409, description = "The session is busy, or the message is its parent's", body = crate::problem::Problem),
              (status = 502, description = "The provider failed", body = crate::problem::Problem),
              (status = 504, description = "The provider timed out", body = crate::problem::Problem)))]
pub async fn regenerate(
    State(state): State<AppState>,
    Caller(caller): Caller,
    prefer: Prefer,
    Keyed(body, repeatable): Keyed<RegenerateBody>,
) -> Result<Response> {
    let session: SessionId = body.session_id.parse().map_err(|_| Error::not_found("session"))?;
    let message =
        body.message_id.map(|id| id.parse().map_err(|_| Error::not_found("message"))).transpose()?;
    let mut problems = Problems::default();
    let model = problems.checked("model", body.model);
    let again = Again { provider: body.provider, model, temperature: body.temperature };
    again.check(&state.ctx, &mut problems);
    problems.done()?;
    let (job, replayed) =
        branch::regenerate(&state.ctx, &caller, session, message, again, repeatable.as_ref()).await?;
    let id = job.id;
    if prefer.respond_async && prefer.wait.is_none() {
        let mut response = job_response(&caller, job);
        mark_replayed(&mut response, replayed);
        return Ok(response);
    }
    let wait = prefer.wait.map_or(state.ctx.settings.chat.wait, std::time::Duration::from_secs);
    let ended = rapport_common::follow::wait_final(&state.ctx, caller.user, id, wait).await?;
    let mut response = super::chat::of_job(&caller, ended.unwrap_or(job))?;
    mark_replayed(&mut response, replayed);
    Ok(response)
}

listed!(VariantList = List<Variant>);

/// List earlier answers to the same question, oldest first
///
/// What `POST /chat/regenerate` replaced.
#[utoipa::path(get, path = "/chat/messages/{id}/variants", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, description = "Variants", body = VariantList)))]
pub async fn variants(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MessagePath(id): MessagePath,
    _: NoPages,
) -> Result<Answer<VariantList>> {
    let mut conn = state.ctx.db.read().await?;
    let place = store::branches::place(&mut conn, caller.user, id).await?;
    let Standing { session_id: session, seq, role, .. } = place.ok_or_else(|| Error::not_found("message"))?;
    // Asked of the question or of the answer.
    let seq = if role == Role::User { seq + 1 } else { seq };
    Ok(Answer(List::of(store::branches::variants(&mut conn, caller.user, session, seq).await?)))
}
