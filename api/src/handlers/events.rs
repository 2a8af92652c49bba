//! Everything that happens to a user, in one stream, for a UI: jobs, memories, titles.

use std::{collections::HashMap, time::Duration};

use async_stream::stream;
use axum::{extract::State, http::Uri, response::Response};
use chrono::TimeDelta;
use rapport_common::{
    clock,
    domain::{
        event::{Event, EventId},
        ids::JobId,
        job::{JobKind, JobStatus},
    },
    error::Code,
    store::{self, memory_log},
};
use serde::Deserialize;
use serde_json::json;

use super::jobs::caller_or_ticket;
use crate::{error::Result, extract::Identity, policy::Content, state::AppState, stream::sse};

/// How often the database is asked: two queries by index a stream.
const PERIOD: Duration = Duration::from_millis(500);
/// Transactions become visible a little after the times they carry.
const OVERLAP: TimeDelta = TimeDelta::seconds(5);

#[derive(Default, Deserialize)]
struct Parameters {
    token: Option<String>,
}

/// Follow everything that happens to you
///
/// Server-sent events, from now on: `job` (`{job_id, kind, status, session_id}` whenever a job's state changes), `title`
/// (`{session_id, title}`), and what `GET /memory/events` tells. An API key hears of titles with the scope `chat`, and of
/// memories with `memory`.
#[utoipa::path(get, path = "/events", tag = "jobs",
    params(("token" = Option<String>, Query, description = "A ticket, for clients that cannot set headers")),
    responses((status = 200, description = "Events", body = crate::openapi::StreamEvent, content_type = "text/event-stream")))]
pub async fn events(
    State(state): State<AppState>,
    uri: Uri,
    axum::Extension(identity): axum::Extension<Identity>,
) -> Result<Response> {
    let params =
        axum::extract::Query::<Parameters>::try_from_uri(&uri).map(|query| query.0).unwrap_or_default();
    let caller = caller_or_ticket(&state, identity, params.token.as_deref(), &uri).await?;
    let slot = state.slots.take(caller.user, "sse")?;
    let ctx = state.ctx.clone();
    let user = caller.user;
    let mut since = clock::now();
    // What is known before is not told again.
    let mut conn = ctx.db.read().await?;
    let mut memory = memory_log::last_event(&mut conn, user).await?;
    let known = store::jobs::changed(&mut conn, user, since - OVERLAP).await?;
    drop(conn);
    let mut told: HashMap<JobId, JobStatus> = known.into_iter().map(|job| (job.id, job.status)).collect();
    let events = stream! {
        let mut n = 0;
        let mut next = |name: &str, data| {
            n += 1;
            Event::new(EventId::new(1, n), name, data)
        };
        loop {
            let now = clock::now();
            let found = async {
                let mut conn = ctx.db.read().await?;
                let jobs = store::jobs::changed(&mut conn, user, since - OVERLAP).await?;
                let events = memory_log::events_after(&mut conn, user, memory, 200).await?;
                Ok::<_, rapport_common::Error>((jobs, events))
            };
            // A database that is away costs a pause.
            if let Ok((jobs, memories)) = found.await {
                since = now;
                let mut still: HashMap<JobId, JobStatus> = HashMap::new();
                for job in jobs {
                    still.insert(job.id, job.status);
                    if told.get(&job.id) == Some(&job.status) {
                        continue;
                    }
                    let data = json!({"job_id": job.id, "kind": job.kind, "status": job.status, "session_id": job.session_id});
                    yield next("job", data);
                    let has_title = Content::Conversations.is_for(&caller);
                    if has_title && job.kind == JobKind::Title && job.status == JobStatus::Succeeded {
                        yield next("title", job.result.unwrap_or_default());
                    }
                }
                told = still;
                for (at, name, data) in memories {
                    memory = at;
                    if !Content::Memories.is_for(&caller) {
                        continue;
                    }
                    yield next(&name, data);
                }
            }
            tokio::time::sleep(PERIOD).await;
            if ctx.auth.still_good(&ctx.db, &caller).await.is_err_and(|error| error.code == Code::Unauthorized) {
                return;
            }
        }
    };
    Ok(sse::response(&state, slot, events))
}
