//! Event logs inside one process: a ring a job, kept for the retention and then dropped.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};

use super::{EventLog, EventsError, LOG_MAX, Live, Subscription, topics::Topics};
use crate::domain::{
    event::{Event, EventId},
    ids::JobId,
};

struct Ring {
    events: VecDeque<Arc<Event>>,
    last: EventId,
    touched: Instant,
}

struct Inner {
    rings: Mutex<HashMap<JobId, Ring>>,
    topics: Topics,
}

/// So many logs are kept at once; beyond it the oldest go before their time. At a hundred words an answer a log holds
/// about 10 KiB.
const RINGS_MAX: usize = 20_000;

fn drop_oldest(rings: &mut HashMap<JobId, Ring>) {
    if rings.len() > RINGS_MAX {
        let mut ages: Vec<Instant> = rings.values().map(|ring| ring.touched).collect();
        ages.sort_unstable();
        let oldest_kept = ages[ages.len() - RINGS_MAX * 9 / 10];
        rings.retain(|_, ring| ring.touched >= oldest_kept);
    }
}

#[derive(Clone)]
pub struct LocalEvents {
    inner: Arc<Inner>,
    gone: mpsc::UnboundedSender<JobId>,
}

impl LocalEvents {
    /// Must be called inside a Tokio runtime: it starts the task that forgets old logs.
    pub fn new(retention: Duration) -> Self {
        let inner = Arc::new(Inner { rings: Mutex::default(), topics: Topics::default() });
        let (gone, mut departures) = mpsc::unbounded_channel();
        let weak = Arc::downgrade(&inner);
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(
                (retention / 4).clamp(Duration::from_millis(100), Duration::from_secs(5)),
            );
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    job = departures.recv() => {
                        let (Some(job), Some(inner)) = (job, weak.upgrade()) else { return };
                        inner.topics.forget_if_idle(job);
                    }
                    _ = tick.tick() => {
                        let Some(inner) = weak.upgrade() else { return };
                        let mut rings = inner.rings.lock().unwrap_or_else(PoisonError::into_inner);
                        rings.retain(|_, ring| ring.touched.elapsed() < retention);
                        drop_oldest(&mut rings);
                        if rings.len() * 2 < rings.capacity() {
                            rings.shrink_to_fit();
                        }
                    }
                }
            }
        });
        Self { inner, gone }
    }
}

#[async_trait]
impl EventLog for LocalEvents {
    async fn append(&self, job: JobId, events: &[Event]) -> Result<(), EventsError> {
        for event in events {
            let event = Arc::new(event.clone());
            {
                let mut rings = self.inner.rings.lock().unwrap_or_else(PoisonError::into_inner);
                let ring = rings.entry(job).or_insert_with(|| Ring {
                    events: VecDeque::new(),
                    last: EventId::START,
                    touched: Instant::now(),
                });
                if event.id <= ring.last {
                    // As on Redis, where an append may have to be repeated.
                    if ring.events.iter().rev().any(|there| there.id == event.id) {
                        continue;
                    }
                    return Err(EventsError::Stale);
                }
                ring.last = event.id;
                ring.touched = Instant::now();
                ring.events.push_back(event.clone());
                if ring.events.len() > LOG_MAX {
                    ring.events.pop_front();
                }
            }
            self.inner.topics.send(job, Live::Event(event));
        }
        Ok(())
    }

    async fn notify(&self, job: JobId, event: &Event) -> Result<(), EventsError> {
        self.inner.topics.send(job, Live::Event(Arc::new(event.clone())));
        Ok(())
    }

    async fn read_after(&self, job: JobId, after: EventId) -> Result<Vec<Event>, EventsError> {
        let rings = self.inner.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ring) = rings.get(&job) else { return Ok(Vec::new()) };
        let start = ring.events.partition_point(|event| event.id <= after);
        Ok(ring.events.range(start..).map(|event| Event::clone(event)).collect())
    }

    async fn subscribe(&self, job: JobId) -> Result<Subscription, EventsError> {
        let (receiver, _first) = self.inner.topics.listen(job);
        Ok(Subscription::new(job, receiver, self.gone.clone()))
    }

    async fn erase(&self, job: JobId) -> Result<(), EventsError> {
        self.inner.rings.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "in-process"
    }
}
