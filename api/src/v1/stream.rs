//! Answers in chunks, as they are made.

use std::time::Duration;

use async_stream::stream;
use axum::{body::Bytes, response::Response};
use futures::{
    Stream, StreamExt,
    stream::{BoxStream, select_all},
};
use rapport_common::{
    Error, auth,
    domain::event::{Event, EventId},
    error::Code,
    follow::{Ear, follow},
    usecase::send_request::Requested,
};
use serde_json::{Value, json};

use super::{
    answer::{Chunks, Said, UsedTokens},
    gone::Gone,
    growing::Growing,
};
use crate::{
    content, error::Result, handlers::chat::error_of, slots::Slot, state::AppState, stream::sse,
    v1_error::body,
};

/// How long an answer is waited for before its head goes out: what fails sooner is answered with its own status.
const HEAD: Duration = Duration::from_secs(10);

pub type Events = BoxStream<'static, Event>;

/// A piece of one of the answers.
enum Piece {
    Chunk(Value),
    /// One has ended.
    Used(UsedTokens),
    Failed(Error),
}

pub fn data(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

/// What a stream says last when this process stops: a client that takes the end for the answer's must not.
pub fn farewell() -> Bytes {
    let detail = "The server is stopping. Send the request again.";
    data(&body(&Error::new(Code::Unavailable, detail), None))
}

pub async fn response(
    state: &AppState,
    slot: Slot,
    caller: &auth::Caller,
    chunks: Chunks,
    all: Vec<(Requested, Gone)>,
) -> Result<Response> {
    let mut pieces = Vec::new();
    for (index, (one, gone)) in all.into_iter().enumerate() {
        let events = events_of(state, caller, one).await;
        pieces.push((index, one, events, gone));
    }
    // The first that comes decides about the status.
    let mut begun = Vec::new();
    let deadline = tokio::time::Instant::now() + HEAD;
    for (index, one, events, mut gone) in pieces {
        let (heard, events) =
            begin(events, deadline, &mut gone).await.map_err(|error| error_as(one, error))?;
        let heard = futures::stream::iter(heard).chain(events).boxed();
        begun.push(answer(index, heard, gone, chunks.clone()).boxed());
    }
    Ok(sse::framed(state, slot, framed(chunks, begun), farewell()))
}

async fn events_of(state: &AppState, caller: &auth::Caller, one: Requested) -> Events {
    let (ctx, user) = (state.ctx.clone(), caller.user);
    let caller = caller.clone();
    let events = if one.replayed {
        follow(ctx, user, one.job, EventId::START).boxed()
    } else {
        let ear = Ear::listen(&ctx, one.job).await;
        one.start(&ctx).await;
        ear.follow(ctx, user).boxed()
    };
    events.map(move |event| content::event(&caller, event)).boxed()
}

/// The events of one answer, once there is something of it: what fails before is the error.
pub async fn answered_events(
    state: &AppState,
    caller: &auth::Caller,
    one: Requested,
    gone: &mut Gone,
) -> Result<Events> {
    let events = events_of(state, caller, one).await;
    let (heard, events) = begin(events, tokio::time::Instant::now() + HEAD, gone).await?;
    Ok(futures::stream::iter(heard).chain(events).boxed())
}

/// The events up to the first that says something of the answer, or until `deadline`.
async fn begin(
    mut events: Events,
    deadline: tokio::time::Instant,
    gone: &mut Gone,
) -> Result<(Vec<Event>, Events), Error> {
    let mut heard = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout_at(deadline, events.next()).await {
        if event.name == "error" {
            gone.done();
            return Err(error_of(&event.data));
        }
        let says = matches!(event.name.as_str(), "token" | "done");
        heard.push(event);
        if says {
            break;
        }
    }
    Ok((heard, events))
}

/// A failure, as whoever asked is told.
pub fn error_as(one: Requested, error: Error) -> Error {
    if one.is_turn { error.of_accepted(one.job) } else { error }
}

/// One answer: its chunks, and what ended it.
fn answer(
    index: usize,
    mut events: Events,
    mut gone: Gone,
    mut chunks: Chunks,
) -> impl Stream<Item = Piece> + Send {
    stream! {
        yield Piece::Chunk(chunks.begin(index));
        let mut growing = Growing::default();
        while let Some(event) = events.next().await {
            match event.name.as_str() {
                "reset" => growing.reset(),
                "token" => {
                    let delta = event.data["delta"].as_str().unwrap_or_default();
                    let Ok(more) = growing.token(delta) else {
                        yield Piece::Failed(diverged());
                        return;
                    };
                    if !more.is_empty() {
                        yield Piece::Chunk(chunks.delta(index, json!({"content": more})));
                    }
                }
                "done" => {
                    gone.done();
                    let said = Said(event.data);
                    if growing.end().is_err() {
                        yield Piece::Failed(diverged());
                        return;
                    }
                    chunks.model = said.model();
                    match chunks.end(index, &said) {
                        Ok(last) => {
                            for chunk in last {
                                yield Piece::Chunk(chunk);
                            }
                            yield Piece::Used(said.usage());
                        }
                        Err(error) => yield Piece::Failed(error),
                    }
                    return;
                }
                "error" => {
                    gone.done();
                    yield Piece::Failed(error_of(&event.data));
                    return;
                }
                _ => {}
            }
        }
    }
}

/// Another provider, or another attempt, goes on otherwise than the answer began.
pub fn diverged() -> Error {
    let detail = "The answer had to begin anew, and is not the one that was begun. Send the request again.";
    Error::new(Code::ProviderFailed, detail)
}

/// All answers side by side, then what they used together.
fn framed(chunks: Chunks, answers: Vec<BoxStream<'static, Piece>>) -> impl Stream<Item = Bytes> + Send {
    stream! {
        let mut used = UsedTokens::default();
        let mut pieces = select_all(answers);
        while let Some(piece) = pieces.next().await {
            match piece {
                Piece::Chunk(chunk) => yield data(&chunk),
                Piece::Used(one) => used += one,
                Piece::Failed(error) => {
                    yield data(&body(&error, None));
                    return;
                }
            }
        }
        if chunks.include_usage {
            yield data(&chunks.usage(used));
        }
        yield Bytes::from_static(b"data: [DONE]\n\n");
    }
}
