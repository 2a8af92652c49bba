//! Whether a connection does anything, and for how long it has not.
//!
//! hyper's own header timeout begins with HTTP/1, after the protocol is known; a connection that says nothing, or half
//! of HTTP/2's preface, would wait for ever. So the time without a request is counted here, for both protocols alike.

use std::sync::{Arc, Mutex, PoisonError};

use rapport_common::settings::Server;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

struct State {
    running: usize,
    quiet_since: Instant,
    is_new: bool,
}

#[derive(Clone)]
pub struct Activity(Arc<(Mutex<State>, Notify)>);

/// A request that runs, until its response's body is dropped.
pub struct Busy(Activity);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.with(|state| {
            state.running = state.running.saturating_sub(1);
            state.quiet_since = Instant::now();
        });
        self.0.0.1.notify_waiters();
    }
}

impl Activity {
    pub fn new() -> Self {
        let state = State { running: 0, quiet_since: Instant::now(), is_new: true };
        Self(Arc::new((Mutex::new(state), Notify::new())))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn begin(&self) -> Busy {
        self.with(|state| {
            state.running += 1;
            state.is_new = false;
        });
        Busy(self.clone())
    }

    /// When no request has come for too long; `None` while one runs.
    fn deadline(&self, limits: &Server) -> Option<Instant> {
        self.with(|state| {
            let patience = if state.is_new { limits.head } else { limits.idle };
            (state.running == 0).then(|| state.quiet_since + patience)
        })
    }

    /// Ends when no request runs.
    pub async fn free(&self) {
        loop {
            let ended = self.0.1.notified();
            if self.with(|state| state.running == 0) {
                return;
            }
            ended.await;
        }
    }

    /// Ends when no request has come for too long.
    pub async fn quiet(&self, limits: &Server) {
        loop {
            match self.deadline(limits) {
                Some(deadline) if deadline <= Instant::now() => return,
                Some(deadline) => sleep_until(deadline).await,
                // Whatever ends meanwhile leaves at least this much time.
                None => sleep(limits.idle).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limits() -> Server {
        Server::default()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_request_and_the_next_have_times_of_their_own() {
        let (limits, activity) = (limits(), Activity::new());
        let started = Instant::now();
        activity.quiet(&limits).await;
        assert_eq!(started.elapsed(), limits.head);

        let activity = Activity::new();
        let (first, second) = (activity.begin(), activity.begin());
        let busy = limits.idle * 3 + Duration::from_secs(1);
        assert!(tokio::time::timeout(busy, activity.quiet(&limits)).await.is_err(), "requests run");
        drop(first);
        assert!(tokio::time::timeout(busy, activity.quiet(&limits)).await.is_err(), "one runs still");
        drop(second);
        let ended = Instant::now();
        activity.quiet(&limits).await;
        assert_eq!(ended.elapsed(), limits.idle);
    }
}
