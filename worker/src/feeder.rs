//! Feeds one lane: waits for a free slot, then for an id on the wire, and hands both to the lane's worker.
//!
//! While the wire is away the feeder asks the ledger itself, several times a second: a little slower, but nothing stops.
//! And when the wire says nothing for a second it asks too: an announcement may have been lost where neither end can see it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng;
use rapport_common::{
    clock,
    domain::{ids::JobId, job::Lane},
    store::{self, jobs::Ready},
    telemetry::metrics::METRICS,
    wire::Receiver,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};

use crate::{Runtime, backend::Ticket};

/// Ids taken from the wire at once.
const BATCH: usize = 16;
/// How long one wait on the wire lasts.
const WAIT: Duration = Duration::from_secs(1);
/// A job that became due so long ago should have come over the wire.
const ANNOUNCED: TimeDelta = TimeDelta::milliseconds(500);
/// How often a paused queue is looked at.
const PAUSED: Duration = Duration::from_millis(300);

pub async fn run(runtime: Arc<Runtime>, lane: Lane, slots: Arc<Semaphore>, tickets: mpsc::Sender<Ticket>) {
    let mut receiver: Option<Box<dyn Receiver>> = None;
    let mut taken = Taken::default();
    while !runtime.stopping.is_cancelled() {
        if runtime.is_paused(lane.queue).await {
            tokio::select! {
                () = runtime.stopping.cancelled() => break,
                () = tokio::time::sleep(PAUSED) => continue,
            }
        }
        let Some(mut free) = take_slots(&runtime, &slots).await else { break };
        let ids = tokio::select! {
            biased;
            ids = next_ids(&runtime, lane, &mut receiver, &mut taken, free.len()) => ids,
            // The wait on the wire is given up with its connection. An id that is on its way in this very moment is
            // announced again by the sweeper.
            () = runtime.stopping.cancelled() => break,
        };
        if runtime.stopping.is_cancelled() {
            give_back(&runtime, lane, &ids).await;
            break;
        }
        for job in ids {
            let Some(slot) = free.pop() else { break };
            let ticket = Ticket { job, slot: Arc::new(slot) };
            if tickets.send(ticket).await.is_err() {
                return; // the lane's worker is gone; the sweeper announces what we took
            }
        }
    }
}

/// At least one slot, and more if they are free; `None` when the process is stopping.
async fn take_slots(runtime: &Runtime, slots: &Arc<Semaphore>) -> Option<Vec<OwnedSemaphorePermit>> {
    let first = tokio::select! {
        () = runtime.stopping.cancelled() => return None,
        slot = Arc::clone(slots).acquire_owned() => slot.ok()?,
    };
    let mut free = vec![first];
    while free.len() < BATCH {
        let Ok(slot) = Arc::clone(slots).try_acquire_owned() else { break };
        free.push(slot);
    }
    Some(free)
}

async fn next_ids(
    runtime: &Runtime,
    lane: Lane,
    receiver: &mut Option<Box<dyn Receiver>>,
    taken: &mut Taken,
    max: usize,
) -> Vec<JobId> {
    let open = match receiver {
        Some(open) => Ok(open),
        None => runtime.ctx.wire.receiver(lane).await.map(|opened| receiver.insert(opened)),
    };
    let popped = match open {
        Ok(open) => open.pop(max, WAIT).await,
        Err(error) => Err(error),
    };
    match popped {
        Ok(ids) if ids.is_empty() && taken.may_ask() => {
            let ids = ask_ledger(runtime, lane, taken, max, clock::now() - ANNOUNCED).await;
            if !ids.is_empty() {
                METRICS.wire_errors.with_label_values(&["silent"]).inc();
            }
            ids
        }
        Ok(ids) => ids,
        Err(error) => {
            METRICS.wire_errors.with_label_values(&["pop"]).inc();
            tracing::debug!(%error, queue = %lane.queue, "the wire is away, asking the ledger");
            let ids = ask_ledger(runtime, lane, taken, max, clock::now()).await;
            if ids.len() < max {
                let rest = Duration::from_millis(rand::rng().random_range(50..150));
                tokio::select! {
                    () = runtime.stopping.cancelled() => {}
                    () = tokio::time::sleep(rest) => {}
                }
            }
            ids
        }
    }
}

/// Ids this feeder just took from the ledger: they are due there until their claim has committed.
#[derive(Default)]
struct Taken {
    ids: HashMap<JobId, Instant>,
    asked: Option<Instant>,
}

impl Taken {
    const KEPT: Duration = Duration::from_secs(1);

    /// Whether the ledger was not asked for a while.
    fn may_ask(&mut self) -> bool {
        let may = self.asked.is_none_or(|asked| asked.elapsed() >= WAIT);
        if may {
            self.asked = Some(Instant::now());
        }
        may
    }

    /// Takes up to `max` of `due` that were not taken just now.
    fn choose(&mut self, due: Vec<Ready>, max: usize) -> Vec<JobId> {
        self.ids.retain(|_, at| at.elapsed() < Self::KEPT);
        let fresh: Vec<JobId> =
            due.into_iter().map(|ready| ready.id).filter(|id| !self.ids.contains_key(id)).take(max).collect();
        self.ids.extend(fresh.iter().map(|id| (*id, Instant::now())));
        fresh
    }
}

async fn ask_ledger(
    runtime: &Runtime,
    lane: Lane,
    taken: &mut Taken,
    max: usize,
    due_before: DateTime<Utc>,
) -> Vec<JobId> {
    let limit = max + taken.ids.len();
    let due = async {
        let mut conn = runtime.ctx.db.read().await?;
        store::ledger::due_in_lane(&mut conn, lane, due_before, limit as i64).await
    };
    taken.choose(due.await.unwrap_or_default(), max)
}

/// What was taken while the process began to stop goes to the others.
async fn give_back(runtime: &Runtime, lane: Lane, ids: &[JobId]) {
    let run_at = clock::now();
    runtime.ctx.announce(ids.iter().map(|&id| Ready { id, lane, priority: 0, run_at })).await;
}
