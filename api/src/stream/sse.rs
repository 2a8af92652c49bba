//! Server-sent events. <https://html.spec.whatwg.org/#server-sent-events>

use std::{convert::Infallible, time::Duration};

use async_stream::stream;
use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::Response,
};
use futures::{Stream, StreamExt};
use rapport_common::domain::event::Event;

use crate::{slots::Slot, state::AppState};

const HEARTBEAT: Duration = Duration::from_secs(15);

/// One event, whole, in one piece: proxies and clients see all of it or nothing. JSON has no raw line ends.
fn frame(event: &Event) -> Bytes {
    Bytes::from(format!("id: {}\nevent: {}\ndata: {}\n\n", event.id, event.name, event.data))
}

/// The response: events, heartbeats when nothing happens, a hint to reconnect when the process stops.
pub fn response(
    state: &AppState,
    slot: Slot,
    events: impl Stream<Item = Event> + Send + 'static,
) -> Response {
    let hint = Bytes::from_static(b"retry: 500\n: the server is stopping, reconnect\n\n");
    framed(state, slot, events.map(|event| frame(&event)), hint)
}

/// The same of frames of any form, with what is said last when the process stops.
pub fn framed(
    state: &AppState,
    slot: Slot,
    frames: impl Stream<Item = Bytes> + Send + 'static,
    farewell: Bytes,
) -> Response {
    let stopping = state.stopping.clone();
    // On the heap, and not within: what is given stays in its place there beside the box.
    let mut frames = Box::pin(frames);
    let body = stream! {
        let _slot = slot;
        loop {
            tokio::select! {
                biased;
                frame = frames.next() => match frame {
                    Some(frame) => yield Ok::<_, Infallible>(frame),
                    None => return,
                },
                () = stopping.cancelled() => {
                    yield Ok(farewell);
                    return;
                }
                () = tokio::time::sleep(HEARTBEAT) => yield Ok(Bytes::from_static(b": heartbeat\n\n")),
            }
        }
    };
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx would collect events before passing them on.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
