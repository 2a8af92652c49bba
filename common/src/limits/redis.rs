//! Limits counted in Redis, one round trip a request. While Redis is away each process counts for itself.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::Script;

use super::{Decision, Limits, LimitsError, LocalLimits, Rate};
use crate::redis_link::RedisLink;

/// KEYS: the key. ARGV: interval and tolerance in microseconds, 1 to count. Redis' clock counts.
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
        if ARGV[3] == '1' then redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000)) end
        return {1, after - now}
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

    async fn shared_check(&self, key: &str, rate: Rate, count: bool) -> redis::RedisResult<(i64, i64)> {
        let mut connection = self.link.connection().await?;
        let mut call = GCRA.prepare_invoke();
        call.key(format!("rapport:rate:{key}")).arg(rate.interval_micros()).arg(rate.tolerance_micros());
        call.arg(u8::from(count));
        call.invoke_async(&mut connection).await
    }
}

#[async_trait]
impl Limits for RedisLimits {
    async fn check(&self, key: &str, rate: Rate) -> Decision {
        match self.shared_check(key, rate, true).await {
            Ok((allowed, arrival)) => Decision::from_arrival(rate, allowed == 1, arrival),
            Err(error) => {
                self.link.note(&error);
                self.fallback.check(key, rate).await
            }
        }
    }

    async fn look(&self, key: &str, rate: Rate) -> Decision {
        match self.shared_check(key, rate, false).await {
            Ok((allowed, arrival)) => Decision::from_arrival(rate, allowed == 1, arrival),
            Err(error) => {
                self.link.note(&error);
                self.fallback.look(key, rate).await
            }
        }
    }

    async fn once(&self, key: &str, keep: Duration) -> Result<bool, LimitsError> {
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("SET")
            .arg(format!("rapport:once:{key}"))
            .arg(1)
            .arg("NX")
            .arg("PX")
            .arg(keep.as_millis() as u64);
        let (set,): (Option<String>,) =
            self.link.query(&pipeline).await.map_err(|error| LimitsError(error.to_string()))?;
        Ok(set.is_some())
    }
}
