//! Streams of a job's events: one source, two framings.

pub mod sse;
pub mod websocket;

use async_stream::stream;
use futures::{Stream, StreamExt};
use rapport_common::{
    auth,
    domain::{
        event::{Event, EventId},
        ids::MessageId,
        job::Job,
    },
    events::follow::follow,
};
use serde_json::json;

use crate::state::AppState;

/// A job's events as a client sees them: `job` first (unless it was seen), then what [`follow`] gives; with
/// `accumulate`, tokens carry the text so far.
pub fn job_events(
    state: &AppState,
    caller: &auth::Caller,
    job: &Job,
    message: Option<MessageId>,
    after: EventId,
    accumulate: bool,
) -> impl Stream<Item = Event> + Send + use<> {
    let message =
        message.map(|id| id.to_string()).or_else(|| Some(job.payload["message_id"].as_str()?.to_owned()));
    let first = (after < EventId::JOB).then(|| {
        let data = json!({"job_id": job.id, "session_id": job.session_id, "message_id": message, "status": job.status});
        Event::new(EventId::JOB, "job", data)
    });
    // The text so far needs every token from the start, also for who resumes.
    let from = if accumulate { EventId::START } else { after };
    let events = follow(state.ctx.clone(), caller.user, job.id, from);
    stream! {
        if let Some(first) = first {
            yield first;
        }
        let mut text = String::new();
        futures::pin_mut!(events);
        while let Some(mut event) = events.next().await {
            if accumulate {
                match event.name.as_str() {
                    "reset" => text.clear(),
                    "token" => {
                        text.push_str(event.data["delta"].as_str().unwrap_or_default());
                        event.data["content"] = json!(text);
                    }
                    _ => {}
                }
                if event.id <= after {
                    continue;
                }
            }
            yield event;
        }
    }
}
