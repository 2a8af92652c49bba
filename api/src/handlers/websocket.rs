//! Chat over a WebSocket: many messages on one connection, the same events as SSE.
//!
//! The client sends the bodies of `POST /chat` (with `idempotency_key` beside them, if it wants to be able to send one again),
//! `{"type":"cancel","job_id"}` and `{"type":"resume","job_id","after"}`.
//! The server sends events with their name in `type` and their number in `id`; what it can't read gets an `error` and
//! the connection stays. A client that stops reading is cut off: its own bounded buffer fills, and nobody else's.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{
        OriginalUri, State,
        ws::{Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::Uri,
    response::Response,
};
use futures::{SinkExt, Stream, StreamExt};
use rapport_common::{
    Error, auth,
    domain::{
        event::{Event, EventId},
        idempotency::IdempotencyKey,
        ids::JobId,
    },
    error::{Code, Wrong},
    usecase::{cancel_job::cancel_job, repeat::Repeatable, send_message::send_message},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, timeout},
};

use super::{
    chat::{ChatBody, as_said},
    jobs::{caller_or_ticket, load},
};
use crate::{
    error::Result,
    extract::{Asked, Trace, is_versioned, parse_file},
    layers::{guard, observe::new_request_id},
    policy::Content,
    slots::Slot,
    state::AppState,
    stream::{job_events, new_job_events},
};

/// A client that takes this long for one message reads nothing.
const UNREAD: Duration = Duration::from_secs(30);
/// Answers that may stream on one connection at once.
const STREAMS: usize = 16;
const MESSAGE_BYTES: usize = 256 * 1_024;

#[derive(Default, Deserialize)]
struct TokenQuery {
    token: Option<String>,
    /// Give `content`, the whole text so far, in every `token` event.
    #[serde(default)]
    accumulate: bool,
}

/// Chat over a WebSocket
///
/// Send the bodies of `POST /chat`, many on one connection, each with an `idempotency_key` if it may have to be sent again
/// after a cut; also `{"type":"cancel","job_id"}` and
/// `{"type":"resume","job_id","after"}`. Events come as JSON with `type` and `id`. Authenticate by header, or by `?token=`
/// with an access token or a ticket of `POST /auth/ws-ticket`.
#[utoipa::path(get, path = "/chat/ws", tag = "chat", params(("token" = Option<String>, Query),
    ("accumulate" = Option<bool>, Query, description = "Give `content`, the whole text so far, in every `token` event")),
    responses((status = 101, description = "Switching to WebSocket"),
              (status = 400, description = "Not a WebSocket handshake", body = crate::problem::Problem)))]
pub async fn chat_ws(
    State(state): State<AppState>,
    uri: Uri,
    OriginalUri(original): OriginalUri,
    axum::Extension(asked): axum::Extension<Asked>,
    upgrade: std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response> {
    let query =
        axum::extract::Query::<TokenQuery>::try_from_uri(&uri).map(|query| query.0).unwrap_or_default();
    let caller = caller_or_ticket(&state, asked, query.token.as_deref()).await?;
    let upgrade = upgrade.map_err(|error| {
        Error::new(Code::Malformed, format!("This route is a WebSocket: {}.", error.body_text()))
    })?;
    let slot = state.slots.take(caller.user, "websocket")?;
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES).max_frame_size(MESSAGE_BYTES);
    // Clients of `/api` were promised the text so far in every frame.
    let accumulate =
        query.accumulate || original.path().starts_with("/api/") && !is_versioned(original.path());
    Ok(upgrade.on_upgrade(move |socket| serve(state, caller, socket, slot, accumulate)))
}

/// Chat over a WebSocket (alias)
///
/// The same as `GET /chat/ws`. Under `/api` (without `/v1`) every `token` event carries `content` too.
#[utoipa::path(get, path = "/chat/stream", tag = "chat", params(("token" = Option<String>, Query),
    ("accumulate" = Option<bool>, Query, description = "Give `content`, the whole text so far, in every `token` event")),
    responses((status = 101, description = "Switching to WebSocket"),
              (status = 400, description = "Not a WebSocket handshake", body = crate::problem::Problem)))]
pub async fn chat_stream_ws(
    state: State<AppState>,
    uri: Uri,
    original: OriginalUri,
    asked: axum::Extension<Asked>,
    upgrade: std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response> {
    chat_ws(state, uri, original, asked, upgrade).await
}

/// What a client may send besides a chat.
#[derive(Deserialize)]
struct Command {
    #[serde(rename = "type")]
    kind: Option<String>,
    job_id: Option<String>,
    after: Option<String>,
    #[serde(default)]
    accumulate: bool,
    /// As the header `Idempotency-Key` of `POST /chat`.
    idempotency_key: Option<IdempotencyKey>,
}

fn message(event: &Event, id: &str) -> Message {
    let mut data = match &event.data {
        Value::Object(map) => Value::Object(map.clone()),
        other => json!({"data": other}),
    };
    // A problem has a `type` of its own; over WebSocket `type` names the event.
    data["type"] = json!(event.name);
    data["id"] = json!(event.id.to_string());
    if event.name == "error" && data["request_id"].is_null() {
        data["request_id"] = json!(id);
    }
    Message::text(data.to_string())
}

/// Refuses one message: as a response would, under an id that our log has too.
fn refusal(error: &Error, id: &str) -> Message {
    match error.code.status() {
        500.. => tracing::error!(request_id = id, %error, "message failed"),
        _ => tracing::debug!(request_id = id, %error, "message refused"),
    }
    let mut data = error.problem(Some(id));
    data["type"] = json!("error");
    Message::text(data.to_string())
}

/// A body is a message here.
fn of_message(mut error: Error) -> Error {
    error.detail = error.detail.replace("The body", "The message").replace("`body`", "`message`");
    error
}

async fn serve(state: AppState, caller: auth::Caller, socket: WebSocket, _slot: Slot, accumulate: bool) {
    let ping = state.ctx.settings.server.ping;
    let (mut sink, mut incoming) = socket.split();
    let (outbox, mut outgoing) = mpsc::channel::<Message>(64);
    let writer = tokio::spawn(async move {
        let mut pings = tokio::time::interval_at(Instant::now() + ping, ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                next = outgoing.recv() => next,
                _ = pings.tick() => Some(Message::Ping(Bytes::new())),
            };
            let Some(next) = next else { break };
            if !matches!(timeout(UNREAD, sink.send(next)).await, Ok(Ok(()))) {
                return; // gone, or not reading
            }
        }
        let _gone = timeout(Duration::from_secs(1), sink.close()).await;
    });
    let streams = Arc::new(Semaphore::new(STREAMS));
    let mut tasks = JoinSet::new();
    loop {
        let received = tokio::select! {
            // Each ping is answered, and a message ends: who does neither for two of them is gone, or wants to be held.
            received = timeout(ping * 2, incoming.next()) => match received {
                Ok(received) => received,
                Err(_) => break,
            },
            () = state.stopping.cancelled() => break,
            () = outbox.closed() => break,
        };
        while tasks.try_join_next().is_some() {}
        let text = match received {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_))) => {
                let error =
                    Error::new(Code::Malformed, "Binary messages are not understood: send JSON as text.");
                if outbox.send(refusal(&error, &new_request_id())).await.is_err() {
                    break;
                }
                continue;
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => break,
        };
        // Each message is a request of its own.
        let id = new_request_id();
        let said = Incoming { text: &text, id: &id, accumulate };
        if let Err(failure) = handle(&state, &caller, said, &outbox, &streams, &mut tasks).await
            && outbox.send(refusal(&failure.0, &id)).await.is_err()
        {
            break;
        }
    }
    tasks.abort_all();
    drop(outbox);
    let _ended = timeout(UNREAD, writer).await;
}

/// One message of the client.
struct Incoming<'a> {
    text: &'a str,
    /// Of the request that it is.
    id: &'a str,
    /// Tokens carry the text so far.
    accumulate: bool,
}

async fn handle(
    state: &AppState,
    caller: &auth::Caller,
    Incoming { text, id, accumulate }: Incoming<'_>,
    outbox: &mpsc::Sender<Message>,
    streams: &Arc<Semaphore>,
    tasks: &mut JoinSet<()>,
) -> Result<()> {
    // The socket may outlive the login that opened it.
    state.ctx.auth.still_good(&state.ctx.db, caller).await?;
    let mut command: Command = parse_file(text.as_bytes()).map_err(of_message)?;
    command.accumulate |= accumulate;
    let job_id = |command: &Command| -> Result<JobId> {
        let id = command.job_id.as_deref().and_then(|id| id.parse().ok());
        Ok(id.ok_or_else(|| Error::not_found("job"))?)
    };
    match command.kind.as_deref() {
        None | Some("chat") => {
            guard::message(state, caller).await?;
            let body: ChatBody = parse_file(text.as_bytes()).map_err(of_message)?;
            let trace = Trace(rapport_common::telemetry::trace::TraceContext::root());
            let permit = Arc::clone(streams).try_acquire_owned();
            let permit = permit
                .map_err(|_| Error::new(Code::RateLimited, "Too many answers stream on this connection."))?;
            let repeatable = Repeatable::of(command.idempotency_key, text.to_owned());
            let new = body.new_chat(&state.ctx, trace, repeatable.map(as_said))?;
            let accepted = send_message(&state.ctx, caller, new).await?;
            if accepted.replayed {
                let job = load(state, caller, accepted.job).await?;
                let events = job_events(state, caller, &job, EventId::START, command.accumulate);
                forward(events, id, outbox, permit, tasks);
            } else {
                let events = new_job_events(state, caller, &accepted, command.accumulate).await;
                forward(events, id, outbox, permit, tasks);
            }
            Ok(())
        }
        Some("resume") => {
            let after = command.after.as_deref().unwrap_or("0-0").parse();
            let after = after.map_err(|_| Error::field("after", Wrong::Form("must look like `1-17`")))?;
            let permit = Arc::clone(streams).try_acquire_owned();
            let permit = permit
                .map_err(|_| Error::new(Code::RateLimited, "Too many answers stream on this connection."))?;
            let job = load(state, caller, job_id(&command)?).await?;
            Content::of_job(job.kind).check(caller)?;
            forward(job_events(state, caller, &job, after, command.accumulate), id, outbox, permit, tasks);
            Ok(())
        }
        Some("cancel") => {
            let job = load(state, caller, job_id(&command)?).await?;
            Content::of_job(job.kind).check(caller)?;
            cancel_job(&state.ctx, caller.user, job.id).await?;
            Ok(())
        }
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            let wrong = Wrong::NoneOf { given: other, values: &["chat", "cancel", "resume"] };
            Err(Error::field("type", wrong).into())
        }
    }
}

fn forward(
    events: impl Stream<Item = Event> + Send + 'static,
    id: &str,
    outbox: &mpsc::Sender<Message>,
    permit: OwnedSemaphorePermit,
    tasks: &mut JoinSet<()>,
) {
    let (outbox, id) = (outbox.clone(), id.to_owned());
    // On the heap, and not within: see `stream::sse`.
    let mut events = Box::pin(events);
    tasks.spawn(async move {
        let _permit = permit;
        while let Some(event) = events.next().await {
            if outbox.send(message(&event, &id)).await.is_err() {
                return;
            }
        }
    });
}
