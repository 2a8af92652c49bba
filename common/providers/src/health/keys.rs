//! Keys of providers: whose turn it is, which of them rest, and what is left of their rates.

use std::time::Duration;

use tokio::time::Instant;

use super::{Health, State, shared::rest_key};
use crate::rates::{Bucket, RateHeaders, Window};

const REST_MAX: Duration = Duration::from_secs(3_600);

#[derive(Debug, Default)]
pub(super) struct Key {
    pub rests_until: Option<Instant>,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

impl Health {
    /// A key is not to be used for a while: its rate is used up, or it is not accepted.
    /// A time a provider names is believed up to an hour: a wrong one must not end a key's use for good.
    pub fn rest(&self, provider: &str, key: usize, rest: Duration) {
        let rest = rest.min(REST_MAX);
        self.with(provider, |state| {
            key_of(state, key).rests_until = Some(Instant::now() + rest);
        });
        if let Some(link) = self.shared.clone() {
            let mut pipe = redis::pipe();
            pipe.cmd("SET").arg(rest_key(&link, provider, key)).arg(1).arg("PX");
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
}

pub(super) fn key_of(state: &mut State, key: usize) -> &mut Key {
    while state.keys.len() <= key {
        state.keys.push(Key::default());
    }
    &mut state.keys[key]
}
