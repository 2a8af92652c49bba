//! Jobs out: a worker process takes jobs from the wire, runs them, and ends them in the ledger.
//!
//! Jobs run in lanes under one monitor (`lanes`), each through the same layers (`service`, `execute`) down to its handler
//! (`jobs/`, one file a kind). Beside them run a few small tasks a process: a feeder a lane, the heartbeat that renews all
//! leases in one statement, the watcher for cancelled jobs, and the sweeper.

mod announcing;
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
mod lanes;
mod outcome;
pub mod reading;
mod running;
mod service;
mod slot;
mod sweeper;
#[cfg(test)]
mod testing;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

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

use lanes::Lanes;
use running::{Running, Stop};

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

    model_pace::recall(&runtime.ctx).await;
    presence::entered(&runtime.ctx.db).await;
    // Whoever takes jobs, or leads the sweep, and holds no lock looks dead to the others.
    attending.spawn(sweeper::run(Arc::clone(&runtime), attendants.clone()));
    let stopped_taking = {
        let runtime = Arc::clone(&runtime);
        async move {
            stopping.cancelled().await;
            tracing::info!(
                worker = runtime.name,
                running = runtime.running.len(),
                "worker stops taking jobs"
            );
        }
    };
    lanes(&runtime, &options).run(stopped_taking, out_of_grace(Arc::clone(&runtime))).await;
    attendants.cancel();
    while attending.join_next().await.is_some() {}
    if let Ok(mut conn) = runtime.ctx.db.relaxed().await {
        let _pruned_later = store::workers::leave(&mut conn, &runtime.name).await;
    }
    tracing::info!(worker = runtime.name, at = %clock::now(), "worker stopped");
}

/// Two lanes a queue: for jobs of which nothing bad is known, and for suspects.
fn lanes(runtime: &Arc<Runtime>, options: &Options) -> Lanes {
    let mut lanes = Lanes::default();
    for &queue in &options.queues {
        let suspects = isolated::AT_ONCE.min(options.concurrency);
        for (lane, at_once) in
            [(Lane::normal(queue), options.concurrency), (Lane::quarantine(queue), suspects)]
        {
            let label = if lane.quarantine { "-quarantine" } else { "" };
            let name = format!("{}-{}{label}", runtime.name, lane.queue);
            let slots = Arc::new(Semaphore::new(at_once));
            let feeding = Arc::clone(runtime);
            let feed = move |tickets| feeder::run(Arc::clone(&feeding), lane, Arc::clone(&slots), tickets);
            lanes = lanes.add(name, feed, service::lane(Arc::clone(runtime)));
        }
    }
    lanes
}

/// Lets running jobs be for most of the grace, then asks them to hand back what they do, and ends with the grace.
async fn out_of_grace(runtime: Arc<Runtime>) {
    let grace = runtime.ctx.settings.shutdown_grace;
    let patience = grace.saturating_sub(Duration::from_secs(2)).max(grace / 2);
    tokio::time::sleep(patience).await;
    runtime.running.stop_all(Stop::HandBack);
    tokio::time::sleep(grace - patience).await;
    tracing::warn!(worker = runtime.name, "some jobs did not let go: their leases will end");
}
