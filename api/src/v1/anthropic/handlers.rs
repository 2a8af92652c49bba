use axum::{
    Json as Answer,
    extract::State,
    http::HeaderValue,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use rapport_common::{
    Error,
    chat::tokens,
    domain::{ids::JobId, request::Api},
    error::Code,
    usecase::send_request::{NewRequest, send_request},
};
use serde::Serialize;

use super::{
    answer::{self, AnthropicMessage},
    body::{AnthropicBody, Wanted},
    stream,
};
use crate::{
    error::Result,
    extract::{Caller, Trace, Wide},
    handlers::chat::mark_replayed,
    state::AppState,
    stream::sse,
    v1::{completions::wait, gone::Gone, models, stream::answered_events},
};

/// Answer a conversation, for Anthropic's clients
///
/// As `POST /v1/chat/completions` without a session, in Anthropic's words; the key may come as `x-api-key`.
/// docs/anthropic.md says of each field whether it is used or refused.
#[utoipa::path(post, path = "/v1/messages", tag = "openai", request_body = AnthropicBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 200, description = "The answer; with `stream`, its events", content(
                  (AnthropicMessage = "application/json"), (crate::problem::StreamEvent = "text/event-stream")))))]
pub async fn messages(
    State(state): State<AppState>,
    Caller(caller): Caller,
    trace: Trace,
    Wide(body, repeatable): Wide<AnthropicBody>,
) -> Result<Response> {
    let Wanted { model: text, prompted, temperature, max_tokens, stream } = body.read(true)?;
    let models::Named { provider, model } = models::named(&state.ctx, &text)?;
    let slot = if stream { Some(state.slots.take(caller.user, "sse")?) } else { None };
    let is_wanted_later = repeatable.is_some();
    let request = NewRequest {
        job: JobId::new(),
        api: Api::Messages,
        provider,
        model,
        temperature,
        max_tokens,
        prompted,
        kept: None,
        repeatable,
        trace: Some(trace.0.to_string()),
    };
    let one = send_request(&state.ctx, &caller, request).await?;
    let mut gone = Gone::watch(&state, &caller, one.job, is_wanted_later || one.replayed);
    let mut response = match slot {
        Some(slot) => {
            let events = answered_events(&state, &caller, one, &mut gone).await?;
            let stopping = Error::new(Code::Unavailable, "The server is stopping. Send the request again.");
            let frames = stream::framed(one.job, text, events, gone).boxed();
            sse::framed(&state, slot, frames, stream::failed(&stopping))
        }
        None => Answer(answer::whole(one.job, &wait(&state, &caller, one, gone).await?)?).into_response(),
    };
    if let Ok(value) = HeaderValue::from_str(&one.job.to_string()) {
        response.headers_mut().insert("x-job-id", value);
    }
    mark_replayed(&mut response, one.replayed);
    Ok(response)
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct AnthropicCount {
    input_tokens: i64,
}

/// Count a request's tokens, for Anthropic's clients
///
/// An estimate: nobody is asked.
#[utoipa::path(post, path = "/v1/messages/count_tokens", tag = "openai", request_body = AnthropicBody,
    responses((status = 200, description = "The count", body = AnthropicCount)))]
pub async fn count_tokens(_: Caller, Wide(body, _): Wide<AnthropicBody>) -> Result<Answer<AnthropicCount>> {
    let prompted = body.read(false)?.prompted;
    let said = prompted.messages.iter().map(|message| tokens::estimate(&message.content));
    let offered = prompted
        .tools
        .iter()
        .map(|tool| tokens::estimate(&tool.description) + tokens::estimate(&tool.parameters.to_string()));
    Ok(Answer(AnthropicCount { input_tokens: said.chain(offered).sum::<usize>() as i64 }))
}
