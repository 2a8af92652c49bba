//! Rates and single-use tickets: counted in this process, or in Redis for all processes together.
//!
//! The rate limit is GCRA (the leaky bucket as a meter): `burst` requests at once, then one each
//! `60 / requests_per_minute` seconds. <https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>

mod local;
mod redis;

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;

pub use local::LocalLimits;
pub use redis::RedisLimits;

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// So many in this time, evenly spread.
    count: u32,
    minutes: u32,
    burst: u32,
}

impl Rate {
    pub const fn per_minute(count: u32, burst: u32) -> Self {
        Self { count, minutes: 1, burst }
    }
    pub const fn per_day(count: u32, burst: u32) -> Self {
        Self { count, minutes: 24 * 60, burst }
    }
    fn interval_micros(self) -> i64 {
        60_000_000 * i64::from(self.minutes) / i64::from(self.count.max(1))
    }
    fn tolerance_micros(self) -> i64 {
        self.interval_micros() * i64::from(self.burst.max(1))
    }
}

/// What a request's rate comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    pub allowed: bool,
    /// How many a minute the limit allows.
    pub limit: u32,
    pub remaining: u32,
    /// When as many as at first may come at once again, from now.
    pub reset: Duration,
    /// When the next one is allowed, from now; zero if this one was.
    pub retry_after: Duration,
}

impl Decision {
    /// From the theoretical arrival time after this request, in microseconds from now.
    fn from_arrival(rate: Rate, allowed: bool, arrival: i64) -> Self {
        let micros = |n: i64| Duration::from_micros(n.max(0) as u64);
        let free = (rate.tolerance_micros() - arrival) / rate.interval_micros();
        let wait = if allowed { 0 } else { arrival + rate.interval_micros() - rate.tolerance_micros() };
        Self {
            allowed,
            limit: rate.count,
            remaining: if allowed { free.max(0) as u32 } else { 0 },
            reset: micros(arrival),
            retry_after: micros(wait),
        }
    }
}

/// What is counted as one address: an IPv4 address, or an IPv6 network of 64 bits, which is what one household or
/// machine is given. An IPv4 address mapped into IPv6 is an IPv4 address.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the limits failed: {0}")]
pub struct LimitsError(pub String);

#[async_trait]
pub trait Limits: Send + Sync {
    /// Counts one request of `key`.
    async fn check(&self, key: &str, rate: Rate) -> Decision;
    /// Takes one request of `key` back, as if it had not been counted.
    async fn give_back(&self, key: &str, rate: Rate);
    /// `true` the first time a key is seen within `keep`.
    async fn once(&self, key: &str, keep: Duration) -> Result<bool, LimitsError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_one_each_interval() {
        let limits = LocalLimits::new();
        let rate = Rate::per_minute(60, 3);
        let first = limits.check("k", rate).await;
        assert_eq!((first.allowed, first.limit, first.remaining), (true, 60, 2));
        assert!(limits.check("k", rate).await.allowed);
        assert_eq!(limits.check("k", rate).await.remaining, 0);
        let refused = limits.check("k", rate).await;
        assert!(!refused.allowed);
        assert!(
            refused.retry_after > Duration::from_millis(900) && refused.retry_after <= Duration::from_secs(1)
        );
        assert!(limits.check("other", rate).await.allowed, "keys do not share");
        tokio::time::advance(Duration::from_millis(1_001)).await;
        assert!(limits.check("k", rate).await.allowed);
        assert!(!limits.check("k", rate).await.allowed);
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:203.0.113.5"), "203.0.113.5");
        assert_ne!(of("203.0.113.5"), of("203.0.113.6"));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_rates_are_slow() {
        let limits = LocalLimits::new();
        let rate = Rate::per_day(24, 2);
        assert!(limits.check("k", rate).await.allowed && limits.check("k", rate).await.allowed);
        let refused = limits.check("k", rate).await;
        assert_eq!((refused.allowed, refused.retry_after.as_secs().div_ceil(60)), (false, 60));
        tokio::time::advance(Duration::from_secs(3_599)).await;
        assert!(!limits.check("k", rate).await.allowed);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(limits.check("k", rate).await.allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_good_once() {
        let limits = LocalLimits::new();
        assert!(limits.once("t", Duration::from_secs(30)).await.unwrap());
        assert!(!limits.once("t", Duration::from_secs(30)).await.unwrap());
    }
}
