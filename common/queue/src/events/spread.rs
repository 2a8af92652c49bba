//! Several logs as one: each job's events are in the one that its id names. What one server lost, or cannot take, is some jobs' alone.

use std::sync::Arc;

use async_trait::async_trait;

use super::{EventLog, EventsError, Subscription};
use crate::domain::{
    event::{Event, EventId},
    ids::JobId,
};

pub struct SpreadEvents {
    first: Arc<dyn EventLog>,
    others: Vec<Arc<dyn EventLog>>,
}

impl SpreadEvents {
    /// All processes must name the same logs in the same order.
    pub fn new(first: Arc<dyn EventLog>, others: Vec<Arc<dyn EventLog>>) -> Self {
        Self { first, others }
    }

    /// By the end of the id, which is random; it begins with the time.
    fn of(&self, job: JobId) -> &dyn EventLog {
        let at = (job.0.as_u128() % (self.others.len() as u128 + 1)) as usize;
        at.checked_sub(1).and_then(|at| self.others.get(at)).unwrap_or(&self.first).as_ref()
    }
}

#[async_trait]
impl EventLog for SpreadEvents {
    async fn append(&self, job: JobId, events: &[Event]) -> Result<(), EventsError> {
        self.of(job).append(job, events).await
    }

    async fn notify(&self, job: JobId, event: &Event) -> Result<(), EventsError> {
        self.of(job).notify(job, event).await
    }

    async fn read_after(&self, job: JobId, after: EventId) -> Result<Vec<Event>, EventsError> {
        self.of(job).read_after(job, after).await
    }

    async fn subscribe(&self, job: JobId) -> Result<Subscription, EventsError> {
        self.of(job).subscribe(job).await
    }

    async fn erase(&self, job: JobId) -> Result<(), EventsError> {
        self.of(job).erase(job).await
    }

    fn name(&self) -> &'static str {
        self.first.name()
    }
}
