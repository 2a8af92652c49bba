//! The wire inside one process: a sorted set a lane, and a bell.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::{Receiver, Wire, WireError, score};
use crate::{
    domain::{ids::JobId, job::Lane},
    store::jobs::Ready,
};

#[derive(Default)]
struct Waiting {
    line: Mutex<Line>,
    bell: Notify,
}

#[derive(Default)]
struct Line {
    order: BTreeSet<(u64, JobId)>,
    /// One that is in line keeps its place, wherever it would stand now.
    ids: HashSet<JobId>,
}

impl Waiting {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Default)]
pub struct LocalWire {
    lanes: Arc<Mutex<HashMap<Lane, Arc<Waiting>>>>,
}

impl LocalWire {
    fn lane(&self, lane: Lane) -> Arc<Waiting> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.entry(lane).or_default().clone()
    }
}

/// Doubles of the score's range in an order that integers can carry.
fn sortable(score: f64) -> u64 {
    let bits = score.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

#[async_trait]
impl Wire for LocalWire {
    async fn announce(&self, ready: &[Ready]) -> Result<(), WireError> {
        for one in ready {
            let waiting = self.lane(one.lane);
            let mut line = waiting.line();
            if line.ids.insert(one.id) {
                line.order.insert((sortable(score(one)), one.id));
            }
            drop(line);
            waiting.bell.notify_one();
        }
        Ok(())
    }

    async fn receiver(&self, lane: Lane) -> Result<Box<dyn Receiver>, WireError> {
        Ok(Box::new(LocalReceiver(self.lane(lane))))
    }

    async fn depth(&self, lane: Lane) -> Result<u64, WireError> {
        Ok(self.lane(lane).line().ids.len() as u64)
    }

    async fn ping(&self) -> Result<(), WireError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "in-process"
    }
}

struct LocalReceiver(Arc<Waiting>);

impl LocalReceiver {
    fn take(&self, max: usize) -> Vec<JobId> {
        let mut line = self.0.line();
        let taken: Vec<JobId> =
            std::iter::from_fn(|| line.order.pop_first()).take(max).map(|(_, id)| id).collect();
        for id in &taken {
            line.ids.remove(id);
        }
        taken
    }
}

#[async_trait]
impl Receiver for LocalReceiver {
    async fn pop(&mut self, max: usize, wait: Duration) -> Result<Vec<JobId>, WireError> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let bell = self.0.bell.notified();
            let ids = self.take(max);
            if !ids.is_empty() || tokio::time::timeout_at(deadline, bell).await.is_err() {
                return Ok(ids);
            }
        }
    }
}
