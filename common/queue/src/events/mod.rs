//! The event log of a job: what subscribers read, live or later.
//!
//! A log is ordered by [`EventId`] and refuses an id that does not grow, so a zombie's late append is dropped. It may
//! lose everything (a wiped Redis): the reader ([`follow`]) notices the gap and makes good from the ledger.

mod local;
mod redis;
mod redis_live;
mod spread;
mod topics;
pub mod watch;

use async_trait::async_trait;

use crate::domain::{event::Event, event::EventId, ids::JobId};

pub use local::LocalEvents;
pub use redis::RedisEvents;
pub use spread::SpreadEvents;
pub use topics::{Live, Subscription};
pub use watch::FinalWatch;

#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// A later attempt has written, or this event was: the writer is a zombie.
    #[error("the log has gone beyond this event")]
    Stale,
    #[error("the event log failed: {0}")]
    Away(String),
}

impl From<::redis::RedisError> for EventsError {
    fn from(error: ::redis::RedisError) -> Self {
        Self::Away(error.to_string())
    }
}

#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends events in order and shows them to subscribers. One that is there already is passed over: an append whose
    /// answer was lost may be repeated.
    async fn append(&self, job: JobId, events: &[Event]) -> Result<(), EventsError>;
    /// Shows a final event to who waits now, without keeping it: for jobs that nobody streams.
    async fn notify(&self, job: JobId, event: &Event) -> Result<(), EventsError>;
    /// What comes after `after`, in order; possibly not all there ever was.
    async fn read_after(&self, job: JobId, after: EventId) -> Result<Vec<Event>, EventsError>;
    /// What is appended from now on. Subscribe first, then read: nothing falls between.
    async fn subscribe(&self, job: JobId) -> Result<Subscription, EventsError>;
    /// Forgets all of a job's events.
    async fn erase(&self, job: JobId) -> Result<(), EventsError>;
    fn name(&self) -> &'static str;
}

/// A job's log holds at most about this many events; older ones fall out.
pub const LOG_MAX: usize = 20_000;
