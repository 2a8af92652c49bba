//! A response's events, as server-sent events.

use async_stream::stream;
use axum::{body::Bytes, response::Response};
use futures::{Stream, StreamExt, stream::BoxStream};
use rapport_common::domain::event::Event;
use serde_json::Value;

use super::weave::Weave;
use crate::{
    slots::Slot,
    state::AppState,
    stream::sse,
    v1::{gone::Gone, stream::farewell},
};

/// Who reads a response's events.
pub struct Reader {
    /// Whose going away cancels it.
    pub gone: Option<Gone>,
    /// The number of the last event that was seen.
    pub after: Option<u64>,
}

pub fn response(
    state: &AppState,
    slot: Slot,
    weave: Weave,
    events: BoxStream<'static, Event>,
    reader: Reader,
) -> Response {
    sse::framed(state, slot, framed(weave, events, reader), farewell())
}

/// Named as the event says itself, each in one piece.
fn frame(event: &Value) -> Bytes {
    Bytes::from(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
}

/// Whether a reader that has seen the events up to `after` has not seen this one. Of an answer that broke off and was told no further
/// than to live readers, the end has a lower number than what they saw: it is given all the same.
fn is_new(event: &Value, after: Option<u64>) -> bool {
    let (Some(after), Some(number)) = (after, event["sequence_number"].as_u64()) else { return true };
    let is_end = matches!(
        event["type"].as_str(),
        Some("response.completed" | "response.incomplete" | "response.failed")
    );
    // Of a failure also at that very number: what stood there for live readers may have been another event.
    let is_failure = event["type"] == "response.failed";
    number > after || is_end && number < after || is_failure && number == after
}

fn framed(
    mut weave: Weave,
    mut events: BoxStream<'static, Event>,
    Reader { mut gone, after }: Reader,
) -> impl Stream<Item = Bytes> + Send {
    stream! {
        for event in weave.begin() {
            if is_new(&event, after) {
                yield frame(&event);
            }
        }
        while let Some(event) = events.next().await {
            if event.is_final() && let Some(gone) = &mut gone {
                gone.done();
            }
            for event in weave.follow(&event) {
                if is_new(&event, after) {
                    yield frame(&event);
                }
            }
        }
        yield Bytes::from_static(b"data: [DONE]\n\n");
    }
}
