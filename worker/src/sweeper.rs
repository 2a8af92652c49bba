//! The sweeper: makes good whatever was forgotten, on one code path, with no input but the ledger.
//!
//! Every worker process runs it, a few seconds apart, and does what must be fast. What costs something is done by one of them, the
//! leader, for all. It does three things:
//!
//! - It announces jobs that are due and that nothing stands before: new ones whose API process died between commit and
//!   announcement, scheduled and retried ones, and all that a wiped Redis has lost. Announcing what is on the wire
//!   already is harmless.
//! - It takes back running jobs whose worker is gone (`rapport_common::presence`: two looks in a row find its lock free),
//!   or whose lease ended. If the worker's process died, the job runs again in a process of its own (`crashes`). A worker
//!   that lives and was only paused or cut off is no crash: the job runs again as any other.
//! - It puts in the jobs that rows call for: conversations due to be read, texts without vectors, memories to look
//!   through or to expire. The rows are the truth, so no such job can be forgotten. The leader's work, as are tidying and pruning.
//!
//! Several sweepers at once, and several leaders, do no harm: every change is fenced by the attempt and the lease. So leading is a row
//! with a time ([`store::presence::lead`]), and no lock that a cut connection could hold on to.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng;
use rapport_common::{
    Context, Error, Result, clock,
    domain::job::Queue,
    store::{self, presence::Absent},
    telemetry::metrics::METRICS,
    usecase::{files, memory, model_pace, retention, usage, webhooks},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Runtime, announcing, crashes};

/// So many chats a second keep a process busy.
const MANY_CHATS: f64 = 100.0;
const DEFERRALS: u32 = 30;
/// Sweeps between two looks at what memories need, and at what other processes have learned of models: one that seldom asks
/// knows little itself.
const TIDY_EVERY: u32 = 10;
/// Pieces in which old requests go, at most, before other work has its turn.
const FORGOTTEN: u32 = 20;
/// Sweeps between two prunings of old rows.
const PRUNE_EVERY: u32 = 500;
/// For so long, and two sweeps, somebody leads who does not say again that it does. Who is seen to be dead leads no longer at once.
const LEAD: Duration = Duration::from_secs(3);

pub async fn run(runtime: Arc<Runtime>, end: CancellationToken) {
    let period = runtime.ctx.settings.queue.sweep;
    // All, and those in which this process led.
    let (mut sweeps, mut led) = (0u32, 0u32);
    let mut tidying = Tidying::default();
    let mut deferral = Deferral::default();
    let mut absentees = Absentees::default();
    loop {
        let rest = period.mul_f64(rand::rng().random_range(0.75..=1.0));
        let leads = leads(&runtime).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "nobody can be asked who sweeps for all");
            false
        });
        METRICS.sweeper_leads.with_label_values::<&str>(&[]).set(i64::from(leads));
        let swept = sweep(&runtime, leads, &mut deferral, &mut absentees).await;
        let Swept { mut leads_on, long } = swept.unwrap_or_else(|error| {
            tracing::warn!(%error, "sweep failed");
            Swept::default()
        });
        if sweeps.is_multiple_of(TIDY_EVERY) {
            model_pace::recall(&runtime.ctx).await;
        }
        if leads {
            leads_on &= tidy_and_prune(&runtime, &mut tidying, led).await;
            led = led.wrapping_add(1);
            // Another one may be able to do what this one cannot now.
            if !leads_on {
                resign(&runtime).await;
            }
        }
        sweeps = sweeps.wrapping_add(1);
        tokio::select! {
            () = end.cancelled() => break,
            () = announcing::top_up(&runtime, long, Instant::now() + rest) => {}
        }
    }
    resign(&runtime).await;
}

/// What the one that leads does in its sweep of this number, besides. Whether it could.
async fn tidy_and_prune(runtime: &Runtime, tidying: &mut Tidying, led: u32) -> bool {
    let mut could = true;
    if led.is_multiple_of(TIDY_EVERY)
        && let Err(error) = tidy(runtime, tidying).await
    {
        tracing::warn!(%error, "tidying memories failed");
        could = false;
    }
    if led.is_multiple_of(PRUNE_EVERY)
        && let Err(error) = prune(runtime).await
    {
        tracing::warn!(%error, "pruning failed");
        could = false;
    }
    could
}

/// Whether this process sweeps for all. Embedded there is no other.
async fn leads(runtime: &Runtime) -> Result<bool> {
    if let store::Db::Lite(_) = runtime.ctx.db {
        return Ok(true);
    }
    let seconds = (runtime.ctx.settings.queue.sweep * 2 + LEAD).as_secs_f64();
    Ok(store::presence::lead(&mut runtime.ctx.db.relaxed().await?, &runtime.name, seconds).await?)
}

/// Lets another one lead; who finds nobody leads on.
async fn resign(runtime: &Runtime) {
    if let store::Db::Lite(_) = runtime.ctx.db {
        return;
    }
    let resigned = async {
        store::presence::resign(&mut runtime.ctx.db.relaxed().await?, &runtime.name).await?;
        Ok::<_, Error>(())
    };
    if let Err(error) = resigned.await {
        tracing::debug!(%error, "another worker leads in a few seconds");
    }
}

/// What came of a sweep.
#[derive(Default)]
struct Swept {
    /// Whether this process is the one to lead on: not while it is too busy to do all of it.
    leads_on: bool,
    /// Queues in which more is due than was announced.
    long: Vec<Queue>,
}

async fn sweep(
    runtime: &Runtime,
    leads: bool,
    deferral: &mut Deferral,
    absentees: &mut Absentees,
) -> Result<Swept> {
    take_back(runtime, absentees).await?;
    let answered = runtime.chats_answered.load(Ordering::Relaxed);
    let mut has_time = true;
    if leads {
        has_time = deferral.may_read_and_embed(answered, Instant::now());
        if has_time {
            memory::extraction::schedule(&runtime.ctx).await?;
            memory::embed::schedule(&runtime.ctx).await?;
        }
        webhooks::schedule(&runtime.ctx).await?;
    }
    model_pace::keep(&runtime.ctx).await?;
    let mut long = Vec::new();
    for queue in Queue::ALL {
        if announcing::announce_due(runtime, queue).await? {
            long.push(queue);
        }
    }
    Ok(Swept { leads_on: has_time, long })
}

/// People wait for chats and nobody for memory: while this process answers many, reading and embedding wait, for a
/// number of sweeps (a minute by default).
#[derive(Default)]
struct Deferral {
    sweeps: u32,
    /// Chats answered by then, and when that was.
    answered: Option<(u64, Instant)>,
}

impl Deferral {
    /// `answered`: chats that this process has answered by `now`.
    fn may_read_and_embed(&mut self, answered: u64, now: Instant) -> bool {
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

/// Workers whose process holds no lock, as of the last look.
#[derive(Default)]
struct Absentees(HashMap<String, (DateTime<Utc>, Instant)>);

/// How long a worker must be absent: one whose connection was cut is back sooner.
const ABSENT: Duration = Duration::from_millis(1_200);

impl Absentees {
    /// Notes who is absent now. Gives those who were at the look before too, and sent no heartbeat since.
    fn look(&mut self, absent: Vec<Absent>, now: Instant) -> Vec<String> {
        let before = std::mem::take(&mut self.0);
        let mut gone = Vec::new();
        for Absent { name, seen_at } in absent {
            let known = before.get(&name).filter(|known| known.0 == seen_at);
            let since = known.map_or(now, |known| known.1);
            if now - since >= ABSENT {
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
    let gone = absentees.look(absent, Instant::now());
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

/// What one tidying leaves to the next.
#[derive(Default)]
struct Tidying {
    reconciled: Option<Instant>,
    files: files::Round,
}

/// Expires, consolidates, and keeps the vector index true to the database.
async fn tidy(runtime: &Runtime, tidying: &mut Tidying) -> Result<()> {
    let ctx = &runtime.ctx;
    usage::roll_up(ctx).await?;
    memory::review::expire_due(ctx).await?;
    memory::consolidate::schedule(ctx).await?;
    memory::embed::delete_some(ctx).await?;
    memory::embed::purge_words(ctx).await?;
    memory::embed::fill_sheets(ctx).await?;
    // What is wrong with files is no reason to leave the rest.
    if let Err(error) = files::clean(ctx, &mut tidying.files).await {
        tracing::warn!(%error, "cleaning up after files failed");
    }
    forget_requests(ctx).await?;
    let period = ctx.settings.qdrant.as_ref().map(|at| at.reconcile);
    if let Some(period) = period
        && tidying.reconciled.is_none_or(|last| last.elapsed() >= period)
    {
        tidying.reconciled = Some(Instant::now());
        let wrong = memory::embed::reconcile(ctx).await?;
        if wrong > 0 {
            tracing::warn!(wrong, "points of the vector index were not as the database says: repaired");
        }
    }
    Ok(())
}

/// Deletes the jobs of requests that nobody wanted kept. There may be as many as there were answers a day ago.
async fn forget_requests(ctx: &Context) -> Result<()> {
    for _ in 0..FORGOTTEN {
        let mut conn = ctx.db.relaxed().await?;
        if store::requests::prune(&mut conn, clock::now()).await? < store::requests::PRUNED {
            break;
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
    store::blobs::prune(&mut conn, now - TimeDelta::days(1)).await?;
    store::model_pace::prune(&mut conn, now - model_pace::BELIEVED).await?;
    let gone = TimeDelta::from_std(runtime.ctx.settings.queue.lease.max(Duration::from_secs(60)) * 10);
    store::presence::prune(&mut conn, now - TimeDelta::hours(1)).await?;
    store::workers::prune(&mut conn, now - gone.unwrap_or(TimeDelta::minutes(10))).await?;
    drop(conn);
    retention::prune(&runtime.ctx).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_process_that_answers_few_chats_reads_and_embeds() {
        let (mut deferral, start) = (Deferral::default(), Instant::now());
        assert!(deferral.may_read_and_embed(1_000_000, start), "what was before it looked says nothing");
        assert!(deferral.may_read_and_embed(1_000_099, start + SECOND));
    }

    #[test]
    fn a_busy_one_defers_it_and_not_for_ever() {
        let (mut deferral, start) = (Deferral::default(), Instant::now());
        deferral.may_read_and_embed(0, start);
        for sweep in 1..=DEFERRALS {
            assert!(
                !deferral.may_read_and_embed(u64::from(sweep) * 100, start + sweep * SECOND),
                "sweep {sweep}"
            );
        }
        let mut next = DEFERRALS + 1;
        assert!(deferral.may_read_and_embed(u64::from(next) * 100, start + next * SECOND));
        next += 1;
        assert!(!deferral.may_read_and_embed(u64::from(next) * 100, start + next * SECOND), "it begins anew");
        next += 1;
        let quiet = u64::from(next - 1) * 100;
        assert!(deferral.may_read_and_embed(quiet, start + next * SECOND), "it is quiet");
    }

    fn absent(name: &str, seen_at: DateTime<Utc>) -> Absent {
        Absent { name: name.to_owned(), seen_at }
    }

    #[test]
    fn who_is_absent_for_long_without_a_sign_of_life_is_gone() {
        let (mut absentees, start, seen) = (Absentees::default(), Instant::now(), clock::now());
        let look = |absentees: &mut Absentees, seen_at, after| {
            absentees.look(vec![absent("a", seen_at)], start + after)
        };
        assert!(look(&mut absentees, seen, Duration::ZERO).is_empty(), "one look proves nothing");
        assert!(look(&mut absentees, seen, ABSENT / 2).is_empty());
        assert_eq!(look(&mut absentees, seen, ABSENT), ["a"]);
        let later = seen + TimeDelta::seconds(1);
        assert!(look(&mut absentees, later, ABSENT * 2).is_empty(), "it sent a heartbeat since");
        assert!(absentees.look(Vec::new(), start + ABSENT * 3).is_empty(), "it is back");
        assert!(look(&mut absentees, later, ABSENT * 4).is_empty(), "that was forgotten");
        assert_eq!(look(&mut absentees, later, ABSENT * 5), ["a"]);
    }
}
