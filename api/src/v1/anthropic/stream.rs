//! Answers as Anthropic's events.

use async_stream::stream;
use axum::body::Bytes;
use futures::{Stream, StreamExt};
use rapport_common::domain::ids::JobId;
use serde_json::{Value, json};

use super::answer;
use crate::{
    handlers::chat::error_of,
    v1::{
        answer::Said,
        gone::Gone,
        growing::Growing,
        stream::{Events, diverged},
    },
    v1_error,
};

fn frame(kind: &str, mut fields: Value) -> Bytes {
    fields["type"] = json!(kind);
    Bytes::from(format!("event: {kind}\ndata: {fields}\n\n"))
}

pub fn failed(error: &rapport_common::Error) -> Bytes {
    frame("error", v1_error::anthropic(error, None))
}

fn text_begins() -> Bytes {
    frame("content_block_start", json!({"index": 0, "content_block": {"type": "text", "text": ""}}))
}

/// What comes after the last word: the text's end, calls, why it ended.
fn ending(said: &Said, mut index: usize) -> Vec<Bytes> {
    let reason = match answer::stop_reason(said) {
        Ok(reason) => reason,
        Err(error) => return vec![failed(&error)],
    };
    let mut frames = Vec::new();
    if index > 0 {
        frames.push(frame("content_block_stop", json!({"index": 0})));
    }
    for call in answer::calls(said) {
        let block = json!({"type": "tool_use", "id": call["id"], "name": call["name"], "input": {}});
        frames.push(frame("content_block_start", json!({"index": index, "content_block": block})));
        let delta = json!({"type": "input_json_delta", "partial_json": call["input"].to_string()});
        frames.push(frame("content_block_delta", json!({"index": index, "delta": delta})));
        frames.push(frame("content_block_stop", json!({"index": index})));
        index += 1;
    }
    let delta = json!({"stop_reason": reason, "stop_sequence": null});
    frames.push(frame("message_delta", json!({"delta": delta, "usage": answer::usage(said)})));
    frames.push(frame("message_stop", json!({})));
    frames
}

pub fn framed(
    job: JobId,
    model: String,
    mut events: Events,
    mut gone: Gone,
) -> impl Stream<Item = Bytes> + Send {
    stream! {
        let message = json!({
            "id": answer::message_id(job), "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 0, "output_tokens": 0},
        });
        yield frame("message_start", json!({"message": message}));
        let mut growing = Growing::default();
        // The number of the next block: 1 once there is a text.
        let mut index = 0;
        while let Some(event) = events.next().await {
            match event.name.as_str() {
                "reset" => growing.reset(),
                "token" => {
                    let Ok(more) = growing.token(event.data["delta"].as_str().unwrap_or_default()) else {
                        yield failed(&diverged());
                        return;
                    };
                    if more.is_empty() {
                        continue;
                    }
                    if std::mem::replace(&mut index, 1) == 0 {
                        yield text_begins();
                    }
                    let delta = json!({"type": "text_delta", "text": more});
                    yield frame("content_block_delta", json!({"index": 0, "delta": delta}));
                }
                "done" => {
                    gone.done();
                    if growing.end().is_err() {
                        yield failed(&diverged());
                        return;
                    }
                    for frame in ending(&Said(event.data), index) {
                        yield frame;
                    }
                    return;
                }
                "error" => {
                    gone.done();
                    yield failed(&error_of(&event.data));
                    return;
                }
                _ => {}
            }
        }
    }
}
