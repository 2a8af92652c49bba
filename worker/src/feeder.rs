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

use crate::{Runtime, backend::Ticket, slot::Slot};

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
            let ticket = Ticket { job, slot: Slot::new(slot, runtime.stopping.clone()) };
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
        Ok(ids) if ids.is_empty() && taken.may_ask(Instant::now()) => {
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
    fn may_ask(&mut self, now: Instant) -> bool {
        let may = self.asked.is_none_or(|asked| now - asked >= WAIT);
        if may {
            self.asked = Some(now);
        }
        may
    }

    /// Takes up to `max` of `due` that were not taken just now.
    fn choose(&mut self, due: Vec<Ready>, max: usize, now: Instant) -> Vec<JobId> {
        self.ids.retain(|_, at| now - *at < Self::KEPT);
        let fresh: Vec<JobId> =
            due.into_iter().map(|ready| ready.id).filter(|id| !self.ids.contains_key(id)).take(max).collect();
        self.ids.extend(fresh.iter().map(|id| (*id, now)));
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
    taken.choose(due.await.unwrap_or_default(), max, Instant::now())
}

/// What was taken while the process began to stop goes to the others.
async fn give_back(runtime: &Runtime, lane: Lane, ids: &[JobId]) {
    let run_at = clock::now();
    runtime.ctx.announce(ids.iter().map(|&id| Ready { id, user_id: None, lane, priority: 0, run_at })).await;
}

#[cfg(test)]
mod tests {
    use rapport_common::domain::job::Queue;

    use super::*;

    fn due(ids: &[JobId]) -> Vec<Ready> {
        let lane = Lane::normal(Queue::Chat);
        let ready = |&id| Ready { id, user_id: None, lane, priority: 0, run_at: clock::now() };
        ids.iter().map(ready).collect()
    }

    #[test]
    fn what_was_taken_a_moment_ago_is_not_taken_again() {
        let (mut taken, now) = (Taken::default(), Instant::now());
        let ids = [JobId::new(), JobId::new(), JobId::new()];
        assert_eq!(taken.choose(due(&ids), 2, now), ids[..2]);
        assert_eq!(taken.choose(due(&ids), 2, now + Taken::KEPT / 2), ids[2..]);
        // The claims of the first two did not come about.
        assert_eq!(taken.choose(due(&ids), 2, now + Taken::KEPT), ids[..2]);
    }

    #[test]
    fn the_ledger_is_asked_once_a_wait() {
        let (mut taken, now) = (Taken::default(), Instant::now());
        assert!(taken.may_ask(now));
        assert!(!taken.may_ask(now + WAIT / 2));
        assert!(taken.may_ask(now + WAIT));
        assert!(!taken.may_ask(now + WAIT));
    }
}
