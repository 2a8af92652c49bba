//! What happens to the caller's memory, as it happens.

use async_stream::stream;
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use rapport_common::{
    Error,
    domain::event::{Event, EventId},
    error::Code,
    store::memory_log,
};
use serde::Deserialize;

use crate::{
    error::Result,
    extract::{Asked, after_event},
    handlers::jobs::caller_or_ticket,
    state::AppState,
    stream::{
        following::{Following, Look},
        sse,
    },
};

/// Events read at once.
pub const PAGE: i64 = 200;

#[derive(Default, Deserialize)]
struct Parameters {
    after: Option<String>,
    token: Option<String>,
}

/// Follow changes of your memory
///
/// Server-sent events: `window_queued`, `memory_created`, `memory_changed`, `conflict_opened`, `extraction_failed`. Begins
/// with what happens next; `Last-Event-ID` (or `?after=`) resumes after that event, for a day; `?after=0-0` gives all.
#[utoipa::path(get, path = "/memory/events", tag = "memory",
    params(("after" = Option<String>, Query, description = "The last event seen"),
           ("token" = Option<String>, Query, description = "A ticket, for clients that cannot set headers"),
           ("Last-Event-ID" = Option<String>, Header, description = "The last event seen")),
    responses((status = 200, description = "Events", body = crate::problem::StreamEvent, content_type = "text/event-stream")))]
pub async fn events(
    State(state): State<AppState>,
    uri: Uri,
    headers: HeaderMap,
    axum::Extension(asked): axum::Extension<Asked>,
) -> Result<Response> {
    let params =
        axum::extract::Query::<Parameters>::try_from_uri(&uri).map(|query| query.0).unwrap_or_default();
    let caller = caller_or_ticket(&state, asked, params.token.as_deref()).await?;
    let slot = state.slots.take(caller.user, "sse")?;
    let resumes = params.after.is_some() || headers.contains_key("last-event-id");
    let after = after_event(&headers, params.after.as_deref())?;
    if after.attempt > 1 {
        return Err(
            Error::new(Code::BadQuery, "The last event id must be one of this stream, like `1-17`.").into()
        );
    }
    let mut following = Following::start(&state.ctx.bells, caller.user);
    let mut last = if resumes {
        i64::from(after.n)
    } else {
        memory_log::last_event(&mut state.ctx.db.read().await?, caller.user).await?
    };
    let ctx = state.ctx.clone();
    let events = stream! {
        loop {
            let found = async { memory_log::events_after(&mut ctx.db.read().await?, caller.user, last, PAGE).await };
            // A database that is away costs a pause; the reader's place is kept.
            let found = found.await;
            let (failed, is_whole) = (found.is_err(), found.as_ref().is_ok_and(|found| found.len() as i64 == PAGE));
            for memory_log::Event { n, name, data } in found.unwrap_or_default() {
                last = n;
                yield Event::new(EventId::new(1, u32::try_from(n).unwrap_or(u32::MAX)), &name, data);
            }
            if failed {
                following.after_failure(Look::default()).await;
            } else if !is_whole {
                following.next().await;
            }
            if ctx.auth.still_good(&ctx.db, &caller).await.is_err_and(|error| error.code == Code::Unauthorized) {
                return;
            }
        }
    };
    Ok(sse::response(&state, slot, events))
}
