//! Reads sessions again, window by window: each window's effects commit with the job's progress, so a crash repeats at
//! most one. A dry run tells what would change and changes nothing.

use rapport_common::{
    Context, Error, Result,
    domain::{
        ids::{SessionId, UserId},
        job::Job,
        memory::Actor,
    },
    jobs::payload::BackfillPayload,
    store::extraction as rows,
    usecase::{
        memory::{
            Changes,
            extraction::{self, Difference},
        },
        settings::{self, MemorySettings},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Work,
    extraction::{Unread, read_window, wait, waits},
};
use crate::{attempt::Attempt, outcome::Outcome};

/// Where the job is: what `progress` shows, and where the next attempt goes on.
#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Place {
    /// Sessions.
    done: i64,
    total: i64,
    note: String,
    session: Option<SessionId>,
    /// The last session that was read whole.
    after: Option<SessionId>,
    /// A window of `session` could not be read: the live extraction must still come to it.
    gap: bool,
    /// The last place of it that was read.
    seq: i64,
    windows: i64,
    created: i64,
    evidence: i64,
    blocked: i64,
    /// Windows that could not be read.
    failed: i64,
    difference: Difference,
}

impl Work for BackfillPayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        match read_all(attempt, &self).await {
            Ok(outcome) => Ok(outcome),
            Err(Unread::Ours(error)) => Err(error),
            Err(Unread::Provider(error)) if waits(&error) => Ok(wait(attempt.job, &error)),
            Err(Unread::Provider(error)) if error.class.is_transient() => {
                Ok(Outcome::Retry(error.public(), error.retry_after))
            }
            Err(Unread::Provider(error)) => Ok(Outcome::Fail(error.public())),
            Err(Unread::Unreadable(_, problem)) => Ok(Outcome::Fail(Error::internal(problem))),
        }
    }
}

async fn read_all(attempt: &Attempt<'_>, payload: &BackfillPayload) -> Result<Outcome, Unread> {
    let (ctx, job, user) = (attempt.ctx, attempt.job, attempt.user()?);
    let settings = settings::get(&mut ctx.db.read().await?, user).await?.memory_settings;
    let kept = job.noted_progress::<Place>();
    let mut place = kept.unwrap_or_default();
    place.total = match payload.session_id {
        Some(_) => 1,
        None => rows::count_sessions(&mut ctx.db.read().await?, user).await?,
    };
    let reading = Reading { ctx, job, user, settings: &settings, dry_run: payload.dry_run };
    loop {
        let session = match (place.session, payload.session_id) {
            (Some(session), _) => Some(session),
            (None, Some(only)) => (place.done == 0).then_some(only),
            (None, None) => next_session(ctx, user, place.after).await?,
        };
        let Some(session) = session else { break };
        place.session = Some(session);
        if !reading.session(session, &mut place).await? {
            return Ok(Outcome::Lost);
        }
        if payload.dry_run {
            extraction::add_removed(ctx, user, session, &mut place.difference).await?;
        }
        (place.session, place.after, place.seq, place.gap) = (None, Some(session), 0, false);
        place.done += 1;
        if !rows::set_progress(&mut ctx.db.relaxed().await?, job.id, job.attempt, &progress(&place)?).await? {
            return Ok(Outcome::Lost);
        }
    }
    let result = if payload.dry_run {
        let Difference { added, changed, removed, blocked, .. } = &place.difference;
        json!({"dry_run": true, "added": added, "changed": changed, "removed": removed, "blocked": blocked,
            "windows": place.windows, "failed": place.failed})
    } else {
        json!({"sessions": place.done, "windows": place.windows, "created": place.created, "evidence": place.evidence,
            "blocked": place.blocked, "failed": place.failed})
    };
    Ok(attempt.succeed(result).await)
}

/// Sessions in the order they were made, one after the other: those deleted meanwhile move no other.
async fn next_session(ctx: &Context, user: UserId, after: Option<SessionId>) -> Result<Option<SessionId>> {
    let after = after.unwrap_or(SessionId(uuid::Uuid::nil()));
    let next = rows::sessions(&mut ctx.db.read().await?, user, after, 1).await?;
    Ok(next.first().copied())
}

fn progress(place: &Place) -> Result<Value> {
    serde_json::to_value(place).map_err(Error::internal)
}

/// What is the same for all sessions of one attempt.
struct Reading<'a> {
    ctx: &'a Context,
    job: &'a Job,
    user: UserId,
    settings: &'a MemorySettings,
    dry_run: bool,
}

impl Reading<'_> {
    /// Reads a session from where the job is. `false`: this attempt has lost the job.
    async fn session(&self, session: SessionId, place: &mut Place) -> Result<bool, Unread> {
        let &Self { ctx, job, user, settings, .. } = self;
        loop {
            let turns = rows::user_turns(&mut ctx.db.read().await?, user, session, place.seq, 20).await?;
            let Some((from, to)) = extraction::window(&turns) else { return Ok(true) };
            let window = extraction::load(ctx, user, session, from, to).await?;
            let read = match read_window(ctx, job, user, window).await {
                Ok(read) => Some(read),
                Err(Unread::Unreadable(..)) => None,
                Err(unread) => return Err(unread),
            };
            place.windows += 1;
            place.seq = to;
            place.note = format!("session {} of {}", place.done + 1, place.total);
            match read {
                None => {
                    place.failed += 1;
                    place.gap = true;
                }
                Some(read) if self.dry_run => {
                    extraction::add_difference(ctx, user, session, &read, settings, &mut place.difference)
                        .await?;
                }
                Some(read) => {
                    let mut changes = Changes::open(ctx, user, Actor::Extractor).await?;
                    let counts =
                        extraction::store_read(ctx, &mut changes, job, (session, from, to), &read, settings)
                            .await?;
                    if !place.gap {
                        rows::advance(&mut changes.tx, user, session, to).await?;
                    }
                    place.created += counts.created;
                    place.evidence += counts.evidence;
                    place.blocked += counts.blocked;
                    if !rows::set_progress_in(&mut changes.tx, job.id, job.attempt, &progress(place)?).await?
                    {
                        return Ok(false);
                    }
                    changes.commit(ctx).await?;
                    continue;
                }
            }
            if !rows::set_progress(&mut ctx.db.relaxed().await?, job.id, job.attempt, &progress(place)?)
                .await?
            {
                return Ok(false);
            }
        }
    }
}
