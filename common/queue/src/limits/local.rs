//! Limits counted in this process.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Decision, Limits, LimitsError, Rate};

#[derive(Default)]
struct State {
    /// Theoretical arrival times.
    arrivals: HashMap<String, Instant>,
    seen: HashMap<String, Instant>,
    writes: u32,
}

#[derive(Default)]
pub struct LocalLimits(Mutex<State>);

impl LocalLimits {
    pub fn new() -> Self {
        Self::default()
    }
}

impl State {
    /// Entries whose time is past say nothing: drop them now and then.
    fn prune(&mut self, now: Instant) {
        self.writes += 1;
        if self.writes.is_multiple_of(1_024) {
            self.arrivals.retain(|_, arrival| *arrival > now);
            self.seen.retain(|_, until| *until > now);
        }
    }
}

#[async_trait]
impl Limits for LocalLimits {
    async fn check(&self, key: &str, rate: Rate) -> Decision {
        let now = Instant::now();
        let interval = Duration::from_micros(rate.interval_micros() as u64);
        let tolerance = Duration::from_micros(rate.tolerance_micros() as u64);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.prune(now);
        let arrival = state.arrivals.get(key).copied().unwrap_or(now).max(now);
        let next = arrival + interval;
        let allowed = next <= now + tolerance;
        if allowed {
            state.arrivals.insert(key.to_owned(), next);
        }
        let ahead = if allowed { next - now } else { arrival - now };
        Decision::from_arrival(rate, allowed, ahead.as_micros() as i64)
    }

    async fn give_back(&self, key: &str, rate: Rate) {
        let interval = Duration::from_micros(rate.interval_micros() as u64);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = state.arrivals.get(key).and_then(|arrival| arrival.checked_sub(interval)) {
            state.arrivals.insert(key.to_owned(), before); // one that is past says nothing
        }
    }

    async fn once(&self, key: &str, keep: Duration) -> Result<bool, LimitsError> {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.prune(now);
        let fresh = state.seen.get(key).is_none_or(|until| *until <= now);
        if fresh {
            state.seen.insert(key.to_owned(), now + keep);
        }
        Ok(fresh)
    }
}
