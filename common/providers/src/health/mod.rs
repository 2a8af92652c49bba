//! What is known of providers and keys now: circuit breakers, keys that rest, rates the providers told us.
//!
//! Breakers ([`super::breaker`]) are shared by all processes through Redis: the count, the opening, the right to try, and
//! the closing. While Redis is away each process counts for itself. Looking at a closed one costs no round trip: what other
//! processes found out is read in the background, about once a second. An open one is looked up before it refuses, at most
//! every 100 ms, so that one process' first success is every process'; and each once, when a process first asks.

mod keys;
mod shared;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, futures::Notified},
    time::Instant,
};

use crate::{
    breaker::{self, Breaker, State as Circuit},
    redis_link::RedisLink,
};
use keys::Key;
use shared::{KEPT, failures_key, opened_key, try_key};

/// How long to leave a provider alone that another request is trying now.
const BEING_TRIED: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct State {
    circuit: Circuit,
    looked_up: Option<Instant>,
    keys: Vec<Key>,
    next_key: usize,
}

/// How a provider stands, for `/models` and the admin: as those see it who can go elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Closed,
    /// For so long.
    Open(Duration),
    /// It rested; the next request tries.
    HalfOpen,
}

/// How a request was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    Free,
    /// It is the one that tries.
    Probe,
}

#[derive(Clone)]
pub struct Health {
    breaker: Breaker,
    inner: Arc<Mutex<Inner>>,
    shared: Option<RedisLink>,
    /// Rings when a breaker closes.
    closed: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    providers: HashMap<String, State>,
    refreshed: Option<Instant>,
}

impl Health {
    pub fn new(breaker: Breaker, shared: Option<RedisLink>) -> Self {
        Self { breaker, inner: Arc::default(), shared, closed: Arc::default() }
    }

    fn with<T>(&self, provider: &str, act: impl FnOnce(&mut State) -> T) -> T {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.providers.contains_key(provider) {
            inner.providers.insert(provider.to_owned(), State::default());
        }
        act(inner.providers.entry(provider.to_owned()).or_default())
    }

    pub fn standing(&self, provider: &str) -> Standing {
        self.refresh();
        let now = Instant::now();
        self.with(provider, |state| match state.circuit.rests(self.breaker, false, now) {
            _ if !state.circuit.is_open() => Standing::Closed,
            rest if rest.is_zero() => Standing::HalfOpen,
            rest => Standing::Open(rest),
        })
    }

    pub fn is_open(&self, provider: &str) -> bool {
        self.with(provider, |state| state.circuit.is_open())
    }

    /// How long nobody who has nobody else to ask may ask a provider; zero when it may be asked now.
    pub fn wait(&self, provider: &str) -> Duration {
        self.refresh();
        self.with(provider, |state| state.circuit.wait(self.breaker, true, Instant::now()))
    }

    /// Ends when some breaker closes after this was called.
    pub fn closes(&self) -> Notified<'_> {
        self.closed.notified()
    }

    /// Whether a provider may be asked now; `Err` is how long not. `alone`: by someone who has nobody else to ask.
    pub async fn admit(&self, provider: &str, alone: bool) -> Result<Pass, Duration> {
        self.refresh();
        let known = self.with(provider, |state| state.looked_up.is_some() && !state.circuit.is_open());
        if known {
            return Ok(Pass::Free);
        }
        self.look_up(provider).await;
        let now = Instant::now();
        let pass = self.with(provider, |state| match state.circuit.wait(self.breaker, alone, now) {
            _ if !state.circuit.is_open() => Ok(Pass::Free),
            wait if wait.is_zero() => {
                state.circuit.probe(alone, now);
                Ok(Pass::Probe)
            }
            wait => Err(wait),
        });
        if pass == Ok(Pass::Probe)
            && let Some(link) = &self.shared
        {
            let mut claim = redis::pipe();
            let millis = breaker::probe(alone).as_millis() as u64;
            claim.cmd("SET").arg(try_key(link, provider)).arg(1).arg("NX").arg("PX").arg(millis);
            // With Redis away, each process tries for itself.
            if let Ok((None,)) = link.query::<(Option<String>,)>(&claim).await {
                return Err(BEING_TRIED);
            }
        }
        pass
    }

    /// A provider has begun to answer.
    pub fn began(&self, provider: &str) {
        if self.with(provider, |state| state.circuit.begin(self.breaker, Instant::now())) {
            self.tell_closed(provider);
        }
    }

    /// A provider has answered.
    pub fn succeeded(&self, provider: &str) {
        if self.with(provider, |state| state.circuit.succeed(Instant::now())) {
            self.tell_closed(provider);
        }
    }

    fn tell_closed(&self, provider: &str) {
        self.closed.notify_waiters();
        if let Some(link) = self.shared.clone() {
            let mut pipe = redis::pipe();
            pipe.cmd("DEL")
                .arg(failures_key(&link, provider))
                .arg(opened_key(&link, provider))
                .arg(try_key(&link, provider));
            tokio::spawn(async move { link.query::<(i64,)>(&pipe).await.map(drop) });
        }
    }

    /// A provider had an outage.
    pub async fn failed(&self, provider: &str, pass: Pass) {
        let (breaker, now) = (self.breaker, Instant::now());
        let was_open = self.is_open(provider);
        let opens = self.with(provider, |state| state.circuit.fail(breaker, pass == Pass::Probe, now));
        let Some(link) = &self.shared else { return };
        if was_open && !opens {
            return;
        }
        if !opens {
            let mut pipe = redis::pipe();
            pipe.cmd("INCR").arg(failures_key(link, provider));
            pipe.cmd("EXPIRE").arg(failures_key(link, provider)).arg(60).ignore();
            let Ok((count,)) = link.query::<(u32,)>(&pipe).await else { return };
            let opens = self.with(provider, |state| {
                let opens = count >= breaker.failures && !state.circuit.is_open();
                if opens {
                    state.circuit.open(state.circuit.openings + 1, now);
                }
                opens
            });
            if !opens {
                return;
            }
        }
        let openings = self.with(provider, |state| state.circuit.openings);
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(opened_key(link, provider)).arg(openings).arg("PX");
        pipe.arg(KEPT.as_millis() as u64).ignore();
        pipe.cmd("DEL").arg(try_key(link, provider)).arg(failures_key(link, provider)).ignore();
        if link.query::<()>(&pipe).await.is_ok() {
            self.with(provider, |state| state.circuit.shared = state.circuit.is_open());
        }
    }

    /// Whether a provider can be asked now, as far as this process knows: with one of so many keys, if it needs any.
    pub fn can_be_asked(&self, provider: &str, keys: usize) -> bool {
        !self.is_open(provider) && self.resting(provider) < keys.max(1)
    }
}
