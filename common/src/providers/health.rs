//! What is known of providers and keys now: circuit breakers, keys that rest, rates the providers told us.
//!
//! A breaker belongs to a provider: after `failures` outages in a row it opens, and nobody asks for `rest`, doubled with
//! each opening up to eight times; then one request may try. With Redis the count, the opening and the right to try are
//! shared by all processes; while Redis is away each counts for itself. Looking costs no round trip: other processes'
//! openings are read in the background, about once a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use crate::{clock, redis_link::RedisLink};

/// How long one request may try a provider whose breaker was open.
const PROBE: Duration = Duration::from_secs(30);
const REFRESH: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
pub struct Breaker {
    /// Outages in a row that open it.
    pub failures: u32,
    /// How long it stays open the first time.
    pub rest: Duration,
}

/// A rate as a provider's headers tell it: how many are left of how many, and when all are there again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub limit: f64,
    pub remaining: f64,
    pub reset: Duration,
}

const REST_MAX: Duration = Duration::from_secs(3_600);

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RateHeaders {
    pub requests: Option<Window>,
    pub tokens: Option<Window>,
}

impl RateHeaders {
    /// `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, resets as `1s`, `6m0s` or `17ms`.
    pub fn openai(headers: &HeaderMap) -> Self {
        let window = |what: &str| {
            let text = |part: &str| headers.get(format!("x-ratelimit-{part}-{what}"))?.to_str().ok();
            Some(Window {
                limit: amount(text("limit")?)?,
                remaining: amount(text("remaining")?)?,
                reset: duration(text("reset")?)?,
            })
        };
        Self { requests: window("requests"), tokens: window("tokens") }
    }

    /// `anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}`, resets as RFC 3339.
    pub fn anthropic(headers: &HeaderMap) -> Self {
        let window = |what: &str| {
            let text = |part: &str| headers.get(format!("anthropic-ratelimit-{what}-{part}"))?.to_str().ok();
            let reset = chrono::DateTime::parse_from_rfc3339(text("reset")?).ok()?;
            Some(Window {
                limit: amount(text("limit")?)?,
                remaining: amount(text("remaining")?)?,
                reset: (reset.to_utc() - clock::now()).to_std().unwrap_or_default(),
            })
        };
        Self { requests: window("requests"), tokens: window("tokens") }
    }
}

/// `inf` and `nan` are numbers to Rust, and would end in a wait that is none.
fn amount(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|amount| amount.is_finite())
}

/// `6m0s`, `1.5s`, `17ms`, `2h3m`.
fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut number, mut unit) = (0.0, String::new(), String::new());
    let mut add = |number: &mut String, unit: &mut String| -> Option<()> {
        let factor = match unit.as_str() {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" | "" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        number.clear();
        unit.clear();
        Some(())
    };
    for c in text.trim().chars() {
        if c.is_ascii_digit() || c == '.' {
            if !unit.is_empty() {
                add(&mut number, &mut unit)?;
            }
            number.push(c);
        } else {
            unit.push(c);
        }
    }
    add(&mut number, &mut unit)?;
    Duration::try_from_secs_f64(total).ok()
}

/// A token bucket that fills evenly until the provider's reset.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    window: Window,
    since: Instant,
}

impl Bucket {
    fn level(&self, now: Instant) -> f64 {
        let reset = self.window.reset.as_secs_f64();
        let passed = if reset > 0.0 { ((now - self.since).as_secs_f64() / reset).min(1.0) } else { 1.0 };
        self.window.remaining + (self.window.limit - self.window.remaining).max(0.0) * passed
    }

    /// When there will be `wanted`; at the latest when all is there.
    fn wait(&self, wanted: f64, now: Instant) -> Duration {
        let missing = wanted - self.level(now);
        let span = self.window.limit - self.window.remaining;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        let until_full = (self.since + self.window.reset).saturating_duration_since(now);
        if span <= 0.0 {
            return until_full;
        }
        Duration::from_secs_f64(missing / span * self.window.reset.as_secs_f64()).min(until_full)
    }
}

#[derive(Debug, Default)]
struct Key {
    rests_until: Option<Instant>,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Openings since the last success.
    openings: u32,
    open_until: Option<Instant>,
    trying_until: Option<Instant>,
    keys: Vec<Key>,
    next_key: usize,
}

/// How a provider stands, for `/models` and the admin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Closed,
    /// For so long.
    Open(Duration),
    /// It rested; the next request tries.
    HalfOpen,
}

#[derive(Clone)]
pub struct Health {
    breaker: Breaker,
    inner: Arc<Mutex<Inner>>,
    shared: Option<RedisLink>,
}

#[derive(Default)]
struct Inner {
    providers: HashMap<String, State>,
    refreshed: Option<Instant>,
}

fn open_key(provider: &str) -> String {
    format!("rapport:breaker:open:{provider}")
}
fn rest_key(provider: &str, key: usize) -> String {
    format!("rapport:breaker:rest:{provider}:{key}")
}
fn failures_key(provider: &str) -> String {
    format!("rapport:breaker:failures:{provider}")
}

impl Health {
    pub fn new(breaker: Breaker, shared: Option<RedisLink>) -> Self {
        Self { breaker, inner: Arc::default(), shared }
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
        self.with(provider, |state| match state.open_until {
            None => Standing::Closed,
            Some(until) if until > now => Standing::Open(until - now),
            Some(_) => Standing::HalfOpen,
        })
    }

    /// Whether a provider may be asked now; `Err` is how long not.
    pub async fn admit(&self, provider: &str) -> Result<(), Duration> {
        match self.standing(provider) {
            Standing::Closed => return Ok(()),
            Standing::Open(wait) => return Err(wait),
            Standing::HalfOpen => {}
        }
        let now = Instant::now();
        let mine = self.with(provider, |state| {
            let free = state.trying_until.is_none_or(|until| until <= now);
            if free {
                state.trying_until = Some(now + PROBE);
            }
            free
        });
        if !mine {
            return Err(Duration::from_secs(1));
        }
        if let Some(link) = &self.shared {
            let mut claim = redis::pipe();
            let key = format!("rapport:breaker:try:{provider}");
            claim.cmd("SET").arg(key).arg(1).arg("NX").arg("PX").arg(PROBE.as_millis() as u64);
            // With Redis away, each process tries for itself.
            if let Ok((None,)) = link.query::<(Option<String>,)>(&claim).await {
                return Err(Duration::from_secs(1));
            }
        }
        Ok(())
    }

    /// A provider answered.
    pub fn succeeded(&self, provider: &str) {
        let was_broken = self.with(provider, |state| {
            let was = state.failures > 0 || state.open_until.is_some();
            (state.failures, state.openings, state.open_until, state.trying_until) = (0, 0, None, None);
            was
        });
        if let Some(link) = self.shared.clone().filter(|_| was_broken) {
            let mut pipe = redis::pipe();
            let tried = format!("rapport:breaker:try:{provider}");
            pipe.cmd("DEL").arg(failures_key(provider)).arg(open_key(provider)).arg(tried);
            tokio::spawn(async move { link.query::<(i64,)>(&pipe).await.map(drop) });
        }
    }

    /// A provider had an outage.
    pub fn failed(&self, provider: &str) {
        let breaker = self.breaker;
        let opened = self.with(provider, |state| {
            state.failures += 1;
            (state.failures >= breaker.failures || state.open_until.is_some()).then(|| open(state, breaker))
        });
        let Some(link) = self.shared.clone() else { return };
        let (health, provider) = (self.clone(), provider.to_owned());
        tokio::spawn(async move {
            let mut pipe = redis::pipe();
            pipe.cmd("INCR").arg(failures_key(&provider));
            pipe.cmd("EXPIRE").arg(failures_key(&provider)).arg(60).ignore();
            let Ok((count,)) = link.query::<(u32,)>(&pipe).await else { return };
            let rest = opened.or_else(|| {
                let open_now = |state: &mut State| state.open_until.is_none().then(|| open(state, breaker));
                if count >= breaker.failures { health.with(&provider, open_now) } else { None }
            });
            if let Some(rest) = rest {
                let mut pipe = redis::pipe();
                let tried = format!("rapport:breaker:try:{provider}");
                pipe.cmd("SET")
                    .arg(open_key(&provider))
                    .arg(1)
                    .arg("PX")
                    .arg(rest.as_millis() as u64)
                    .ignore();
                pipe.cmd("DEL").arg(tried).ignore();
                let _shared = link.query::<()>(&pipe).await;
            }
        });
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

    /// How many of a provider's keys rest now.
    pub fn resting(&self, provider: &str) -> usize {
        let now = Instant::now();
        let rests = |key: &&Key| key.rests_until.is_some_and(|until| until > now);
        self.with(provider, |state| state.keys.iter().filter(rests).count())
    }

    /// Learns what other processes found out, in the background.
    fn refresh(&self) {
        let Some(link) = self.shared.clone() else { return };
        let known: Vec<(String, usize)> = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if inner.refreshed.is_some_and(|last| now - last < REFRESH) {
                return;
            }
            inner.refreshed = Some(now);
            inner.providers.iter().map(|(name, state)| (name.clone(), state.keys.len())).collect()
        };
        let health = self.clone();
        tokio::spawn(async move {
            for (provider, keys) in known {
                let mut pipe = redis::pipe();
                pipe.cmd("PTTL").arg(open_key(&provider));
                for key in 0..keys {
                    pipe.cmd("PTTL").arg(rest_key(&provider, key));
                }
                let Ok(left) = link.query::<Vec<i64>>(&pipe).await else { return };
                let until = |left: Option<&i64>| {
                    let left = left.copied().filter(|left| *left > 0)?;
                    Some(Instant::now() + Duration::from_millis(left as u64))
                };
                health.with(&provider, |state| {
                    state.open_until = until(left.first()).or(state.open_until);
                    for key in 0..keys {
                        let rests = until(left.get(key + 1));
                        key_of(state, key).rests_until = rests.or(state.keys[key].rests_until);
                    }
                });
            }
        });
    }
}

fn key_of(state: &mut State, key: usize) -> &mut Key {
    while state.keys.len() <= key {
        state.keys.push(Key::default());
    }
    &mut state.keys[key]
}

/// Opens a breaker; gives for how long.
fn open(state: &mut State, breaker: Breaker) -> Duration {
    let rest = breaker.rest * (1 << state.openings.min(3));
    state.openings += 1;
    state.failures = 0;
    state.trying_until = None;
    state.open_until = Some(Instant::now() + rest);
    rest
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
        health.failed("p");
        health.failed("p");
        health.succeeded("p");
        health.failed("p");
        health.failed("p");
        assert_eq!(health.admit("p").await, Ok(()), "a success between starts the count again");
        health.failed("p");
        assert_eq!(health.admit("p").await, Err(Duration::from_secs(10)));
        assert_eq!(health.admit("other").await, Ok(()));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(health.admit("p").await, Ok(()), "one may try");
        assert!(health.admit("p").await.is_err(), "only one");
        health.failed("p");
        assert_eq!(health.admit("p").await, Err(Duration::from_secs(20)), "and it rests for longer");
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(health.admit("p").await, Ok(()));
        health.succeeded("p");
        assert_eq!(health.standing("p"), Standing::Closed);
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

    #[test]
    fn resets_are_read_as_the_providers_write_them() {
        for (text, millis) in
            [("1s", 1_000), ("6m0s", 360_000), ("17ms", 17), ("1.5s", 1_500), ("1h2m3s", 3_723_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "soon", "1x"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
