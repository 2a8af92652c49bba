//! Sending a message: wait for the answer, get a job, or stream.

use std::time::Duration;

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rapport_common::{
    Context, Error, auth,
    domain::{
        event::EventId,
        ids::{FileId, ProjectId, SessionId},
        job::{Job, JobStatus},
        message::Usage,
    },
    error::{Code, Wrong},
    follow::{Ear, Waited, wait_started},
    jobs::payload::ToolChoice,
    last_event::is_fallback,
    problems::Problems,
    store,
    usecase::{
        files::images,
        repeat::Repeatable,
        send_message::{Accepted, Asked, NewChat, OnBusy, send_message},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::jobs::JobView;
use crate::{
    content,
    error::{Failure, Result},
    extract::{Caller, Keyed, Prefer, Query, Trace},
    state::AppState,
    stream::{self, sse},
};

/// A message to answer.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct ChatBody {
    /// 1-32000 characters after trimming.
    #[schema(example = "Hello! What can you do?")]
    pub message: String,
    /// The conversation; none starts a new one.
    pub session_id: Option<String>,
    pub project_id: Option<String>,
    /// `auto`, or a configured provider.
    #[schema(example = "auto")]
    pub provider: Option<String>,
    pub model: Option<String>,
    /// 0-2.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub enable_memory: Option<bool>,
    /// Whether another provider may answer when the named one cannot. Default: as the project says, else no.
    pub fallback: Option<bool>,
    /// Names of tools, `auto` (all that are configured) or `none`. See `GET /tools`.
    #[schema(value_type = Option<Object>)]
    pub tools: Option<Value>,
    /// Ids of up to 8 of your own files: images (PNG, JPEG, GIF, WebP) of at most 3.75 MiB each and 12 MiB together, for a model that
    /// sees. A provider that takes no images is passed over.
    pub images: Option<Vec<String>>,
    /// When the session is answering another message: `queue` (default), `reject` (409) or `interrupt`.
    #[schema(example = "queue")]
    pub on_busy: Option<String>,
}

/// The answer, as it is stored.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ChatReply {
    #[schema(example = "msg_06dqz6ef8swq1bnx1rc6a2k8t4")]
    message_id: String,
    session_id: String,
    job_id: String,
    #[schema(example = "Hello! What can I do for you?")]
    reply: String,
    model: String,
    provider: String,
    usage: Usage,
    memories_used: i64,
    #[schema(value_type = Vec<Object>)]
    tool_calls: Vec<Value>,
    /// `stop`, `length`, `cancelled`, or `fallback`: no provider answered, and `reply` is the deployment's fallback
    /// message (`CHAT__FALLBACK_MESSAGE`); the job says what went wrong.
    #[schema(example = "stop")]
    finish_reason: String,
    created_at: String,
}

impl ChatBody {
    /// What the body asks for. Foreign ids are 404 before anything else is looked at.
    pub fn new_chat(self, ctx: &Context, trace: Trace, repeatable: Option<Repeatable>) -> Result<NewChat> {
        let session = match self.session_id.as_deref() {
            None => None,
            Some(text) => Some(text.parse::<SessionId>().map_err(|_| Error::not_found("session"))?),
        };
        let project = match self.project_id.as_deref() {
            None => None,
            Some(text) => Some(text.parse::<ProjectId>().map_err(|_| Error::not_found("project"))?),
        };
        let tools: Option<ToolChoice> = match self.tools {
            None | Some(Value::Null) => None,
            Some(choice) => Some(serde_json::from_value(choice).map_err(|_| {
                Error::field("tools", Wrong::Form("must be `auto`, `none` or a list of names"))
            })?),
        };
        let on_busy = match self.on_busy.as_deref() {
            None | Some("queue") => OnBusy::Queue,
            Some("reject") => OnBusy::Reject,
            Some("interrupt") => OnBusy::Interrupt,
            Some(_) => {
                return Err(Error::field("on_busy", Wrong::Either(&["queue", "reject", "interrupt"])).into());
            }
        };
        let mut problems = Problems::default();
        let message = problems.checked("message", Some(self.message));
        let model = problems.checked("model", self.model);
        let images = image_ids(self.images, &mut problems);
        let Self { temperature, max_tokens, .. } = self;
        Asked { provider: self.provider.as_deref(), temperature, max_tokens }.check(ctx, &mut problems);
        Ok(NewChat {
            message: problems.unless_wrong(message)?,
            session,
            project,
            provider: self.provider,
            model,
            temperature,
            max_tokens,
            enable_memory: self.enable_memory,
            fallback: self.fallback,
            tools,
            images,
            prompted: None,
            on_busy,
            repeatable,
            trace: Some(trace.0.to_string()),
        })
    }
}

/// Ids of files, each once.
fn image_ids(given: Option<Vec<String>>, problems: &mut Problems) -> Option<Vec<FileId>> {
    let given = given?;
    if given.len() > images::MOST {
        problems.add("images", Wrong::Count { min: 0, max: images::MOST });
        return None;
    }
    let mut ids: Vec<FileId> = Vec::new();
    for (at, text) in given.iter().enumerate() {
        match text.parse::<FileId>() {
            Ok(id) if ids.contains(&id) => {}
            Ok(id) => ids.push(id),
            Err(_) => problems.add(format!("images[{at}]"), Wrong::Unfit("is no file of yours")),
        }
    }
    Some(ids)
}

/// What a keyed repeat is compared by: the fields, not how they are written, so that a message sent over HTTP can be sent
/// again over a WebSocket, and back.
pub fn as_said(request: Repeatable) -> Repeatable {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(&request.body) else { return request };
    // Of a WebSocket's frame alone.
    for frame in ["type", "idempotency_key", "accumulate"] {
        fields.remove(frame);
    }
    Repeatable { body: Value::Object(fields).to_string().into(), ..request }
}

pub fn mark_replayed(response: &mut Response, replayed: bool) {
    if replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
}

pub fn mark(response: &mut Response, accepted: &Accepted) {
    if let Ok(value) = HeaderValue::from_str(&accepted.job.to_string()) {
        response.headers_mut().insert("x-job-id", value);
    }
    mark_replayed(response, accepted.replayed);
}

/// Send a message
///
/// Waits for the answer (60 s by default), then gives the job instead. `Prefer: respond-async` gives the job at once,
/// `Prefer: wait=N` waits up to N seconds. A client that disconnects never loses the job.
#[utoipa::path(post, path = "/chat", tag = "chat", request_body = ChatBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters"),
           ("Prefer" = Option<String>, Header, description = "`respond-async` or `wait=N` (0-120 seconds)")),
    responses((status = 200, description = "The answer", body = ChatReply),
              (status = 202, description = "Not answered yet: the job", body = JobView),
              (status = 409, description = "The session is busy, or the first request with this key still runs",
               body = crate::problem::Problem),
              (status = 502, description = "The provider failed", body = crate::problem::Problem),
              (status = 504, description = "The provider timed out", body = crate::problem::Problem)))]
pub async fn chat(
    State(state): State<AppState>,
    Caller(caller): Caller,
    trace: Trace,
    prefer: Prefer,
    Keyed(body, repeatable): Keyed<ChatBody>,
) -> Result<Response> {
    let new = body.new_chat(&state.ctx, trace, repeatable.map(as_said))?;
    let accepted = send_message(&state.ctx, &caller, new).await?;
    let wait = match prefer {
        Prefer { wait: Some(seconds), .. } => Duration::from_secs(seconds),
        Prefer { respond_async: true, .. } => Duration::ZERO,
        _ => state.ctx.settings.chat.wait,
    };
    // A failure tells its job as well.
    let outcome = outcome(&state, &caller, &accepted, wait, prefer.respond_async).await;
    let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
    mark(&mut response, &accepted);
    Ok(response)
}

async fn outcome(
    state: &AppState,
    caller: &auth::Caller,
    accepted: &Accepted,
    wait: Duration,
    respond_async: bool,
) -> Result<Response> {
    // A repeat does not wait for the first: it is told to come again. One that set it going again does.
    let is_repeat = accepted.replayed && !accepted.retried;
    let wait = if is_repeat { Duration::ZERO } else { wait };
    let ear = Ear::listen(&state.ctx, accepted.job).await;
    accepted.start(&state.ctx).await;
    let waited = wait_started(&state.ctx, caller.user, ear, wait).await;
    let job = match waited.map_err(|error| error.while_waiting_for(accepted.job))? {
        Waited::Heard(event) if event.name == "done" => {
            return Ok(Answer(content::answer(caller, event.data)).into_response());
        }
        Waited::Heard(event) => return Err(Failure(error_of(&event.data).of_accepted(accepted.job))),
        Waited::Looked(job) => *job.ok_or_else(|| Error::not_found("job"))?,
    };
    if respond_async && !job.status.is_final() {
        return Ok(job_response(caller, job));
    }
    if is_repeat && !job.status.is_final() {
        let detail = format!("The first request with this key is still running, as {}.", job.id);
        return Err(Failure(Error::new(Code::IdempotencyRunning, detail).retry_after(1)));
    }
    of_job(caller, job)
}

/// What a final chat job answers: its reply, or what was said in its place, or its error. `Err` is the job itself while it
/// has not ended.
pub fn ended(job: Job) -> std::result::Result<Result<Value>, Box<Job>> {
    match job.status {
        JobStatus::Succeeded | JobStatus::Cancelled => Ok(Ok(job.result.unwrap_or_default())),
        JobStatus::Failed => Ok(match job.result {
            Some(result) if is_fallback(&result) => Ok(result),
            _ => Err(Failure(error_of(&job.error.unwrap_or_default()).of_accepted(job.id))),
        }),
        JobStatus::Queued | JobStatus::Running => Err(Box::new(job)),
    }
}

/// What a job came to, or the job while it has not ended.
pub fn of_job(caller: &auth::Caller, job: Job) -> Result<Response> {
    match ended(job) {
        Ok(reply) => Ok(Answer(content::answer(caller, reply?)).into_response()),
        Err(job) => Ok(job_response(caller, *job)),
    }
}

/// 202 with the job and where to find it.
pub fn job_response(caller: &auth::Caller, job: Job) -> Response {
    let location = format!("/api/v1/jobs/{}", job.id);
    let mut response = (StatusCode::ACCEPTED, Answer(JobView::of(caller, job))).into_response();
    if let Ok(value) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// The error a failed job keeps, as an error again.
pub fn error_of(problem: &Value) -> Error {
    let code = problem["code"].as_str().and_then(Code::from_name).unwrap_or(Code::JobFailed);
    let mut error = Error::new(code, problem["detail"].as_str().unwrap_or("The job failed."));
    error.retry_after = problem["retry_after"].as_u64();
    error.errors = serde_json::from_value(problem["errors"].clone()).unwrap_or_default();
    error
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// Give `content`, the whole text so far, in every `token` event.
    #[serde(default)]
    pub accumulate: bool,
}

/// Send a message and stream the answer
///
/// Server-sent events: `job`, `memory`, `token`, `tool_call`, `tool_result`, `reset`, then `done` or `error`. While no
/// provider is there to answer, `waiting` says so (`{"reason": "provider_away", "provider", "retry_in_ms"}`). Every event
/// has an id; after a cut, `GET /jobs/{id}/events` with `Last-Event-ID` gives exactly what was missed.
#[utoipa::path(post, path = "/chat/stream", tag = "chat", request_body = ChatBody, params(StreamQuery,
    ("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 200, description = "Events", body = crate::problem::StreamEvent, content_type = "text/event-stream"),
              (status = 409, description = "The session is busy", body = crate::problem::Problem)))]
pub async fn chat_stream(
    State(state): State<AppState>,
    Caller(caller): Caller,
    trace: Trace,
    Query(query): Query<StreamQuery>,
    Keyed(body, repeatable): Keyed<ChatBody>,
) -> Result<Response> {
    let new = body.new_chat(&state.ctx, trace, repeatable.map(as_said))?;
    let slot = state.slots.take(caller.user, "sse")?;
    let accepted = send_message(&state.ctx, &caller, new).await?;
    let mut response = if accepted.replayed {
        let job = store::jobs::get(&mut state.ctx.db.read().await?, caller.user, accepted.job).await?;
        let job = job.ok_or_else(|| Error::not_found("job"))?;
        sse::response(
            &state,
            slot,
            stream::job_events(&state, &caller, &job, EventId::START, query.accumulate),
        )
    } else {
        sse::response(
            &state,
            slot,
            stream::new_job_events(&state, &caller, &accepted, query.accumulate).await,
        )
    };
    mark(&mut response, &accepted);
    Ok(response)
}
