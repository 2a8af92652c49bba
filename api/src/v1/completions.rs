//! `POST /v1/chat/completions`: each answer is a chat's job.

use std::time::Duration;

use axum::{
    Json as Answer,
    extract::State,
    http::HeaderValue,
    response::{IntoResponse, Response},
};
use futures::future::try_join_all;
use rapport_common::{
    Error, auth, clock,
    domain::{ids::JobId, job::JobStatus, request::Api},
    error::Code,
    follow::{Ear, Waited, wait_started},
    usecase::{
        repeat::Repeatable,
        send_message::{NewChat, OnBusy, send_message},
        send_request::{NewRequest, Requested, send_request},
    },
};

use super::{
    answer::{self, Chunks, Said},
    body::{CompletionBody, TurnOf, Wanted},
    gone::Gone,
    models::{self, Named},
    stream,
};
use crate::{
    error::Result,
    extract::{Caller, Trace, Wide},
    handlers::chat::{error_of, mark_replayed},
    state::AppState,
};

/// Longer than any answer takes: OpenAI's clients themselves wait for ten minutes.
const PATIENCE: Duration = Duration::from_secs(900);

/// Answer a conversation, for OpenAI's clients
///
/// The whole conversation comes with the request, and nothing of it stays but its usage: its job, with the answer, goes
/// after a day. `metadata.session_id`, `metadata.project_id` or `metadata.memory` make it a turn of a session instead.
/// docs/openai.md says of each field whether it is used, passed through or refused. When the client goes away, the job is
/// cancelled, unless the request has an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", request_body = CompletionBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 200, description = "The answer; with `stream`, chunks as server-sent events", content(
                  (answer::Completion = "application/json"),
                  (crate::problem::StreamEvent = "text/event-stream"))),
              (status = 409, description = "The session is busy, or the answer was cancelled",
               body = crate::v1_error::OpenAiError)))]
pub async fn completions(
    State(state): State<AppState>,
    Caller(caller): Caller,
    trace: Trace,
    Wide(body, repeatable): Wide<CompletionBody>,
) -> Result<Response> {
    let mut wanted = body.read()?;
    let slot = if wanted.stream { Some(state.slots.take(caller.user, "sse")?) } else { None };
    let is_wanted_later = repeatable.is_some();
    let metadata = wanted.metadata.take();
    let (stream, include_usage, model) = (wanted.stream, wanted.include_usage, wanted.model.clone());
    let watch =
        |one: Requested| (one, Gone::watch(&state, &caller, one.job, is_wanted_later || one.replayed));
    let all = put_in(&state, &caller, wanted, repeatable, trace, watch).await?;
    let first = all.first().map(|(one, _)| *one).ok_or_else(|| Error::internal("a request without a job"))?;
    let mut response = match slot {
        Some(slot) if stream => {
            let (id, created) = (answer::completion_id(first.job), clock::now().timestamp());
            let chunks = Chunks { id, created, model, include_usage };
            stream::response(&state, slot, &caller, chunks, all).await?
        }
        _ => {
            let jobs: Vec<JobId> = all.iter().map(|(one, _)| one.job).collect();
            let waits = all.into_iter().map(|(one, gone)| wait(&state, &caller, one, gone));
            let said = try_join_all(waits).await?;
            Answer(answer::whole(&jobs, &said, metadata)?).into_response()
        }
    };
    if let Ok(value) = HeaderValue::from_str(&first.job.to_string()) {
        response.headers_mut().insert("x-job-id", value);
    }
    mark_replayed(&mut response, first.replayed);
    Ok(response)
}

/// A job for each answer that is wanted, and who cancels it: if one is refused, those before it are nobody's.
async fn put_in(
    state: &AppState,
    caller: &auth::Caller,
    wanted: Wanted,
    repeatable: Option<Repeatable>,
    trace: Trace,
    watch: impl Fn(Requested) -> (Requested, Gone),
) -> Result<Vec<(Requested, Gone)>> {
    let ctx = &state.ctx;
    let Named { provider, model } = models::named(ctx, &wanted.model)?;
    let trace = Some(trace.0.to_string());
    let Wanted { temperature, max_tokens, .. } = wanted;
    if let Some(turn) = wanted.turn.clone() {
        let chat = turn_of(wanted, turn, Named { provider, model }, repeatable, trace)?;
        return Ok(vec![watch(send_message(ctx, caller, chat).await?.into())]);
    }
    let mut all = Vec::new();
    for number in 0..wanted.answers {
        let request = NewRequest {
            job: JobId::new(),
            api: Api::Chat,
            provider: provider.clone(),
            model: model.clone(),
            temperature,
            max_tokens,
            prompted: wanted.prompted.clone(),
            kept: None,
            repeatable: repeatable.as_ref().map(|request| match number {
                0 => request.clone(),
                more => request.part(&more.to_string()),
            }),
            trace: trace.clone(),
        };
        all.push(watch(send_request(ctx, caller, request).await?));
    }
    Ok(all)
}

/// A session has what was said before: what comes is one message, and instructions for this turn.
fn turn_of(
    wanted: Wanted,
    turn: TurnOf,
    named: Named,
    repeatable: Option<Repeatable>,
    trace: Option<String>,
) -> Result<NewChat> {
    use rapport_common::{error::Wrong, problems::Problems, providers::Role};
    let Wanted { mut prompted, temperature, max_tokens, .. } = wanted;
    let mut problems = Problems::default();
    let rule = Wrong::Unfit(
        "must be one user's message in text, after any system messages: the session has what was said before",
    );
    let last = prompted.messages.pop();
    let fits = last.as_ref().is_some_and(|last| last.role == Role::User && last.parts.is_none())
        && prompted.messages.iter().all(|message| message.role == Role::System && message.parts.is_none());
    problems.unless(fits, "messages", rule);
    let message = problems.checked("messages", last.map(|message| message.content));
    // Of a project, and of a user's settings, is whatever is not named.
    let provider = (named.provider != "auto" || named.model.is_some()).then_some(named.provider);
    Ok(NewChat {
        message: problems.unless_wrong(message)?,
        session: turn.session,
        project: turn.project,
        provider,
        model: named.model,
        temperature,
        max_tokens,
        enable_memory: turn.memory,
        fallback: None,
        tools: turn.tools,
        images: None,
        prompted: Some(prompted),
        on_busy: OnBusy::Queue,
        repeatable,
        trace,
    })
}

/// Waits for one answer.
pub async fn wait(state: &AppState, caller: &auth::Caller, one: Requested, mut gone: Gone) -> Result<Said> {
    let ear = Ear::listen(&state.ctx, one.job).await;
    one.start(&state.ctx).await;
    let said = match wait_started(&state.ctx, caller.user, ear, PATIENCE).await? {
        Waited::Heard(event) if event.name == "done" => Ok(Said(event.data)),
        Waited::Heard(event) => Err(error_of(&event.data)),
        Waited::Looked(None) => Err(Error::not_found("job any more")),
        Waited::Looked(Some(job)) => match job.status {
            JobStatus::Succeeded | JobStatus::Cancelled => Ok(Said(job.result.unwrap_or_default())),
            JobStatus::Failed => Err(error_of(&job.error.unwrap_or_default())),
            // This process stops, or it took longer than anything should: it goes on.
            JobStatus::Queued | JobStatus::Running => Err(still_open(job.id)),
        },
    };
    gone.done();
    let said = said.map_err(|error| stream::error_as(one, error))?;
    Ok(Said(crate::content::answer(caller, said.0)))
}

fn still_open(job: JobId) -> Error {
    let detail = format!("The answer is not there yet; it goes on as {job}. Send the request again.");
    Error::new(Code::Unavailable, detail).retry_after(1)
}
