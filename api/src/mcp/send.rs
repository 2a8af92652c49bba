//! `send_message`: an answer takes its time. It is waited for as by `POST /chat`; or told with its progress, until it ends; or it is a task
//! that the client looks at (`tasks`).

use std::time::Duration;

use axum::{body::Bytes, response::Response};
use futures::{Stream, StreamExt};
use rapport_common::{
    Error, auth,
    domain::event::Event,
    follow::{Ear, Waited, wait_started},
    usecase::send_message::{Accepted, send_message},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{ENDED_EARLY, refused, result_of, said};
use crate::{
    content,
    error::{Failure, Result},
    extract::Trace,
    handlers::chat::{ChatBody, ended, error_of},
    layers::guard,
    slots::Slot,
    state::AppState,
    stream::{self, sse},
};

/// Notifications come at most so often.
const PAUSE: Duration = Duration::from_millis(250);

/// Takes a message. It counts like one to `POST /chat`.
pub async fn accept(
    state: &AppState,
    caller: &auth::Caller,
    trace: Trace,
    body: ChatBody,
) -> Result<Accepted> {
    guard::message(state, caller).await?;
    let new = body.new_chat(&state.ctx, trace, None)?;
    Ok(send_message(&state.ctx, caller, new).await?)
}

/// Waits as `POST /chat` does; what is not answered by then is named.
pub async fn wait(state: &AppState, caller: &auth::Caller, accepted: &Accepted) -> Result<Value> {
    let ear = Ear::listen(&state.ctx, accepted.job).await;
    accepted.start(&state.ctx).await;
    let wait: Duration = state.ctx.settings.chat.wait;
    let reply = match wait_started(&state.ctx, caller.user, ear, wait).await? {
        Waited::Heard(event) if event.name == "done" => event.data,
        Waited::Heard(event) => return Err(Failure(error_of(&event.data).of_accepted(accepted.job))),
        Waited::Looked(None) => return Err(Error::not_found("job any more").into()),
        Waited::Looked(Some(job)) => match ended(*job) {
            Ok(reply) => reply?,
            Err(job) => {
                return Ok(json!({"job_id": job.id, "status": job.status, "session_id": job.session_id}));
            }
        },
    };
    Ok(content::answer(caller, reply))
}

/// A request whose client wants to hear how far it is.
pub struct Heard {
    /// Of the request.
    pub id: Value,
    /// The client's word for its progress.
    pub token: Value,
    /// The task that it is about, if it is one.
    pub task: Option<Value>,
    pub slot: Slot,
}

/// A message that was just taken: its progress, and its result.
pub async fn tell(state: &AppState, caller: &auth::Caller, accepted: &Accepted, heard: Heard) -> Response {
    let events = stream::new_job_events(state, caller, accepted, false).await;
    tell_all(state, heard, events)
}

/// A job's progress and its result as server-sent events.
pub fn tell_all(
    state: &AppState,
    heard: Heard,
    events: impl Stream<Item = Event> + Send + 'static,
) -> Response {
    let Heard { id, token, task, slot } = heard;
    let farewell =
        frame(&refused(&id, ENDED_EARLY, "the server is stopping; the answer goes on without you"));
    // On the heap, and not within: see `stream::sse`.
    let mut events = Box::pin(events);
    let frames = async_stream::stream! {
        let mut progress = Progress::default();
        while let Some(event) = events.next().await {
            if event.is_final() {
                yield frame(&result_of(&id, with_task(last(event), task.as_ref())));
                return;
            }
            if let Some((done, message)) = progress.of(&event) {
                let parameters = json!({"progressToken": token, "progress": done, "message": message});
                yield frame(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": parameters}));
            }
        }
        yield frame(&refused(&id, ENDED_EARLY, "the answer's events ended without an end"));
    };
    sse::framed(state, slot, frames, farewell)
}

fn frame(message: &Value) -> Bytes {
    Bytes::from(format!("event: message\ndata: {message}\n\n"))
}

fn last(event: Event) -> Value {
    match event.name.as_str() {
        "done" => said(Ok(event.data)),
        _ => said(Err(Failure(error_of(&event.data)))),
    }
}

/// A result that says which task it is of.
pub fn with_task(mut result: Value, task: Option<&Value>) -> Value {
    if let Some(task) = task {
        result["_meta"] = json!({"io.modelcontextprotocol/related-task": {"taskId": task}});
    }
    result
}

/// How far an answer is: events are counted, because a progress may only grow, and an answer may begin anew.
#[derive(Default)]
struct Progress {
    events: u64,
    characters: usize,
    told: Option<Instant>,
}

impl Progress {
    /// What there is to tell of an event, if it is time to.
    fn of(&mut self, event: &Event) -> Option<(u64, String)> {
        self.events += 1;
        let word = |name: &str| event.data[name].as_str().unwrap_or_default();
        let message = match event.name.as_str() {
            "token" => {
                self.characters += word("delta").chars().count();
                format!("{} characters", self.characters)
            }
            "reset" => {
                self.characters = 0;
                "it begins anew".to_owned()
            }
            "memory" => "it remembers".to_owned(),
            "tool_call" => format!("it calls {}", word("name")),
            "waiting" => "no provider is there to answer: it waits".to_owned(),
            "job" => "it is accepted".to_owned(),
            _ => return None,
        };
        let is_word = event.name == "token";
        if is_word && self.told.is_some_and(|told| told.elapsed() < PAUSE) {
            return None;
        }
        // The first word is told at once, whatever was told before it.
        self.told = is_word.then(Instant::now).or(self.told);
        Some((self.events, message))
    }
}
