//! Tells waiting readers when the ledger says a job is final, or gone, whatever happened to its events.
//!
//! One query a tick for all jobs somebody waits for. This is the safety net: the final event normally comes first.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    domain::ids::JobId,
    store::{Db, ledger},
};

/// Between two looks; while many wait, longer: the query costs the database then.
const TICK: Duration = Duration::from_millis(250);
const LONG_TICK: Duration = Duration::from_secs(1);
const MANY: usize = 1_000;
/// Ids in one query.
const BATCH: usize = 2_000;

type Waiting = Mutex<HashMap<JobId, (usize, Arc<Notify>)>>;

#[derive(Clone)]
pub struct FinalWatch {
    waiting: Arc<Waiting>,
}

impl FinalWatch {
    /// Must be called inside a Tokio runtime: it starts the task that asks.
    pub fn start(db: Db) -> Self {
        let waiting: Arc<Waiting> = Arc::default();
        let weak = Arc::downgrade(&waiting);
        tokio::spawn(async move {
            let mut rest = TICK;
            loop {
                tokio::time::sleep(rest).await;
                let Some(waiting) = weak.upgrade() else { return };
                let ids: Vec<JobId> =
                    waiting.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
                rest = if ids.len() > MANY { LONG_TICK } else { TICK };
                for batch in ids.chunks(BATCH) {
                    let Ok(mut conn) = db.read().await else { break };
                    let Ok(open) = ledger::which_are_open(&mut conn, batch).await else { break };
                    let open: HashSet<JobId> = open.into_iter().collect();
                    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    for (_, bell) in
                        batch.iter().filter(|id| !open.contains(id)).filter_map(|id| waiting.get(id))
                    {
                        bell.notify_waiters();
                    }
                }
            }
        });
        Self { waiting }
    }

    pub fn watch(&self, job: JobId) -> Watched {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, bell) = waiting.entry(job).or_default();
        *count += 1;
        Watched { job, bell: Arc::clone(bell), waiting: Arc::clone(&self.waiting) }
    }
}

/// One reader's interest in a job.
pub struct Watched {
    job: JobId,
    bell: Arc<Notify>,
    waiting: Arc<Waiting>,
}

impl Watched {
    /// Returns when the ledger said, after this call, that the job is final or gone. It says so again with every look.
    pub async fn is_final(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((count, _)) = waiting.get_mut(&self.job) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.job);
            }
        }
    }
}
