//! Reading windows of conversations: when, which, and how what was found is stored exactly once.
//!
//! A message marks its session as due in the statement that stores it. The sweep puts in a job for a due session, one at
//! a time a user. The job's effects, the session's cursor and the job's end commit together, fenced: a window that was
//! read twice counts once. A window nobody can read ends as a dead job with the model's words on it; the cursor goes on,
//! so that one bad window does not stand before the next, and retrying the job reads that very window again.

mod again;

use serde_json::json;

pub use again::{Difference, add_difference, add_removed, read_again};

use super::{
    Changes,
    facts::{self, Became, Prepared},
    go_on, job, may_show_private,
    search::{self, Document},
};
use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{SessionId, UserId},
        job::{Job, JobStatus},
        memory::{Actor, Memory, RunOutcome, Turn},
        message::Role,
    },
    jobs::{Ended, payload::ExtractionPayload},
    memory::{extract, rank::Mode},
    providers::Completion,
    store::{
        self, Tx,
        extraction::{self, Run},
        jobs::Ready,
    },
    usecase::{end_job::succeed, settings::MemorySettings},
};

/// The user's turns in one window at most, and their characters (about 2,000 tokens).
const TURNS: i64 = 20;
const CHARS: i32 = 8_000;
/// Turns before the window that are shown for context.
pub const EARLIER: i64 = 4;
/// Known memories shown to the model.
const KNOWN: usize = 8;
/// Sessions that a sweep moves on at most.
const MOVED_ON: i64 = 5_000;

/// Puts in a job for each user with a due session. For the sweep.
pub async fn schedule(ctx: &Context) -> Result<()> {
    let now = clock::now();
    let moved = extraction::move_on(&mut ctx.db.relaxed().await?, now, MOVED_ON).await;
    if let Err(error) = moved {
        tracing::warn!(%error, "conversations that went on are looked at again");
    }
    let due = extraction::due(&mut ctx.db.read().await?, now, 200).await?;
    let mut served: Vec<UserId> = Vec::new();
    for (session, user) in due {
        if served.contains(&user) {
            continue; // one window at a time a user
        }
        served.push(user);
        go_on(user, schedule_one(ctx, user, session).await)?;
    }
    Ok(())
}

async fn schedule_one(ctx: &Context, user: UserId, session: SessionId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    let ready = enqueue(ctx, &mut tx, user, session).await?;
    tx.commit().await?;
    ctx.announce(ready).await;
    Ok(())
}

/// Puts in the job for a session's next window; a session without one is not due any more.
pub async fn enqueue(ctx: &Context, tx: &mut Tx, user: UserId, session: SessionId) -> Result<Option<Ready>> {
    let unread = extraction::unread(tx, user, session, TURNS).await?;
    let Some((from_seq, to_seq)) = window(&unread) else {
        extraction::nothing_due(tx, user, session).await?;
        return Ok(None);
    };
    let payload = ExtractionPayload { session_id: session, from_seq, to_seq };
    let new = job(ctx, user, &payload)?.in_session(session, None).once(format!("extract:{user}"));
    let id = new.id;
    let ready = store::jobs::enqueue(tx, new).await?;
    if ready.is_some() {
        let data = json!({"job_id": id, "session_id": session});
        store::memory_log::take_version(tx, user).await?;
        store::memory_log::event(tx, user, "window_queued", &data).await?;
    }
    Ok(ready)
}

/// The first turns that make a window: (first place, last place).
pub fn window(turns: &[(i64, i32)]) -> Option<(i64, i64)> {
    let first = turns.first()?.0;
    let (mut last, mut chars) = (first, 0);
    for (seq, length) in turns {
        chars += length;
        if chars > CHARS && *seq != first {
            break;
        }
        last = *seq;
    }
    Some((first, last))
}

/// What the model is shown of a window.
pub struct Window {
    pub earlier: Vec<Turn>,
    pub turns: Vec<Turn>,
    pub known: Vec<Memory>,
}

/// Loads a window with the memories nearest to what its user said, rejected ones included.
pub async fn load(ctx: &Context, user: UserId, session: SessionId, from: i64, to: i64) -> Result<Window> {
    let mut conn = ctx.db.read().await?;
    let (earlier, turns) = extraction::turns(&mut conn, user, session, from, to, EARLIER).await?;
    drop(conn);
    let said: Vec<&str> =
        turns.iter().filter(|turn| turn.role == Role::User).map(|turn| turn.content.as_str()).collect();
    let said: String = said.join("\n").chars().take(2_000).collect();
    let mut query = search::Query::memories(&said, KNOWN, Mode::Hybrid);
    query.without_private = !may_show_private(ctx, user).await?;
    let hits = search::search(ctx, user, &query).await?;
    let known = hits.into_iter().filter_map(|hit| match hit.document {
        Document::Memory(memory) if !memory.awaits_user() || memory.sensitive => Some(*memory),
        _ => None,
    });
    Ok(Window { earlier, turns, known: known.collect() })
}

/// What reading a window came to, before it is stored.
pub struct Read {
    pub prepared: Vec<Prepared>,
    pub known: Vec<Memory>,
    /// Facts that were not believed.
    pub unsupported: i64,
    pub completion: Completion,
}

/// Believes what can be believed of an answer, and finds the neighbours of it.
pub async fn prepare(
    ctx: &Context,
    user: UserId,
    window: Window,
    nominated: Vec<extract::Nominated>,
    completion: Completion,
) -> Read {
    let total = nominated.len();
    let known = window.known.len();
    let mut believed = Vec::new();
    for fact in nominated {
        match extract::check(fact, &window.turns, known) {
            Ok(fact) => believed.push(fact),
            Err(why) => tracing::debug!(why, "a fact was not believed"),
        }
    }
    let unsupported = (total - believed.len()) as i64;
    Read { prepared: facts::prepare(ctx, user, believed).await, known: window.known, unsupported, completion }
}

/// How many of each.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub created: i64,
    pub evidence: i64,
    pub known: i64,
    pub blocked: i64,
    pub ignored: i64,
}

impl Counts {
    pub fn of(all: &[Became]) -> Self {
        let mut counts = Self::default();
        for one in all {
            match one {
                Became::Created(_) => counts.created += 1,
                Became::Evidence(_) => counts.evidence += 1,
                Became::Known(_) => counts.known += 1,
                Became::Blocked => counts.blocked += 1,
                Became::Ignored => counts.ignored += 1,
            }
        }
        counts
    }
}

fn run_row(
    ctx: &Context,
    session: SessionId,
    (from, to): (i64, i64),
    outcome: RunOutcome,
    completion: Option<&Completion>,
) -> Run {
    Run {
        session_id: session,
        from_seq: from,
        to_seq: to,
        extractor_version: extract::VERSION.to_owned(),
        outcome,
        facts: 0,
        created: 0,
        blocked: 0,
        unsupported: 0,
        provider: completion.map(|completion| completion.provider.clone()),
        model: completion.map(|completion| completion.model.clone()),
        usage: completion.map(|completion| completion.usage),
        cost: completion.and_then(|completion| ctx.providers.cost(&completion.model, completion.usage)),
        raw: None,
        created_at: clock::now(),
    }
}

/// Stores what a window came to: within the transaction that also ends the job or marks its progress.
pub async fn store_read(
    ctx: &Context,
    changes: &mut Changes,
    job: &Job,
    (session, from, to): (SessionId, i64, i64),
    read: &Read,
    settings: &MemorySettings,
) -> Result<Counts> {
    let told = facts::Told { session, known: &read.known, settings };
    let became = facts::store(ctx, changes, told, &read.prepared).await?;
    let counts = Counts::of(&became);
    let outcome = if read.prepared.is_empty() { RunOutcome::NoFacts } else { RunOutcome::Facts };
    let mut run = run_row(ctx, session, (from, to), outcome, Some(&read.completion));
    run.facts = read.prepared.len() as i64;
    run.created = counts.created;
    run.blocked = counts.blocked;
    run.unsupported = read.unsupported;
    extraction::insert_run(&mut changes.tx, changes.user, job.id, &run).await?;
    crate::usecase::budget::count(ctx, &mut changes.tx, job, changes.user, &read.completion).await?;
    Ok(counts)
}

/// Ends an extraction: facts, cursor, run and job in one transaction, and the next due session's job with it. `None`:
/// this attempt has lost the job.
pub async fn finish(
    ctx: &Context,
    job: &Job,
    user: UserId,
    payload: &ExtractionPayload,
    read: Option<&Read>,
    settings: &MemorySettings,
) -> Result<Option<Ended>> {
    let ExtractionPayload { session_id: session, from_seq: from, to_seq: to } = *payload;
    let mut changes = Changes::open(ctx, user, Actor::Extractor).await?;
    // Takes the session's row: a message that is being stored now is seen below, or sees the cursor.
    let is_there = extraction::advance(&mut changes.tx, user, session, to).await?;
    let read = read.filter(|_| is_there); // what was said in a deleted session is nobody's
    let (counts, unsupported) = match read {
        Some(read) => {
            (store_read(ctx, &mut changes, job, (session, from, to), read, settings).await?, read.unsupported)
        }
        None => (Counts::default(), 0),
    };
    let found = read.is_some_and(|read| !read.prepared.is_empty());
    let outcome = if found { RunOutcome::Facts } else { RunOutcome::NoFacts };
    let usage = read.map(|read| read.completion.usage);
    let result = json!({
        "session_id": session, "from_seq": from, "to_seq": to, "outcome": outcome, "created": counts.created,
        "evidence": counts.evidence, "known": counts.known, "blocked": counts.blocked, "ignored": counts.ignored,
        "unsupported": unsupported, "usage": usage,
        "cost": read.and_then(|read| ctx.providers.cost(&read.completion.model, read.completion.usage)),
    });
    let Some(settled) = succeed(&mut changes.tx, job, &result).await? else { return Ok(None) };
    let next = next_due(ctx, &mut changes.tx, user).await?;
    changes.commit_with(ctx, next).await?;
    Ok(Some(Ended::new(settled, result)))
}

async fn next_due(ctx: &Context, tx: &mut Tx, user: UserId) -> Result<Option<Ready>> {
    match extraction::due_of(tx, user, clock::now()).await? {
        Some(session) => enqueue(ctx, tx, user, session).await,
        None => Ok(None),
    }
}

/// A window that was not read.
pub struct Unread<'a> {
    pub job: &'a Job,
    pub user: UserId,
    pub window: &'a ExtractionPayload,
    pub outcome: RunOutcome,
    /// What the model said, if it said something.
    pub answer: Option<&'a Completion>,
}

/// Gives a window up: the job fails with what the model said on it. `None`: this attempt has lost the job.
pub async fn fail(ctx: &Context, unread: &Unread<'_>, error: &Error) -> Result<Option<Ended>> {
    let Unread { job, user, window, outcome, answer } = *unread;
    let mut tx = ctx.db.begin().await?;
    store::memory_log::take_version(&mut tx, user).await?;
    let problem = error.problem(None);
    let raw = answer.map(|answer| answer.text.chars().take(20_000).collect::<String>().replace('\0', ""));
    let result = json!({"outcome": outcome, "raw": raw, "session_id": window.session_id,
        "from_seq": window.from_seq, "to_seq": window.to_seq});
    give_up(ctx, &mut tx, unread, raw).await?;
    let settled = store::ledger::settle(
        &mut tx,
        store::ledger::AttemptOf::job(job),
        JobStatus::Failed,
        Some(&result),
        Some(&problem),
        clock::now(),
    );
    let Some(settled) = settled.await? else { return Ok(None) };
    let next = next_due(ctx, &mut tx, user).await?;
    tx.commit().await?;
    ctx.announce(next).await;
    Ok(Some(Ended::new(settled, problem)))
}

/// Writes down that a window was not read, and goes on behind it.
pub async fn give_up(ctx: &Context, tx: &mut Tx, unread: &Unread<'_>, raw: Option<String>) -> Result<()> {
    let Unread { job, user, window, outcome, answer } = *unread;
    let ExtractionPayload { session_id, from_seq, to_seq } = *window;
    if !extraction::advance(tx, user, session_id, to_seq).await? {
        return Ok(()); // the session is gone
    }
    let mut run = run_row(ctx, session_id, (from_seq, to_seq), outcome, answer);
    run.raw = raw;
    extraction::insert_run(tx, user, job.id, &run).await?;
    let data = json!({"job_id": job.id, "session_id": session_id, "outcome": outcome});
    Ok(store::memory_log::event(tx, user, "extraction_failed", &data).await?)
}
