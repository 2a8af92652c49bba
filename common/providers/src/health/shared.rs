//! What processes tell each other of breakers and keys, through Redis.

use std::{sync::PoisonError, time::Duration};

use tokio::time::Instant;

use super::{Health, keys::key_of};
use crate::redis_link::RedisLink;

const REFRESH: Duration = Duration::from_secs(1);
const LOOK_UP: Duration = Duration::from_millis(100);
/// How long an opening stays in Redis at most; what is left of it tells its age, whatever the processes' clocks say.
pub(super) const KEPT: Duration = Duration::from_secs(2 * 3_600);

pub(super) fn opened_key(link: &RedisLink, provider: &str) -> String {
    format!("rapport:{}:opened:{provider}", link.tag("breaker"))
}
pub(super) fn try_key(link: &RedisLink, provider: &str) -> String {
    format!("rapport:{}:try:{provider}", link.tag("breaker"))
}
pub(super) fn rest_key(link: &RedisLink, provider: &str, key: usize) -> String {
    format!("rapport:{}:rest:{provider}:{key}", link.tag("breaker"))
}
pub(super) fn failures_key(link: &RedisLink, provider: &str) -> String {
    format!("rapport:{}:failures:{provider}", link.tag("breaker"))
}

impl Health {
    /// Learns what other processes found out, in the background.
    pub(super) fn refresh(&self) {
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
    pub(super) async fn look_up(&self, provider: &str) {
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
        pipe.cmd("GET").arg(opened_key(link, provider));
        pipe.cmd("PTTL").arg(opened_key(link, provider));
        for key in 0..keys {
            pipe.cmd("PTTL").arg(rest_key(link, provider, key));
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
