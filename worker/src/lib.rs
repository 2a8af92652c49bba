//! Jobs out: a worker process takes jobs from the wire, runs them, and ends them in the ledger.
//!
//! Around the handlers (`jobs/`, one file a kind) run a few small tasks a process: a feeder a lane, the heartbeat that
//! renews all leases in one statement, the watcher for cancelled jobs, and the sweeper.

mod answer_log;
mod attempt;
mod backend;
mod cancels;
mod crashes;
mod ending;
mod execute;
mod feeder;
mod heartbeat;
pub mod isolated;
mod jobs;
mod outcome;
mod runner;
mod running;
mod service;
mod slot;
mod sweeper;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use apalis::prelude::WorkerBuilder;
use chrono::TimeDelta;
use rapport_common::{
    Context, clock,
    domain::job::{Lane, Queue},
    presence, store,
    usecase::model_pace,
};
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use backend::LedgerBackend;
use running::{Running, Stop};
use service::JobService;

/// What one worker process shares among its tasks.
pub struct Runtime {
    pub ctx: Context,
    /// Unique to this start of this process: `host-pid-random`.
    pub name: String,
    pub running: Running,
    /// Set when the process is to take no more jobs.
    pub stopping: CancellationToken,
    /// Chats this process has answered. The sweep goes by it: a metric is for looking at.
    pub chats_answered: AtomicU64,
    /// The queues an admin has paused, and when that was read.
    paused: Mutex<(Vec<String>, Option<tokio::time::Instant>)>,
}

/// How long a process believes which queues are paused.
const PAUSES_BELIEVED: Duration = Duration::from_millis(700);

impl Runtime {
    /// How long a job may run without a sign of life from this process.
    pub fn lease(&self) -> TimeDelta {
        TimeDelta::from_std(self.ctx.settings.queue.lease).unwrap_or(TimeDelta::seconds(15))
    }

    /// Whether an admin wants nothing more taken from a queue.
    pub async fn is_paused(&self, queue: Queue) -> bool {
        let mut paused = self.paused.lock().await;
        if paused.1.is_none_or(|read| read.elapsed() >= PAUSES_BELIEVED) {
            paused.1 = Some(tokio::time::Instant::now());
            let read = async { store::admin::paused(&mut self.ctx.db.read().await?).await };
            // A database that is away changes nothing.
            if let Ok(now) = read.await {
                paused.0 = now;
            }
        }
        paused.0.iter().any(|name| name == queue.as_str())
    }
}

pub struct Options {
    pub queues: Vec<Queue>,
    /// Jobs that run at once, per queue.
    pub concurrency: usize,
}

/// Runs jobs until `stopping`, then finishes or hands back what runs, within the grace, and returns.
pub async fn run(ctx: Context, options: Options, stopping: CancellationToken) {
    let grace = ctx.settings.shutdown_grace;
    let runtime = Arc::new(Runtime {
        ctx,
        name: presence::name().to_owned(),
        running: Running::default(),
        stopping: stopping.clone(),
        chats_answered: AtomicU64::new(0),
        paused: Mutex::default(),
    });
    tracing::info!(worker = runtime.name, queues = ?options.queues, concurrency = options.concurrency, "worker started");
    // These outlive the last job: its lease must be renewed and its cancellation heard.
    let attendants = CancellationToken::new();
    let mut attending = JoinSet::new();
    attending.spawn(heartbeat::run(
        Arc::clone(&runtime),
        options.queues.clone(),
        options.concurrency,
        attendants.clone(),
    ));
    attending.spawn(cancels::run(Arc::clone(&runtime), attendants.clone()));
    attending.spawn(sweeper::run(Arc::clone(&runtime), attendants.clone()));

    model_pace::recall(&runtime.ctx).await;
    presence::entered(&runtime.ctx.db).await;
    let mut lanes = JoinSet::new();
    for &queue in &options.queues {
        lanes.spawn(run_lane(Arc::clone(&runtime), Lane::normal(queue), options.concurrency));
        let at_once = isolated::AT_ONCE.min(options.concurrency);
        lanes.spawn(run_lane(Arc::clone(&runtime), Lane::quarantine(queue), at_once));
    }
    stopping.cancelled().await;
    tracing::info!(worker = runtime.name, running = runtime.running.len(), "worker stops taking jobs");
    let patience = grace.saturating_sub(Duration::from_secs(2)).max(grace / 2);
    let all_done = async { while lanes.join_next().await.is_some() {} };
    tokio::pin!(all_done);
    if tokio::time::timeout(patience, &mut all_done).await.is_err() {
        runtime.running.stop_all(Stop::HandBack);
        if tokio::time::timeout(grace - patience, &mut all_done).await.is_err() {
            tracing::warn!(worker = runtime.name, "some jobs did not let go: their leases will end");
        }
    }
    attendants.cancel();
    while attending.join_next().await.is_some() {}
    if let Ok(mut conn) = runtime.ctx.db.relaxed().await {
        let _pruned_later = store::workers::leave(&mut conn, &runtime.name).await;
    }
    tracing::info!(worker = runtime.name, at = %clock::now(), "worker stopped");
}

/// One lane: a feeder that takes ids from the wire, and an apalis worker that runs them.
async fn run_lane(runtime: Arc<Runtime>, lane: Lane, concurrency: usize) {
    let (tickets, backend) = LedgerBackend::new();
    let slots = Arc::new(Semaphore::new(concurrency));
    let feeder = tokio::spawn(feeder::run(Arc::clone(&runtime), lane, slots, tickets));
    let label = if lane.quarantine { "-quarantine" } else { "" };
    let worker = WorkerBuilder::new(format!("{}-{}{label}", runtime.name, lane.queue))
        .backend(backend)
        .build(JobService(Arc::clone(&runtime)));
    if let Err(error) = worker.run().await {
        // Our backend never gives an error, so this is the runtime's own end.
        tracing::error!(%error, queue = %lane.queue, "the worker's runtime ended");
    }
    if let Err(error) = feeder.await {
        tracing::error!(%error, queue = %lane.queue, "the feeder ended badly");
    }
}
