//! Reading a job's events: what was, what comes, and making good what the log lost.
//!
//! The reader subscribes, then reads the log, then goes on live. An event is given only when it directly follows the
//! last one; otherwise the log is read again. If the log itself has a hole (Redis was wiped), the reader gives a
//! `reset` and the answer so far from the ledger's checkpoint, then goes on ([`mend`](super::mend)). If the ledger says the
//! job is final and the log has no final event, it is made from the ledger.
//!
//! Thousands of these wait at once, and a future is as large as the largest thing it may ever do: what happens rarely is
//! boxed, so that a waiting stream holds about 2 KiB instead of 60.

mod mend;

use std::time::Duration;

use async_stream::stream;
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    Context, Error, Result, clock,
    domain::{
        event::{Event, EventId},
        ids::{JobId, UserId},
        job::{Job, JobKind},
    },
    events::{EventsError, Live, Subscription, watch::Watched},
    last_event::final_event_of,
    store,
    telemetry::metrics::METRICS,
};
use mend::{Given, Mended, fill_hole};

/// How soon a log that could not be read is read again.
const AGAIN: Duration = Duration::from_millis(300);

/// A worker ends a job in the ledger, then tells it. For so long a reader that knows the end from the ledger waits to be
/// told: the real event has its number and needs no `reset` before it.
const TELLING: Duration = Duration::from_secs(1);

/// The events of a user's job after `after`, to the final one. The caller has shown that the job is the user's.
pub fn follow(ctx: Context, user: UserId, job: JobId, after: EventId) -> impl Stream<Item = Event> + Send {
    stream! {
        let ear = Ear::listen(&ctx, job).await;
        let ended = Box::pin(ledger_says_final(&ctx, user, job)).await;
        let begin = Begin { after, is_new: false, ended };
        let mut events = Box::pin(follow_from(ctx, user, ear, begin));
        while let Some(event) = events.next().await {
            yield event;
        }
    }
}

/// Listens to a job that has not started: nothing of it can be missed, so nothing needs to be looked up.
pub struct Ear {
    job: JobId,
    /// Without the live feed the ledger still ends the stream.
    live: Option<Subscription>,
    watched: Watched,
}

impl Ear {
    pub async fn listen(ctx: &Context, job: JobId) -> Self {
        Self { job, live: ctx.events.subscribe(job).await.ok(), watched: ctx.finals.watch(job) }
    }

    /// All events of the job, from its start.
    pub fn follow(self, ctx: Context, user: UserId) -> impl Stream<Item = Event> + Send {
        follow_from(ctx, user, self, Begin { after: EventId::START, is_new: true, ended: false })
    }
}

/// Where a reader begins.
struct Begin {
    after: EventId,
    /// The job had not started when the reader began to listen: the log need not be read before something is missing.
    is_new: bool,
    /// The ledger has said that the job is final.
    ended: bool,
}

fn follow_from(ctx: Context, user: UserId, ear: Ear, begin: Begin) -> impl Stream<Item = Event> + Send {
    stream! {
        let Ear { job, mut live, watched } = ear;
        let Begin { after, mut is_new, mut ended } = begin;
        let mut given = Given::up_to(after);
        // Who listened when the job ended is about to be told, whatever the clocks say.
        let mut was_listening = false;
        let mut told_by = None;
        loop {
            let looked_at = clock::now();
            // A log that cannot be read is not an empty one.
            let logged = logged(&ctx, job, given.last, std::mem::take(&mut is_new)).await;
            let log_is_away = logged.is_err();
            for event in logged.unwrap_or_default() {
                if event.is_final() && event.id > given.last {
                    for event in given.ending(event) { yield event; }
                    return;
                }
                for event in Box::pin(of_log(&ctx, job, &mut given, event)).await {
                    yield event;
                }
            }
            if ended {
                let look = Look { began_after: after, at: looked_at, was_listening };
                match Box::pin(end_by_ledger(&ctx, user, job, &given, look)).await {
                    Ok(Some(End { is_new: true, .. })) if told_by.is_none_or(|by| by > Instant::now()) => {
                        let by = *told_by.get_or_insert_with(|| Instant::now() + TELLING);
                        let _or_the_ledgers = tokio::time::timeout_at(by, told(&mut live)).await;
                    }
                    Ok(Some(End { events: last, .. })) => {
                        for event in counted(last) { yield event; }
                        return;
                    }
                    // It was retried by hand.
                    Ok(None) => (ended, was_listening, told_by) = (false, false, None),
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await, // the database is away
                }
                if ended {
                    continue;
                }
            }
            // Live until something is missing.
            loop {
                match hear(&mut live, watched.is_final(), log_is_away).await {
                    Some(Live::Event(event)) if event.id <= given.last => {}
                    Some(Live::Event(event)) if event.id.follows(given.last) => {
                        if event.is_final() {
                            for event in given.ending(Event::clone(&event)) {
                                yield event;
                            }
                            return;
                        }
                        given.note(&event);
                        yield Event::clone(&event);
                    }
                    Some(Live::Event(_) | Live::Reread) => break,
                    None => {
                        (ended, was_listening) = (true, true);
                        break;
                    }
                }
            }
        }
    }
}

/// What was made from the ledger, if anything.
fn counted(events: Vec<Event>) -> Vec<Event> {
    if !events.is_empty() {
        METRICS.events.with_label_values(&["made_from_ledger"]).inc();
    }
    events
}

/// What the log has after an event; of a job that has just begun, nothing.
async fn logged(
    ctx: &Context,
    job: JobId,
    after: EventId,
    is_new: bool,
) -> std::result::Result<Vec<Event>, EventsError> {
    if is_new { Ok(Vec::new()) } else { ctx.events.read_after(job, after).await }
}

/// What an event of the log gives: itself if it follows the last one, after what fills a hole before it.
async fn of_log(ctx: &Context, job: JobId, given: &mut Given, event: Event) -> Vec<Event> {
    let mut all = Vec::new();
    if event.id > given.last
        && !event.id.follows(given.last)
        && let Mended::By(made) = fill_hole(ctx, job, event.id).await
    {
        made.iter().for_each(|made| given.note(made));
        all = made;
    }
    // Else it was given, is in what was made, or is of no use.
    if event.id.follows(given.last) {
        given.note(&event);
        all.push(event);
    }
    all
}

/// Until a final event was published, or some may have been missed.
async fn told(live: &mut Option<Subscription>) {
    let Some(live) = live.as_mut() else { return std::future::pending().await };
    loop {
        match live.next().await {
            Live::Event(event) if !event.is_final() => {}
            Live::Event(_) | Live::Reread => return,
        }
    }
}

/// What comes next. `None`: the ledger says that the job is final. A log that could not be read is read again soon.
async fn hear(
    live: &mut Option<Subscription>,
    is_final: impl Future<Output = ()>,
    log_is_away: bool,
) -> Option<Live> {
    let next = async {
        match live.as_mut() {
            Some(live) => live.next().await,
            None => std::future::pending().await,
        }
    };
    let again =
        async { if log_is_away { tokio::time::sleep(AGAIN).await } else { std::future::pending().await } };
    tokio::select! {
        // What was told goes first: where many wait for one end, each that goes by the ledger instead asks the database.
        biased;
        live = next => Some(live),
        () = is_final => None,
        () = again => Some(Live::Reread),
    }
}

/// Waits until a user's job is final, at most for `wait`, or until this process is to stop.
pub async fn wait_final(ctx: &Context, user: UserId, job: JobId, wait: Duration) -> Result<Option<Job>> {
    let ear = Ear::listen(ctx, job).await;
    wait_with(ctx, user, ear, wait).await
}

/// What a wait for a new job ended with.
pub enum Waited {
    /// Its final event: no need to ask the ledger what it says itself.
    Heard(Event),
    /// The job as it is; `None` when it is gone.
    Looked(Option<Box<Job>>),
}

/// The same for a job that has not started yet.
pub async fn wait_started(ctx: &Context, user: UserId, mut ear: Ear, wait: Duration) -> Result<Waited> {
    let deadline = Instant::now() + wait;
    if !wait.is_zero()
        && let Some(event) = heard_final(ctx, &mut ear.live, &ear.watched, deadline).await
    {
        return Ok(Waited::Heard(event));
    }
    let left = deadline.saturating_duration_since(Instant::now());
    Ok(Waited::Looked(wait_with(ctx, user, ear, left).await?.map(Box::new)))
}

async fn wait_with(ctx: &Context, user: UserId, ear: Ear, wait: Duration) -> Result<Option<Job>> {
    let deadline = Instant::now() + wait;
    let Ear { job, mut live, watched } = ear;
    loop {
        let mut conn = ctx.db.read().await?;
        let found = store::jobs::get(&mut conn, user, job).await?;
        drop(conn);
        let Some(found) = found else { return Ok(None) };
        let is_late = Instant::now() >= deadline || ctx.stopping.is_cancelled();
        if found.status.is_final() || is_late {
            return Ok(Some(found));
        }
        let _ledger_tells = heard_final(ctx, &mut live, &watched, deadline).await;
    }
}

/// Until something says that the job is final, or may be, or the deadline. Gives the final event, if that was it.
async fn heard_final(
    ctx: &Context,
    live: &mut Option<Subscription>,
    watched: &Watched,
    deadline: Instant,
) -> Option<Event> {
    let ended = async {
        loop {
            match live.as_mut() {
                Some(live) => match live.next().await {
                    Live::Event(event) if event.is_final() => return Some(Event::clone(&event)),
                    Live::Event(_) => {}
                    Live::Reread => return None,
                },
                None => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        biased;
        heard = ended => heard,
        () = watched.is_final() => None,
        () = tokio::time::sleep_until(deadline) => None,
        () = ctx.stopping.cancelled() => None,
    }
}

/// Whether a final job has nothing after `after`: its reader has seen the end.
pub async fn is_over(ctx: &Context, job: &Job, after: EventId) -> bool {
    job.status.is_final()
        && after > EventId::JOB
        && (after >= EventId::last_of(job.attempt) || already_final(ctx, job.id, after).await)
}

/// Whether `after` itself was the final event of the log.
async fn already_final(ctx: &Context, job: JobId, after: EventId) -> bool {
    if after.n == 0 {
        return false;
    }
    let before = EventId::new(after.attempt, after.n - 1);
    let events = ctx.events.read_after(job, before).await.unwrap_or_default();
    events.first().is_some_and(|event| event.id == after && event.is_final())
}

async fn ledger_says_final(ctx: &Context, user: UserId, job: JobId) -> bool {
    let Ok(mut conn) = ctx.db.read().await else { return false };
    matches!(store::jobs::get(&mut conn, user, job).await, Ok(Some(job)) if job.status.is_final())
}

/// What ends the stream of a job, as the ledger has it.
struct End {
    events: Vec<Event>,
    /// The worker may be about to tell it.
    is_new: bool,
}

/// Whether the log was read too soon after a job's end to have it for certain. However long the ledger itself was waited for.
fn may_be_told_since(ended: DateTime<Utc>, looked_at: DateTime<Utc>) -> bool {
    (looked_at - ended).to_std().unwrap_or_default() < TELLING
}

/// From where the ledger is asked for a job's end.
struct Look {
    /// The stream's beginning.
    began_after: EventId,
    /// When the log was read last.
    at: DateTime<Utc>,
    was_listening: bool,
}

/// `None`: the job is not final.
async fn end_by_ledger(
    ctx: &Context,
    user: UserId,
    id: JobId,
    given: &Given,
    look: Look,
) -> Result<Option<End>> {
    let mut conn = ctx.db.read().await?;
    let found = store::jobs::get(&mut conn, user, id).await?;
    drop(conn);
    // Deleted with its session.
    let Some(job) = found else {
        let mut problem = Error::not_found("job any more").problem(None);
        problem["job_id"] = json!(id);
        let event = Event::new(EventId::last_of(given.last.attempt), "error", problem);
        return Ok(Some(End { events: vec![event], is_new: false }));
    };
    let Some(event) = final_event_of(&job) else { return Ok(None) };
    // Whoever has seen the final event, real or made, has seen all.
    if event.id <= given.last || already_final(ctx, id, look.began_after).await {
        return Ok(Some(End { events: Vec::new(), is_new: false }));
    }
    let may_be_told =
        || look.was_listening || job.finished_at.is_some_and(|ended| may_be_told_since(ended, look.at));
    let is_new = job.kind == JobKind::Chat && may_be_told();
    Ok(Some(End { events: given.ending(event), is_new }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::ids::new_uuid,
        events::{EventLog, LocalEvents},
    };
    use chrono::TimeDelta;

    #[tokio::test]
    async fn what_was_told_goes_before_what_the_ledger_says() {
        let events = LocalEvents::new(Duration::from_mins(1));
        let job = JobId(new_uuid());
        let mut live = Some(events.subscribe(job).await.unwrap());
        for n in 1..=64 {
            events.append(job, &[Event::new(EventId::new(1, n), "token", json!({}))]).await.unwrap();
            let heard = hear(&mut live, std::future::ready(()), false).await;
            assert!(matches!(heard, Some(Live::Event(event)) if event.id.n == n));
        }
        assert!(hear(&mut live, std::future::ready(()), false).await.is_none());
    }

    #[test]
    fn a_log_that_was_read_at_the_end_is_read_again_however_late_the_ledger_answers() {
        let ended = clock::now();
        assert!(may_be_told_since(ended, ended - TimeDelta::seconds(5)), "read before the end");
        assert!(may_be_told_since(ended, ended + TimeDelta::milliseconds(900)));
        assert!(!may_be_told_since(ended, ended + TimeDelta::milliseconds(1_100)));
    }
}
