//! What is known of providers and keys now: circuit breakers, keys that rest, rates the providers told us.
//!
//! Breakers ([`super::breaker`]) are shared by all processes through Redis: the count, the opening, the right to try, and
//! the closing. While Redis is away each process counts for itself. Looking at a closed one costs no round trip: what other
//! processes found out is read in the background, about once a second. An open one is looked up before it refuses, at most
//! every 100 ms, so that one process' first success is every process'; and each once, when a process first asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, futures::Notified},
    time::Instant,
};

use super::{
    breaker::{self, Breaker, State as Circuit},
    rates::{Bucket, RateHeaders, Window},
};
use crate::redis_link::RedisLink;

const REFRESH: Duration = Duration::from_secs(1);
const LOOK_UP: Duration = Duration::from_millis(100);
/// How long an opening stays in Redis at most; what is left of it tells its age, whatever the processes' clocks say.
const KEPT: Duration = Duration::from_secs(2 * 3_600);
const REST_MAX: Duration = Duration::from_secs(3_600);
/// How long to leave a provider alone that another request is trying now.
const BEING_TRIED: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Key {
    rests_until: Option<Instant>,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

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

fn opened_key(provider: &str) -> String {
    format!("rapport:breaker:opened:{provider}")
}
fn try_key(provider: &str) -> String {
    format!("rapport:breaker:try:{provider}")
}
fn rest_key(provider: &str, key: usize) -> String {
    format!("rapport:breaker:rest:{provider}:{key}")
}
fn failures_key(provider: &str) -> String {
    format!("rapport:breaker:failures:{provider}")
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
            claim.cmd("SET").arg(try_key(provider)).arg(1).arg("NX").arg("PX").arg(millis);
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
            pipe.cmd("DEL").arg(failures_key(provider)).arg(opened_key(provider)).arg(try_key(provider));
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
            pipe.cmd("INCR").arg(failures_key(provider));
            pipe.cmd("EXPIRE").arg(failures_key(provider)).arg(60).ignore();
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
        pipe.cmd("SET").arg(opened_key(provider)).arg(openings).arg("PX");
        pipe.arg(KEPT.as_millis() as u64).ignore();
        pipe.cmd("DEL").arg(try_key(provider)).arg(failures_key(provider)).ignore();
        if link.query::<()>(&pipe).await.is_ok() {
            self.with(provider, |state| state.circuit.shared = state.circuit.is_open());
        }
    }

    /// A key is not to be used for a while: its rate is used up, or it is not accepted.
    /// A time a provider names is believed up to an hour: a wrong one must not end a key's use for good.
    pub fn rest(&self, provider: &str, key: usize, rest: Duration) {
        let rest = rest.min(REST_MAX);
        self.with(provider, |state| {
            key_of(state, key).rests_until = Some(Instant::now() + rest);
        });
        if let Some(link) = self.shared.clone() {
            let mut pipe = redis::pipe();
            pipe.cmd("SET").arg(rest_key(provider, key)).arg(1).arg("PX");
            pipe.arg((rest.as_millis() as u64).max(1)).ignore();
            tokio::spawn(async move { link.query::<()>(&pipe).await });
        }
    }

    /// What a provider said of a key's rate.
    pub fn note(&self, provider: &str, key: usize, limits: RateHeaders) {
        if limits == RateHeaders::default() {
            return;
        }
        let bucket = |window: Option<Window>| window.map(|window| Bucket { window, since: Instant::now() });
        self.with(provider, |state| {
            let state = key_of(state, key);
            (state.requests, state.tokens) = (bucket(limits.requests), bucket(limits.tokens));
        });
    }

    /// The keys that may be used now for a prompt of `tokens`, the next in turn first. `Err`: none, for so long.
    pub fn keys(&self, provider: &str, count: usize, tokens: usize) -> Result<Vec<usize>, Duration> {
        let now = Instant::now();
        self.with(provider, |state| {
            let start = state.next_key;
            state.next_key = (start + 1) % count.max(1);
            let mut free = Vec::new();
            let mut soonest = Duration::MAX;
            for at in 0..count {
                let index = (start + at) % count;
                let key = key_of(state, index);
                let rest =
                    key.rests_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
                let requests = key.requests.map_or(Duration::ZERO, |bucket| bucket.wait(1.0, now));
                // A prompt larger than the limit will be refused by the provider, not here.
                let wanted = |bucket: Bucket| bucket.wait((tokens as f64).min(bucket.window.limit), now);
                let wait = rest.max(requests).max(key.tokens.map_or(Duration::ZERO, wanted));
                if wait.is_zero() {
                    free.push(index);
                } else {
                    soonest = soonest.min(wait);
                }
            }
            if free.is_empty() { Err(soonest) } else { Ok(free) }
        })
    }

    /// A request is about to use a key.
    pub fn spend(&self, provider: &str, key: usize, tokens: usize) {
        self.with(provider, |state| {
            let key = key_of(state, key);
            for (bucket, cost) in [(&mut key.requests, 1.0), (&mut key.tokens, tokens as f64)] {
                if let Some(bucket) = bucket {
                    bucket.window.remaining = (bucket.window.remaining - cost).max(0.0);
                }
            }
        });
    }

    /// Whether a provider can be asked now, as far as this process knows: with one of so many keys, if it needs any.
    pub fn can_be_asked(&self, provider: &str, keys: usize) -> bool {
        !self.is_open(provider) && self.resting(provider) < keys.max(1)
    }

    /// How many of a provider's keys rest now.
    pub fn resting(&self, provider: &str) -> usize {
        let now = Instant::now();
        let rests = |key: &&Key| key.rests_until.is_some_and(|until| until > now);
        self.with(provider, |state| state.keys.iter().filter(rests).count())
    }

    /// Learns what other processes found out, in the background.
    fn refresh(&self) {
        if self.shared.is_none() {
            return;
        }
        let known: Vec<String> = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if inner.refreshed.is_some_and(|last| now - last < REFRESH) {
                return;
            }
            inner.refreshed = Some(now);
            inner.providers.keys().cloned().collect()
        };
        let health = self.clone();
        tokio::spawn(async move {
            for provider in known {
                health.look_up(&provider).await;
            }
        });
    }

    /// Learns what other processes found out of one provider.
    async fn look_up(&self, provider: &str) {
        let Some(link) = &self.shared else { return };
        let asked = Instant::now();
        let keys = self.with(provider, |state| {
            if state.looked_up.is_some_and(|last| asked - last < LOOK_UP) {
                return None;
            }
            state.looked_up = Some(asked);
            Some(state.keys.len())
        });
        let Some(keys) = keys else { return };
        let mut pipe = redis::pipe();
        pipe.cmd("GET").arg(opened_key(provider));
        pipe.cmd("PTTL").arg(opened_key(provider));
        for key in 0..keys {
            pipe.cmd("PTTL").arg(rest_key(provider, key));
        }
        // An answer for each: how often it was opened if it is, and how long each of these is kept yet.
        let Ok(found) = link.query::<Vec<Option<i64>>>(&pipe).await else { return };
        let millis = |at: usize| {
            let left = found.get(at).copied().flatten().filter(|left| *left > 0)?;
            Some(Duration::from_millis(left as u64))
        };
        let now = Instant::now();
        let closes = self.with(provider, |state| {
            for key in 0..keys {
                let rests = millis(key + 2).map(|left| now + left);
                key_of(state, key).rests_until = rests.or(state.keys[key].rests_until);
            }
            match (found.first().copied().flatten(), millis(1)) {
                (Some(openings), Some(left)) => {
                    let since = now.checked_sub(KEPT.saturating_sub(left)).unwrap_or(now);
                    state.circuit.hear_open(openings.clamp(1, 100) as u32, since);
                    false
                }
                _ => state.circuit.hear_closed(asked, now),
            }
        });
        if closes {
            self.closed.notify_waiters();
        }
    }
}

fn key_of(state: &mut State, key: usize) -> &mut Key {
    while state.keys.len() <= key {
        state.keys.push(Key::default());
    }
    &mut state.keys[key]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health::new(Breaker { failures: 3, rest: Duration::from_secs(10) }, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_breaker_opens_rests_lets_one_try_and_closes() {
        let health = health();
        let fail = async |times: usize, pass| {
            for _ in 0..times {
                health.failed("p", pass).await;
            }
        };
        fail(2, Pass::Free).await;
        health.succeeded("p");
        fail(2, Pass::Free).await;
        assert_eq!(
            health.admit("p", false).await,
            Ok(Pass::Free),
            "a success between starts the count again"
        );
        fail(1, Pass::Free).await;
        assert_eq!(health.admit("p", false).await, Err(Duration::from_secs(10)));
        assert_eq!(
            health.admit("p", true).await,
            Err(Duration::from_secs(1)),
            "sooner, with nobody else to ask"
        );
        assert_eq!(health.admit("other", false).await, Ok(Pass::Free));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(health.admit("p", false).await, Ok(Pass::Probe), "one may try");
        assert!(health.admit("p", false).await.is_err(), "only one");
        fail(1, Pass::Probe).await;
        assert_eq!(health.admit("p", false).await, Err(Duration::from_secs(20)), "and it rests for longer");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(health.admit("p", true).await, Ok(Pass::Probe));
        let closes = health.closes();
        health.began("p");
        closes.await;
        assert_eq!(health.standing("p"), Standing::Closed);
        assert_eq!(health.admit("p", false).await, Ok(Pass::Free));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_hangs_does_not_hold_up_who_has_nobody_else() {
        let health = health();
        for _ in 0..3 {
            health.failed("p", Pass::Free).await;
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(health.admit("p", true).await, Ok(Pass::Probe));
        assert_eq!(health.wait("p"), Duration::from_secs(2));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(health.admit("p", true).await, Ok(Pass::Probe));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_take_turns_and_rest() {
        let health = health();
        assert_eq!(health.keys("p", 3, 1), Ok(vec![0, 1, 2]));
        assert_eq!(health.keys("p", 3, 1), Ok(vec![1, 2, 0]));
        health.rest("p", 2, Duration::from_secs(5));
        assert_eq!(health.keys("p", 3, 1), Ok(vec![0, 1]));
        health.rest("p", 0, Duration::from_secs(9));
        health.rest("p", 1, Duration::from_secs(9));
        assert_eq!(health.keys("p", 3, 1), Err(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(health.keys("p", 3, 1), Ok(vec![2]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_that_is_used_up_is_waited_for() {
        let health = health();
        let window = |limit, remaining| Window { limit, remaining, reset: Duration::from_secs(10) };
        let limits = RateHeaders { requests: Some(window(10.0, 1.0)), tokens: Some(window(1_000.0, 500.0)) };
        health.note("p", 0, limits);
        assert_eq!(health.keys("p", 1, 400), Ok(vec![0]));
        health.spend("p", 0, 400);
        let wait = health.keys("p", 1, 10).unwrap_err();
        assert!(wait > Duration::from_millis(500) && wait <= Duration::from_secs(2), "{wait:?}");
        tokio::time::advance(wait + Duration::from_millis(50)).await;
        assert_eq!(health.keys("p", 1, 10), Ok(vec![0]));
        assert!(health.keys("p", 1, 900).is_err(), "not so many tokens yet");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(
            health.keys("p", 1, 5_000),
            Ok(vec![0]),
            "more than the limit is the provider's to refuse"
        );
    }
}
