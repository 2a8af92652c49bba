//! The sweeper: makes good whatever was forgotten, on one code path, with no input but the ledger.
//!
//! Every worker process runs it, a few seconds apart. It does three things:
//!
//! - It announces jobs that are due and that nothing stands before: new ones whose API process died between commit and
//!   announcement, scheduled and retried ones, and all that a wiped Redis has lost. Announcing what is on the wire
//!   already is harmless.
//! - It takes back running jobs whose worker is gone (`rapport_common::presence`: two looks in a row find its lock free),
//!   or whose lease ended. If the worker's process died, the job runs again in a process of its own (`crashes`). A worker
//!   that lives and was only paused or cut off is no crash: the job runs again as any other.
//! - It puts in the jobs that rows call for: conversations due to be read, texts without vectors, memories to look
//!   through or to expire. The rows are the truth, so no such job can be forgotten.
//!
//! Several sweepers at once do no harm: every change is fenced by the attempt and the lease.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng;
use rapport_common::{
    Result, clock,
    domain::job::{Lane, Queue},
    store::{self, presence::Absent},
    usecase::{memory, model_pace, usage, webhooks},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Runtime, crashes};

/// Jobs announced in one sweep.
const BATCH: i64 = 5_000;
/// With this many on the wire the workers have enough to do: only the oldest few are announced again.
const PLENTY: u64 = 1_000;
const OLDEST: i64 = 200;
/// A job announced this recently is left to the wire.
const FRESH: TimeDelta = TimeDelta::milliseconds(1_000);
/// So many chats a second keep a process busy.
const MANY_CHATS: f64 = 100.0;
const DEFERRALS: u32 = 30;
/// Sweeps between two looks at what memories need.
const TIDY_EVERY: u32 = 10;
/// Sweeps between two looks at what other processes have learned of models: one that seldom asks knows little itself.
const RECALL_EVERY: u32 = 10;
/// Sweeps between two prunings of old rows.
const PRUNE_EVERY: u32 = 500;

pub async fn run(runtime: Arc<Runtime>, end: CancellationToken) {
    let period = runtime.ctx.settings.queue.sweep;
    let mut sweeps = 0u32;
    let mut reconciled = None;
    let mut deferral = Deferral::default();
    let mut absentees = Absentees::default();
    loop {
        let rest = period.mul_f64(rand::rng().random_range(0.75..=1.0));
        if let Err(error) = sweep(&runtime, &mut deferral, &mut absentees).await {
            tracing::warn!(%error, "sweep failed");
        }
        if sweeps.is_multiple_of(TIDY_EVERY)
            && let Err(error) = tidy(&runtime, &mut reconciled).await
        {
            tracing::warn!(%error, "tidying memories failed");
        }
        if sweeps.is_multiple_of(RECALL_EVERY) && sweeps > 0 {
            model_pace::recall(&runtime.ctx).await;
        }
        if sweeps.is_multiple_of(PRUNE_EVERY)
            && let Err(error) = prune(&runtime).await
        {
            tracing::warn!(%error, "pruning failed");
        }
        sweeps = sweeps.wrapping_add(1);
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
    }
}

async fn sweep(runtime: &Runtime, deferral: &mut Deferral, absentees: &mut Absentees) -> Result<()> {
    take_back(runtime, absentees).await?;
    if deferral.may_read_and_embed(runtime) {
        memory::extraction::schedule(&runtime.ctx).await?;
        memory::embed::schedule(&runtime.ctx).await?;
    }
    webhooks::schedule(&runtime.ctx).await?;
    model_pace::keep(&runtime.ctx).await?;
    for queue in Queue::ALL {
        announce_due(runtime, queue).await?;
    }
    Ok(())
}

/// People wait for chats and nobody for memory: while this process answers many, reading and embedding wait, for a
/// number of sweeps (a minute by default).
#[derive(Default)]
struct Deferral {
    sweeps: u32,
    /// Chats answered by then, and when that was.
    answered: Option<(u64, tokio::time::Instant)>,
}

impl Deferral {
    fn may_read_and_embed(&mut self, runtime: &Runtime) -> bool {
        let answered = runtime.chats_answered.load(Ordering::Relaxed);
        let now = tokio::time::Instant::now();
        let (before, then) = self.answered.replace((answered, now)).unwrap_or((answered, now));
        let rate = answered.saturating_sub(before) as f64 / now.duration_since(then).as_secs_f64().max(0.001);
        if rate >= MANY_CHATS && self.sweeps < DEFERRALS {
            self.sweeps += 1;
            return false;
        }
        self.sweeps = 0;
        true
    }
}

async fn announce_due(runtime: &Runtime, queue: Queue) -> Result<()> {
    // While the wire is away the workers ask the ledger themselves.
    let Ok(depth) = runtime.ctx.wire.depth(Lane::normal(queue)).await else { return Ok(()) };
    let limit = if depth >= PLENTY { OLDEST } else { BATCH };
    let mut conn = runtime.ctx.db.read().await?;
    let due = store::ledger::due(&mut conn, queue, clock::now() - FRESH, limit).await?;
    drop(conn);
    runtime.ctx.announce(due).await;
    Ok(())
}

/// Workers whose process holds no lock, as of the last look.
#[derive(Default)]
struct Absentees(HashMap<String, (DateTime<Utc>, Instant)>);

/// How long a worker must be absent: one whose connection was cut is back sooner.
const ABSENT: Duration = Duration::from_millis(1_200);

impl Absentees {
    /// Notes who is absent now. Gives those who were at the look before too, and sent no heartbeat since.
    fn look(&mut self, absent: Vec<Absent>) -> Vec<String> {
        let before = std::mem::take(&mut self.0);
        let mut gone = Vec::new();
        for Absent { name, seen_at } in absent {
            let known = before.get(&name).filter(|known| known.0 == seen_at);
            let since = known.map_or_else(Instant::now, |known| known.1);
            if since.elapsed() >= ABSENT {
                gone.push(name.clone());
            }
            self.0.insert(name, (seen_at, since));
        }
        gone
    }
}

async fn take_back(runtime: &Runtime, absentees: &mut Absentees) -> Result<()> {
    let now = clock::now();
    let mut conn = runtime.ctx.db.read().await?;
    let is_shared = matches!(runtime.ctx.db, store::Db::Pg(_));
    let absent = if is_shared { store::presence::absent(&mut conn).await? } else { Vec::new() };
    let dead: HashSet<String> = absent.iter().map(|absent| absent.name.clone()).collect();
    let gone = absentees.look(absent);
    let expired = store::ledger::expired(&mut conn, now, &gone).await?;
    drop(conn);
    for expired in expired {
        // This process lives: it was only held up. Its next heartbeat renews what it runs, and hands back the rest.
        if expired.worker == runtime.name {
            continue;
        }
        // Embedded, nobody else lives: the process before this one died.
        let died = !is_shared || dead.contains(&expired.worker);
        // One job that cannot be taken back must not keep the others.
        if let Err(error) = crashes::take_back(runtime, &expired, &gone, died).await {
            tracing::warn!(%error, job_id = %expired.job.id, "not taken back, the next sweep tries again");
        }
    }
    Ok(())
}

/// Expires, consolidates, and keeps the vector index true to the database.
async fn tidy(runtime: &Runtime, reconciled: &mut Option<tokio::time::Instant>) -> Result<()> {
    let ctx = &runtime.ctx;
    usage::roll_up(ctx).await?;
    memory::review::expire_due(ctx).await?;
    memory::consolidate::schedule(ctx).await?;
    memory::embed::delete_some(ctx).await?;
    let period = ctx.settings.qdrant.as_ref().map(|at| at.reconcile);
    if let Some(period) = period
        && reconciled.is_none_or(|last| last.elapsed() >= period)
    {
        *reconciled = Some(tokio::time::Instant::now());
        let wrong = memory::embed::reconcile(ctx).await?;
        if wrong > 0 {
            tracing::warn!(wrong, "points of the vector index were not as the database says: repaired");
        }
    }
    Ok(())
}

async fn prune(runtime: &Runtime) -> Result<()> {
    let now = clock::now();
    let mut conn = runtime.ctx.db.relaxed().await?;
    store::idempotency::prune(&mut conn, now).await?;
    store::memory_log::prune_events(&mut conn, now - TimeDelta::days(1)).await?;
    store::codes::prune(&mut conn, now - TimeDelta::hours(1)).await?;
    store::usage::prune(&mut conn, &store::usage::day(now - TimeDelta::days(40))).await?;
    store::webhooks::prune(&mut conn, now - TimeDelta::days(30)).await?;
    store::blobs::prune(&mut conn, now - TimeDelta::days(1)).await?;
    store::model_pace::prune(&mut conn, now - model_pace::BELIEVED).await?;
    let gone = TimeDelta::from_std(runtime.ctx.settings.queue.lease.max(Duration::from_secs(60)) * 10);
    store::presence::prune(&mut conn, now - TimeDelta::hours(1)).await?;
    store::workers::prune(&mut conn, now - gone.unwrap_or(TimeDelta::minutes(10))).await?;
    Ok(())
}
