//! Everything that happens to a user, in one stream, for a UI: jobs, memories, titles.

use std::collections::{BTreeMap, BTreeSet};

use async_stream::stream;
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use chrono::{DateTime, TimeDelta, Utc};
use rapport_common::{
    Context, auth, clock,
    domain::{
        event::{Event, EventId},
        ids::{JobId, UserId},
        job::{JobKind, JobStatus},
    },
    error::Code,
    store::{self, Conn, jobs::JobState, memory_log},
};
use serde::Deserialize;
use serde_json::json;

use super::{jobs::caller_or_ticket, memory::events::PAGE};
use crate::{
    error::Result,
    extract::{Asked, after_event},
    policy::Content,
    state::AppState,
    stream::{
        following::{At, Following, Look},
        sse,
    },
};

/// Transactions become visible a little after the times they carry.
const OVERLAP: TimeDelta = TimeDelta::seconds(5);

/// How far back a stream may be resumed. Memory events are kept as long.
const KEPT: TimeDelta = TimeDelta::days(1);

#[derive(Default, Deserialize)]
struct Parameters {
    after: Option<String>,
    token: Option<String>,
}

/// Jobs whose last state is remembered; of more, only of those that are open.
const REMEMBERED: usize = 2_000;
/// Open jobs that are looked at though nothing was heard of them.
const OPEN: usize = 500;

/// What a reader has heard: every change of a job up to a moment, and every event of the memory up to a number. Both make
/// the id of an event, `<seconds>-<number>`.
#[derive(Clone, Copy)]
struct Heard {
    jobs: DateTime<Utc>,
    memory: i64,
}

impl Heard {
    fn id(self) -> EventId {
        let seconds = u32::try_from(self.jobs.timestamp()).unwrap_or_default();
        EventId::new(seconds, u32::try_from(self.memory).unwrap_or(u32::MAX))
    }

    fn of(id: EventId, now: DateTime<Utc>) -> Self {
        let jobs = DateTime::from_timestamp(i64::from(id.attempt), 0).unwrap_or(now);
        Self { jobs: jobs.clamp(now - KEPT, now), memory: i64::from(id.n) }
    }
}

/// Follow everything that happens to you
///
/// Server-sent events: `job` (`{job_id, kind, status, session_id}` whenever a job's state changes), `title`
/// (`{session_id, title}`), and what `GET /memory/events` tells. An API key hears of titles with the scope `chat`, and of
/// memories with `memory`.
///
/// Begins with what happens next. `Last-Event-ID` (or `?after=`) resumes after that event, for a day: what happened to the
/// memory meanwhile is told once each; of each job (of those made within a day before, the newest 500 that changed) the state that it has
/// now, which may be told again.
#[utoipa::path(get, path = "/events", tag = "jobs",
    params(("after" = Option<String>, Query, description = "The last event seen"),
           ("Last-Event-ID" = Option<String>, Header, description = "The last event seen"),
           ("token" = Option<String>, Query, description = "A ticket, for clients that cannot set headers")),
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
    let ctx = state.ctx.clone();
    let user = caller.user;
    let mut following = Following::start(&ctx.bells, user);
    let mut told = Told::default();
    let mut heard =
        if resumes { Heard::of(after, clock::now()) } else { from_now(&ctx, user, &mut told).await? };
    let events = stream! {
        let mut look = Look { at: At::Missed, ..Look::default() };
        loop {
            let now = clock::now();
            let found = async {
                let mut conn = ctx.db.read().await?;
                let jobs = told.look(&mut conn, user, &look, heard.jobs - OVERLAP).await?;
                let events = memory_log::events_after(&mut conn, user, heard.memory, PAGE).await?;
                Ok::<_, crate::error::Failure>((jobs, events))
            };
            // A database that is away costs a pause.
            let Ok((jobs, memories)) = found.await else {
                look = following.after_failure(look).await;
                continue;
            };
            // Whether all that changed until now is known. If not, who resumes may hear some of it again.
            let is_all = look.at != At::Changed;
            let mut news = told.news(jobs).into_iter().peekable();
            while let Some(job) = news.next() {
                // Who is cut off before the last of them hears all of them again.
                if is_all && news.peek().is_none() {
                    heard.jobs = now;
                }
                for event in of_job(&caller, heard.id(), job) {
                    yield event;
                }
            }
            if is_all {
                heard.jobs = now;
            }
            let is_whole = memories.len() as i64 == PAGE;
            for memory_log::Event { n, name, data } in memories {
                heard.memory = n;
                if !Content::Memories.is_for(&caller) {
                    continue;
                }
                yield Event::new(heard.id(), &name, data);
            }
            // There is more.
            look = if is_whole { Look::default() } else { following.next().await };
            if ctx.auth.still_good(&ctx.db, &caller).await.is_err_and(|error| error.code == Code::Unauthorized) {
                return;
            }
        }
    };
    Ok(sse::response(&state, slot, events))
}

/// Where a reader begins that has heard nothing: what is known before is not told again.
async fn from_now(ctx: &Context, user: UserId, told: &mut Told) -> Result<Heard> {
    let now = clock::now();
    let mut conn = ctx.db.read().await?;
    let known = store::jobs::changed(&mut conn, user, now - OVERLAP).await?;
    told.states.extend(known.into_iter().map(|job| (job.id, job.status)));
    Ok(Heard { jobs: now, memory: memory_log::last_event(&mut conn, user).await? })
}

/// The states of jobs that a reader was told of, the oldest first.
#[derive(Default)]
struct Told {
    states: BTreeMap<JobId, JobStatus>,
}

impl Told {
    /// Jobs that may have changed since a moment, in order.
    async fn look(
        &mut self,
        conn: &mut Conn,
        user: UserId,
        look: &Look,
        since: DateTime<Utc>,
    ) -> Result<Vec<JobState>> {
        let Look { jobs: rung, at } = look;
        let mut jobs = match at {
            At::Changed => return states(conn, user, rung.iter().copied().collect()).await,
            At::Everything => store::jobs::changed_lately(conn, user, since).await?,
            At::Missed => store::jobs::changed(conn, user, since).await?,
        };
        // And those that it knows to be open: of very many the oldest, which end first.
        let seen: BTreeSet<JobId> = jobs.iter().map(|job| job.id).collect();
        let open = self.states.iter().filter(|(_, status)| !status.is_final()).map(|(id, _)| *id).take(OPEN);
        let open: BTreeSet<JobId> =
            open.chain(rung.iter().copied()).filter(|id| !seen.contains(id)).collect();
        let open: Vec<JobId> = open.into_iter().collect();
        let found = states(conn, user, open.clone()).await?;
        // Those that are gone were deleted, with their session.
        for id in open.iter().filter(|id| found.iter().all(|job| job.id != **id)) {
            self.states.remove(id);
        }
        jobs.extend(found);
        jobs.sort_unstable_by_key(|job| job.id);
        Ok(jobs)
    }

    /// Those whose state was not told yet. It counts as told.
    fn news(&mut self, mut jobs: Vec<JobState>) -> Vec<JobState> {
        jobs.retain(|job| self.states.insert(job.id, job.status) != Some(job.status));
        let many = self.states.len().saturating_sub(REMEMBERED);
        if many > 0 {
            let ended = self.states.iter().filter(|(_, status)| status.is_final()).map(|(id, _)| *id);
            let oldest: Vec<JobId> = ended.take(many).collect();
            for id in oldest {
                self.states.remove(&id);
            }
        }
        jobs
    }
}

async fn states(conn: &mut Conn, user: UserId, of: Vec<JobId>) -> Result<Vec<JobState>> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    Ok(store::jobs::states(conn, user, &of).await?)
}

/// What is told of a job whose state changed: the title, if it made one, and its state.
fn of_job(caller: &auth::Caller, id: EventId, job: JobState) -> Vec<Event> {
    let data =
        json!({"job_id": job.id, "kind": job.kind, "status": job.status, "session_id": job.session_id});
    let has_title = Content::Conversations.is_for(caller)
        && job.kind == JobKind::Title
        && job.status == JobStatus::Succeeded;
    let title = has_title.then(|| Event::new(id, "title", job.title.unwrap_or_default()));
    title.into_iter().chain([Event::new(id, "job", data)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_way_through_an_id() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let heard = Heard { jobs: now - TimeDelta::hours(3), memory: 17 };
        let read = Heard::of(heard.id().to_string().parse().unwrap(), now);
        assert_eq!((read.jobs, read.memory), (heard.jobs, heard.memory));
        let old = Heard::of(EventId::START, now);
        assert_eq!((old.jobs, old.memory), (now - KEPT, 0), "no further back than a day");
        assert_eq!(Heard::of(EventId::new(u32::MAX, 0), now).jobs, now, "nobody has heard the future");
    }
}
