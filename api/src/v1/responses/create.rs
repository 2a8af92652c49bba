//! Making a response.

use std::time::Duration;

use axum::{
    Json as Answer,
    extract::State,
    http::HeaderValue,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream::BoxStream};
use rapport_common::{
    Error, auth,
    domain::{
        event::{Event, EventId},
        ids::JobId,
        job::JobStatus,
        prompt::Prompted,
        request::Api,
    },
    error::{Code, Wrong},
    follow::{Ear, follow, wait_final},
    problems::Problems,
    providers::{ChatMessage, Role},
    store,
    usecase::{
        conversations::check_room,
        repeat::is_repeat,
        send_request::{Kept, NewRequest, Requested, send_request},
    },
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    body::{ResponseBody, Wanted},
    file_search, images,
    items::{self, Called},
    mcp,
    object::Asked,
    past,
    stored::stored,
    stream::{self, Reader},
    weave::Weave,
    window::{Fit, fit},
};
use crate::{
    content,
    error::Result,
    extract::{Caller, Trace, Wide},
    handlers::chat::{error_of, mark_replayed},
    state::AppState,
    v1::{
        conversations,
        gone::Gone,
        models::{self, Named},
    },
};

/// Longer than any answer takes: OpenAI's clients themselves wait for ten minutes.
const PATIENCE: Duration = Duration::from_secs(900);

/// Make a response, for OpenAI's clients
///
/// A response is a job, and its id the job's. It is stored unless `store` is false. With `background` it goes on by itself:
/// get it, or stream it with `GET /v1/responses/{id}?stream=true&starting_after=N`, from any process, also after a crash.
/// docs/openai.md says of each field whether it is used, passed through or refused. Without `background`, the job is
/// cancelled when its client goes away, unless the request has an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/responses", tag = "openai", request_body = ResponseBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 200, description = "The response; with `stream`, its events", content(
                  (ResponseObject = "application/json"), (crate::problem::StreamEvent = "text/event-stream")))))]
pub async fn create(
    State(state): State<AppState>,
    Caller(caller): Caller,
    trace: Trace,
    Wide(body, repeatable): Wide<ResponseBody>,
) -> Result<Response> {
    let job = JobId::new();
    let wanted = body.read(job)?;
    let slot = if wanted.stream { Some(state.slots.take(caller.user, "sse")?) } else { None };
    let keeps_on = wanted.background || repeatable.is_some();
    let (background, shown) = (wanted.background, wanted.shown.clone());
    let is_repeat = is_repeat(&state.ctx, caller.user, repeatable.as_ref()).await?;
    let mut request = request(&state, &caller, job, wanted, is_repeat).await?;
    let queries = request.prompted.search.as_ref().map(|search| search.queries.clone());
    (request.repeatable, request.trace) = (repeatable, Some(trace.0.to_string()));
    let one = send_request(&state.ctx, &caller, request).await?;
    let mut asked = Asked { job: one.job, created_at: one.created_at, shown, queries };
    if one.replayed
        && let Ok((first, ..)) = stored(&state, &caller, one.job).await
    {
        // As it was searched for then: what was said in its conversation meanwhile is not read again.
        asked = first;
    }
    let gone = Gone::watch(&state, &caller, one.job, keeps_on || one.replayed);
    let mut response = match slot {
        Some(slot) => {
            let events = events(&state, &caller, one).await;
            let reader = Reader { gone: Some(gone), after: None };
            stream::response(&state, slot, Weave::new(asked, background), events, reader)
        }
        None if background => {
            one.start(&state.ctx).await;
            let found = store::jobs::get(&mut state.ctx.db.read().await?, caller.user, one.job).await?;
            let found = found.ok_or_else(|| Error::not_found("response"))?;
            Answer(asked.of_job(&found)).into_response()
        }
        None => Answer(ended(&state, &caller, &asked, one, gone).await?).into_response(),
    };
    if let Ok(value) = HeaderValue::from_str(&one.job.to_string()) {
        response.headers_mut().insert("x-job-id", value);
    }
    mark_replayed(&mut response, one.replayed);
    Ok(response)
}

/// Reads what comes with the request, and what was said before. One that is sent again is told what its first made, and does not wait
/// for the conversation, in which that may be under way.
async fn request(
    state: &AppState,
    caller: &auth::Caller,
    job: JobId,
    wanted: Wanted,
    is_repeat: bool,
) -> Result<NewRequest> {
    let ctx = &state.ctx;
    let named = models::named(ctx, &wanted.model)?;
    let mut called = Called::default();
    let mut messages = Vec::new();
    messages.extend(wanted.instructions.map(|text| ChatMessage::new(Role::System, text)));
    if let Some(previous) = wanted.previous {
        messages.extend(past::messages(ctx, caller.user, previous, &mut called).await?);
        // What was allowed before was called then.
        called.allowed.clear();
    }
    let mut problems = Problems::default();
    if let Some(conversation) = wanted.conversation.filter(|_| !is_repeat) {
        let before = conversations::said(state, caller, conversation).await?;
        check_room(&before, &wanted.input)?;
        // It was read once before: nothing is wrong with it.
        messages.extend(items::messages(&before, &mut called, &mut Problems::default()));
        mcp::keep_unheard(&before, &mut called);
    }
    let heard = mcp::heard(&called);
    messages.extend(items::messages(&wanted.input, &mut called, &mut problems));
    problems.unless(!messages.is_empty(), "input", Wrong::Empty);
    // Of one that is sent again nothing is made: what it goes back to may not be there any more.
    if !is_repeat {
        images::check(ctx, caller.user, &wanted.input, &mut problems).await?;
        problems.done()?;
    }
    let (servers, allowed) = mcp::complete(ctx, job, wanted.servers, &mut called)?;
    let search = match wanted.search {
        Some(search) => Some(file_search::complete(ctx, caller.user, search, &messages, is_repeat).await?),
        None => None,
    };
    let mut body = json!({"input": wanted.input, "shown": wanted.shown, "background": wanted.background});
    if !heard.is_empty() {
        body["heard"] = json!(heard);
    }
    if let Some(search) = &search {
        body["queries"] = json!(search.queries);
    }
    let (tools, options) = (wanted.tools, wanted.options);
    let mut prompted = Prompted { messages, tools, options, search, servers, allowed };
    let how = Fit { truncates: wanted.truncates, max_tokens: wanted.max_tokens };
    if !is_repeat {
        fit(ctx, &named, &mut prompted, how)?;
    }
    let Named { provider, model } = named;
    Ok(NewRequest {
        job,
        api: Api::Responses,
        provider,
        model,
        temperature: wanted.temperature,
        max_tokens: wanted.max_tokens,
        prompted,
        kept: wanted.store.then_some(Kept {
            body,
            previous: wanted.previous,
            conversation: wanted.conversation,
        }),
        repeatable: None,
        trace: None,
    })
}

/// Waits for one that is not in the background.
async fn ended(
    state: &AppState,
    caller: &auth::Caller,
    asked: &Asked,
    one: Requested,
    mut gone: Gone,
) -> Result<Value> {
    one.start(&state.ctx).await;
    let found = wait_final(&state.ctx, caller.user, one.job, PATIENCE).await?;
    gone.done();
    let job = found.ok_or_else(|| Error::not_found("response"))?;
    if !job.status.is_final() {
        let detail =
            "The response has not ended yet, and goes on. Get it by its id, or send the request again.";
        return Err(Error::new(Code::Unavailable, detail).retry_after(1).into());
    }
    if job.status == JobStatus::Failed {
        // As OpenAI does: what failed is the request.
        let error = error_of(&job.error.unwrap_or_default());
        let names_servers =
            asked.shown["tools"].as_array().is_some_and(|tools| tools.iter().any(mcp::is_tool));
        // A client that sent it again by itself would make calls of its servers once more.
        return Err(if names_servers && error.code.status() >= 500 {
            error.of_accepted(one.job)
        } else {
            error
        }
        .into());
    }
    Ok(asked.of_job(&job))
}

/// A response, as OpenAI's clients expect it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ResponseObject {
    #[schema(example = "resp_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: String,
    #[schema(example = "response")]
    object: String,
    created_at: i64,
    /// `queued`, `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.
    #[schema(example = "completed")]
    status: String,
    model: String,
    #[schema(value_type = Vec<Object>)]
    output: Vec<Value>,
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    #[schema(value_type = Option<Object>)]
    usage: Option<Value>,
}

async fn events(state: &AppState, caller: &auth::Caller, one: Requested) -> BoxStream<'static, Event> {
    let (ctx, user) = (state.ctx.clone(), caller.user);
    if one.replayed {
        return shown(caller, follow(ctx, user, one.job, EventId::START).boxed());
    }
    let ear = Ear::listen(&ctx, one.job).await;
    one.start(&ctx).await;
    shown(caller, ear.follow(ctx, user).boxed())
}

/// What the caller may see of them.
fn shown(caller: &auth::Caller, events: BoxStream<'static, Event>) -> BoxStream<'static, Event> {
    let caller = caller.clone();
    events.map(move |event| content::event(&caller, event)).boxed()
}
