//! Streams of a job's events: one source, two framings.

pub mod following;
pub mod sse;

use async_stream::stream;
use futures::{Stream, StreamExt};
use rapport_common::{
    auth,
    domain::{
        event::{Event, EventId},
        job::Job,
    },
    follow::{Ear, follow},
    usecase::send_message::Accepted,
};
use serde_json::json;

use crate::{content, state::AppState};

/// A job's events as a client sees them: `job` first (unless it was seen), then what [`follow`] gives.
pub fn job_events(
    state: &AppState,
    caller: &auth::Caller,
    job: &Job,
    after: EventId,
    accumulate: bool,
) -> impl Stream<Item = Event> + Send + use<> {
    let first = (after < EventId::JOB).then(|| {
        let message = job.payload["message_id"].as_str();
        let data = json!({"job_id": job.id, "session_id": job.session_id, "message_id": message, "status": job.status});
        Event::new(EventId::JOB, "job", data)
    });
    // The text so far needs every token from the start, also for who resumes.
    let from = if accumulate { EventId::START } else { after };
    shaped(caller, first, follow(state.ctx.clone(), caller.user, job.id, from), after, accumulate)
}

/// The events of a message that was just accepted. It starts when the stream listens: nothing is looked up.
pub async fn new_job_events(
    state: &AppState,
    caller: &auth::Caller,
    accepted: &Accepted,
    accumulate: bool,
) -> impl Stream<Item = Event> + Send + use<> {
    let ear = Ear::listen(&state.ctx, accepted.job).await;
    accepted.start(&state.ctx).await;
    let Accepted { job, session, message, .. } = accepted;
    let data = json!({"job_id": job, "session_id": session, "message_id": message, "status": "queued"});
    let first = Event::new(EventId::JOB, "job", data);
    shaped(caller, Some(first), ear.follow(state.ctx.clone(), caller.user), EventId::START, accumulate)
}

/// What the caller may see of it. With `accumulate`, tokens carry the text so far.
fn shaped<S: Stream<Item = Event> + Send>(
    caller: &auth::Caller,
    first: Option<Event>,
    events: S,
    after: EventId,
    accumulate: bool,
) -> impl Stream<Item = Event> + Send + use<S> {
    let caller = caller.clone();
    // On the heap: within, it would be held twice, as what was given and as what is polled.
    let mut events = Box::pin(events);
    stream! {
        if let Some(first) = first {
            yield first;
        }
        let mut text = String::new();
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
                // A `reset` that was made now has the number of the beginning.
                if event.id <= after && event.id != EventId::JOB {
                    continue;
                }
            }
            yield content::event(&caller, event);
        }
    }
}
