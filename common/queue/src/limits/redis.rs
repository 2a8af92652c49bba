//! Limits counted in Redis, one round trip a request. While Redis is away each process counts for itself.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::Script;

use super::{Decision, Limits, LimitsError, LocalLimits, Rate};
use crate::redis_link::RedisLink;

/// KEYS: the key. ARGV: interval and tolerance in microseconds. Redis' clock counts.
/// Answers (1 allowed or 0 refused, theoretical arrival in microseconds from now).
static GCRA: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local interval = tonumber(ARGV[1])
        local arrival = tonumber(redis.call('GET', KEYS[1]) or now)
        if arrival < now then arrival = now end
        local after = arrival + interval
        if after > now + tonumber(ARGV[2]) then return {0, arrival - now} end
        redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
        return {1, after - now}
        ",
    )
});

/// KEYS: the key. ARGV: interval in microseconds. What would say nothing any more goes.
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local arrival = tonumber(redis.call('GET', KEYS[1]))
        if not arrival then return 0 end
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local before = arrival - tonumber(ARGV[1])
        if before <= now then return redis.call('DEL', KEYS[1]) end
        redis.call('SET', KEYS[1], string.format('%.0f', before), 'PX', math.ceil((before - now) / 1000))
        return 1
        ",
    )
});

pub struct RedisLimits {
    link: RedisLink,
    fallback: LocalLimits,
}

impl RedisLimits {
    pub fn new(link: RedisLink) -> Self {
        Self { link, fallback: LocalLimits::new() }
    }

    async fn shared_check(&self, key: &str, rate: Rate) -> redis::RedisResult<(i64, i64)> {
        let mut shared = self.link.connection().await?;
        let mut call = GCRA.prepare_invoke();
        call.key(format!("rapport:rate:{key}")).arg(rate.interval_micros()).arg(rate.tolerance_micros());
        let answer = call.invoke_async(&mut shared.connection).await;
        self.link.noted(&shared, answer)
    }

    async fn shared_give_back(&self, key: &str, rate: Rate) -> redis::RedisResult<()> {
        let mut shared = self.link.connection().await?;
        let mut call = GIVE_BACK.prepare_invoke();
        call.key(format!("rapport:rate:{key}")).arg(rate.interval_micros());
        let answer = call.invoke_async::<i64>(&mut shared.connection).await;
        self.link.noted(&shared, answer).map(drop)
    }
}

#[async_trait]
impl Limits for RedisLimits {
    async fn check(&self, key: &str, rate: Rate) -> Decision {
        match self.shared_check(key, rate).await {
            Ok((allowed, arrival)) => Decision::from_arrival(rate, allowed == 1, arrival),
            Err(_) => self.fallback.check(key, rate).await,
        }
    }

    async fn give_back(&self, key: &str, rate: Rate) {
        if self.shared_give_back(key, rate).await.is_err() {
            self.fallback.give_back(key, rate).await;
        }
    }

    async fn once(&self, key: &str, keep: Duration) -> Result<bool, LimitsError> {
        // A cluster's client may send it twice: what stands there then is ours.
        let ours = uuid::Uuid::from_bytes(rand::random()).to_string();
        let mut pipeline = redis::pipe();
        pipeline.cmd("SET").arg(format!("rapport:once:{key}")).arg(&ours);
        pipeline.arg("NX").arg("GET").arg("PX").arg(keep.as_millis() as u64);
        let (there,): (Option<String>,) =
            self.link.query(&pipeline).await.map_err(|error| LimitsError(error.to_string()))?;
        Ok(there.is_none_or(|there| there == ours))
    }
}
