//! Whether a connection does anything, and for how long it has not.
//!
//! hyper's own header timeout begins with HTTP/1, after the protocol is known; a connection that says nothing, or half
//! of HTTP/2's preface, would wait for ever. So the time without a request is counted here, for both protocols alike. An
//! HTTP/2 client that grants no window can answer pings for ever too: a connection that takes nothing of any of its
//! responses does nothing either.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rapport_common::settings::Server;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

struct State {
    next: u64,
    /// Requests that run, each with the time until which its client may take nothing; none while it waits for us.
    running: HashMap<u64, Option<Instant>>,
    quiet_since: Instant,
    is_new: bool,
}

struct Shared {
    limits: Server,
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Clone)]
pub struct Activity(Arc<Shared>);

/// A request that runs, until its response's body is dropped.
pub struct Busy {
    activity: Activity,
    number: u64,
}

impl Busy {
    /// It makes its response.
    pub fn works(&self) {
        self.set(None);
    }

    /// So many bytes are ready for the client, which may take its time as it may with a body that it sends.
    pub fn offers(&self, bytes: usize) {
        let limits = &self.activity.0.limits;
        let for_these = Duration::from_secs_f64(bytes as f64 / limits.body_rate.max(1) as f64);
        self.set(Some(Instant::now() + limits.unread + for_these));
    }

    fn set(&self, until: Option<Instant>) {
        self.activity.with(|state| state.running.insert(self.number, until));
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.with(|state| {
            state.running.remove(&self.number);
            state.quiet_since = Instant::now();
        });
        self.activity.0.ended.notify_waiters();
    }
}

impl Activity {
    pub fn new(limits: Server) -> Self {
        let state = State { next: 0, running: HashMap::new(), quiet_since: Instant::now(), is_new: true };
        Self(Arc::new(Shared { limits, state: Mutex::new(state), ended: Notify::new() }))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn begin(&self) -> Busy {
        let number = self.with(|state| {
            state.next += 1;
            state.is_new = false;
            state.running.insert(state.next, None);
            state.next
        });
        Busy { activity: self.clone(), number }
    }

    /// Until when the client may take nothing of any response; `None` while nothing runs, or we work on one.
    fn unread_until(&self) -> Option<Instant> {
        self.with(|state| {
            let all: Option<Vec<Instant>> = state.running.values().copied().collect();
            all?.into_iter().max()
        })
    }

    /// When no request has come, or nothing was taken, for too long; `None` while we work on a response.
    fn deadline(&self) -> Option<Instant> {
        let limits = &self.0.limits;
        let idle = self.with(|state| {
            let patience = if state.is_new { limits.head } else { limits.idle };
            state.running.is_empty().then(|| state.quiet_since + patience)
        });
        idle.or_else(|| self.unread_until())
    }

    /// Ends when no request runs, or nobody takes what those that do have to say.
    pub async fn free(&self) {
        loop {
            let ended = self.0.ended.notified();
            if self.with(|state| state.running.is_empty()) {
                return;
            }
            let unread = match self.unread_until() {
                Some(until) if until <= Instant::now() => return,
                Some(until) => until,
                None => Instant::now() + self.0.limits.unread,
            };
            tokio::select! {
                () = ended => {}
                () = sleep_until(unread) => {}
            }
        }
    }

    /// Ends when no request has come, or nothing was taken, for too long.
    pub async fn quiet(&self) {
        let limits = &self.0.limits;
        loop {
            match self.deadline() {
                Some(deadline) if deadline <= Instant::now() => return,
                Some(deadline) => sleep_until(deadline).await,
                // Whatever happens meanwhile leaves at least this much time.
                None => sleep(limits.idle.min(limits.unread)).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_request_and_the_next_have_times_of_their_own() {
        let limits = Server::default();
        let activity = Activity::new(limits);
        let started = Instant::now();
        activity.quiet().await;
        assert_eq!(started.elapsed(), limits.head);

        let activity = Activity::new(limits);
        let (first, second) = (activity.begin(), activity.begin());
        let busy = limits.idle * 3 + Duration::from_secs(1);
        assert!(tokio::time::timeout(busy, activity.quiet()).await.is_err(), "requests run");
        drop(first);
        assert!(tokio::time::timeout(busy, activity.quiet()).await.is_err(), "one runs still");
        drop(second);
        let ended = Instant::now();
        activity.quiet().await;
        assert_eq!(ended.elapsed(), limits.idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_takes_nothing_of_any_response_is_quiet() {
        let limits = Server::default();
        let activity = Activity::new(limits);
        let (one, other) = (activity.begin(), activity.begin());
        let long = limits.unread * 3 + Duration::from_secs(1);
        one.offers(0);
        assert!(tokio::time::timeout(long, activity.quiet()).await.is_err(), "we work on the other");
        assert!(tokio::time::timeout(long, activity.free()).await.is_err());
        // Much takes longer; the slower of two decides.
        other.offers(10 * limits.body_rate as usize);
        let offered = Instant::now();
        activity.quiet().await;
        assert_eq!(offered.elapsed(), limits.unread + Duration::from_secs(10));
        activity.free().await;
        other.works();
        assert!(tokio::time::timeout(long, activity.quiet()).await.is_err(), "it was taken");
        drop((one, other));
        activity.free().await;
    }
}
