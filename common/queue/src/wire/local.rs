//! The wire inside one process: a sorted set a lane, by priority and turn, and a bell.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    Receiver, Wire, WireError, by_lane, priority,
    turns::{Taking, beginning, is_past, turn},
};
use crate::{
    clock,
    domain::{
        ids::{JobId, UserId},
        job::Lane,
    },
    store::jobs::Ready,
};

#[derive(Default)]
struct Waiting {
    line: Mutex<Line>,
    bell: Notify,
}

#[derive(Default)]
struct Line {
    /// By priority and turn.
    order: BTreeSet<(i64, u64, JobId)>,
    /// One that is in line keeps its place.
    ids: HashSet<JobId>,
    latest: Option<f64>,
    /// Of users, in each priority.
    lasts: HashMap<(i64, Option<UserId>), f64>,
}

/// Last turns that are kept before those are forgotten that are past.
const MANY: usize = 1_000;

impl Line {
    /// Puts jobs in line.
    fn enter(&mut self, some: &[Ready], taking: Taking) {
        let mut among_themselves = HashMap::new();
        for one in some {
            let priority = priority(one);
            let from = (priority, 0, JobId(Uuid::nil()));
            let head = self.order.range(from..).next().filter(|head| head.0 == priority);
            let head = head.map(|head| head.1 as f64);
            let latest = self.latest.unwrap_or_else(|| beginning(clock::now()));
            let lasts = if taking == Taking::New { &mut self.lasts } else { &mut among_themselves };
            let turn = turn(head, latest, lasts.get(&(priority, one.user_id)).copied());
            lasts.insert((priority, one.user_id), turn);
            if lasts.len() > MANY {
                let served = head.unwrap_or(latest);
                lasts.retain(|(of, _), last| *of != priority || !is_past(*last, served));
            }
            self.latest = Some(latest.max(turn));
            if self.ids.insert(one.id) {
                self.order.insert((priority, turn as u64, one.id));
            }
        }
    }
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

#[async_trait]
impl Wire for LocalWire {
    async fn announce(&self, ready: &[Ready], taking: Taking) -> Result<(), WireError> {
        for (lane, here) in by_lane(ready) {
            let waiting = self.lane(lane);
            waiting.line().enter(&here, taking);
            here.iter().for_each(|_| waiting.bell.notify_one());
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
            std::iter::from_fn(|| line.order.pop_first()).take(max).map(|(_, _, id)| id).collect();
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
