//! The wire: tells idle workers which jobs are ready, fast.
//!
//! It holds ids only and may lose all of them at any moment: the ledger is the truth, and the sweeper announces again
//! what the wire forgot. Announcing an id twice is harmless, because a claim lets one worker through.

mod local;
mod redis;
mod spread;
mod turns;

use std::time::Duration;

use async_trait::async_trait;

use crate::{domain::ids::JobId, domain::job::Lane, store::jobs::Ready};

pub use local::LocalWire;
pub use redis::RedisWire;
pub use spread::SpreadWire;
pub use turns::Taking;

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
    /// Puts ids up for any worker of their lane, in line. One that is up keeps its place.
    async fn announce(&self, ready: &[Ready], taking: Taking) -> Result<(), WireError>;
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

/// Priorities that are told apart; lower goes first.
fn priority(ready: &Ready) -> i64 {
    ready.priority.clamp(-500, 500)
}

/// What is announced, lane by lane: mostly it is one.
fn by_lane(ready: &[Ready]) -> Vec<(Lane, Vec<Ready>)> {
    let mut lanes: Vec<(Lane, Vec<Ready>)> = Vec::new();
    for one in ready {
        match lanes.iter_mut().find(|(lane, _)| *lane == one.lane) {
            Some((_, here)) => here.push(*one),
            None => lanes.push((one.lane, vec![*one])),
        }
    }
    lanes
}
