//! The wire: tells idle workers which jobs are ready, fast.
//!
//! It holds ids only and may lose all of them at any moment: the ledger is the truth, and the sweeper announces again
//! what the wire forgot. Announcing an id twice is harmless, because a claim lets one worker through.

mod local;
mod redis;
mod turns;

use std::time::Duration;

use async_trait::async_trait;

use crate::{domain::ids::JobId, domain::job::Lane, store::jobs::Ready};

pub use local::LocalWire;
pub use redis::RedisWire;
pub use turns::Turns;

/// The wire is away or answered nonsense. Never the caller's fault.
#[derive(Debug, thiserror::Error)]
#[error("the wire failed: {0}")]
pub struct WireError(pub String);

impl From<::redis::RedisError> for WireError {
    fn from(error: ::redis::RedisError) -> Self {
        Self(error.to_string())
    }
}

#[async_trait]
pub trait Wire: Send + Sync {
    /// Puts ids up for any worker of their lane.
    async fn announce(&self, ready: &[Ready]) -> Result<(), WireError>;
    /// Opens a place to wait at. Each waits on a connection of its own, since waiting blocks it.
    async fn receiver(&self, lane: Lane) -> Result<Box<dyn Receiver>, WireError>;
    /// How many ids are up in a lane.
    async fn depth(&self, lane: Lane) -> Result<u64, WireError>;
    /// Whether the wire answers.
    async fn ping(&self) -> Result<(), WireError>;
    fn name(&self) -> &'static str;
}

/// Where one lane's ids come out, the most urgent first.
#[async_trait]
pub trait Receiver: Send {
    /// Up to `max` ids; waits at most `wait` for the first. Empty when none came.
    async fn pop(&mut self, max: usize, wait: Duration) -> Result<Vec<JobId>, WireError>;
}

/// Orders ids: by priority, then by `run_at`, the place in line ([`Turns`]). A double holds both exactly: priorities within ±500 and
/// milliseconds of the next centuries.
fn score(ready: &Ready) -> f64 {
    let priority = ready.priority.clamp(-500, 500) as f64;
    priority * 1e13 + ready.run_at.timestamp_millis() as f64
}
