//! What a job that runs in a process of its own tells the process that started it: a line of JSON a message, over the
//! standard output.
//!
//! An embedded service keeps events and the wire in its own memory, so what such a job has to say for them goes through
//! here. With Redis it says that there, and only how it ended here.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    io::{AsyncWriteExt, Stdout},
    sync::Mutex,
};

use crate::{
    clock::Clock,
    domain::{
        event::{Event, EventId},
        ids::JobId,
        job::Lane,
    },
    events::{EventLog, EventsError, Subscription},
    store::jobs::Ready,
    wire::{Receiver, Taking, Wire, WireError},
};

/// The longest line that is read, in bytes: a final event carries a whole answer.
pub const LONGEST_LINE: usize = 64 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// The job was found, and begins.
    Begun,
    /// For a job's event log.
    Events(JobId, Vec<Numbered>),
    /// A final event that is shown and not kept.
    Shown(JobId, Numbered),
    /// A job whose events are to be forgotten.
    Erased(JobId),
    /// For the wire.
    Ready(Vec<Ready>),
    /// The attempt is over, and the ledger knows: the metric's word for it.
    Ended(String),
}

/// An event with its number, which its usual form leaves out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Numbered {
    id: EventId,
    name: String,
    data: Value,
}

impl From<&Event> for Numbered {
    fn from(event: &Event) -> Self {
        Self { id: event.id, name: event.name.clone(), data: event.data.clone() }
    }
}

impl From<Numbered> for Event {
    fn from(Numbered { id, name, data }: Numbered) -> Self {
        Self { id, name, data }
    }
}

/// What the process that runs one job begins with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Errand {
    pub job: JobId,
    pub attempt: u32,
    /// The worker's: embedded, it may be ahead of this machine's, and slower.
    pub clock: Clock,
}

/// The way out of the process that runs one job.
#[derive(Clone)]
pub struct Pipe(Arc<Mutex<Stdout>>);

impl Default for Pipe {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(tokio::io::stdout())))
    }
}

impl Pipe {
    /// Messages arrive in the order in which they were said.
    pub async fn say(&self, message: &Message) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let mut out = self.0.lock().await;
        out.write_all(&line).await?;
        out.flush().await
    }
}

fn away(error: std::io::Error) -> EventsError {
    EventsError::Away(error.to_string())
}

const NOBODY_READS: &str = "a process that runs one job reads no events";

#[async_trait]
impl EventLog for Pipe {
    async fn append(&self, job: JobId, events: &[Event]) -> Result<(), EventsError> {
        let events = events.iter().map(Numbered::from).collect();
        self.say(&Message::Events(job, events)).await.map_err(away)
    }

    async fn notify(&self, job: JobId, event: &Event) -> Result<(), EventsError> {
        self.say(&Message::Shown(job, event.into())).await.map_err(away)
    }

    async fn read_after(&self, _: JobId, _: EventId) -> Result<Vec<Event>, EventsError> {
        Err(EventsError::Away(NOBODY_READS.to_owned()))
    }

    async fn subscribe(&self, _: JobId) -> Result<Subscription, EventsError> {
        Err(EventsError::Away(NOBODY_READS.to_owned()))
    }

    async fn erase(&self, job: JobId) -> Result<(), EventsError> {
        self.say(&Message::Erased(job)).await.map_err(away)
    }

    fn name(&self) -> &'static str {
        "pipe"
    }
}

#[async_trait]
impl Wire for Pipe {
    async fn announce(&self, ready: &[Ready], _: Taking) -> Result<(), WireError> {
        self.say(&Message::Ready(ready.to_vec())).await.map_err(|error| WireError(error.to_string()))
    }

    async fn receiver(&self, _: Lane) -> Result<Box<dyn Receiver>, WireError> {
        Err(WireError("a process that runs one job takes no other".to_owned()))
    }

    async fn depth(&self, _: Lane) -> Result<u64, WireError> {
        Ok(0)
    }

    async fn ping(&self) -> Result<(), WireError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "pipe"
    }
}
