//! The wire inside one process: a sorted set a lane, and a bell.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
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
    ids: Mutex<BTreeSet<(u64, JobId)>>,
    bell: Notify,
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
            waiting.ids.lock().unwrap_or_else(PoisonError::into_inner).insert((sortable(score(one)), one.id));
            waiting.bell.notify_one();
        }
        Ok(())
    }

    async fn receiver(&self, lane: Lane) -> Result<Box<dyn Receiver>, WireError> {
        Ok(Box::new(LocalReceiver(self.lane(lane))))
    }

    async fn depth(&self, lane: Lane) -> Result<u64, WireError> {
        Ok(self.lane(lane).ids.lock().unwrap_or_else(PoisonError::into_inner).len() as u64)
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
        let mut ids = self.0.ids.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| ids.pop_first()).take(max).map(|(_, id)| id).collect()
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
