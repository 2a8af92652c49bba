//! Event logs on Redis: a stream a job, whose entry ids are the events' ids, so that Redis itself refuses a zombie.
//!
//! One script appends, publishes and renews the expiry, so that what is published was accepted.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::{Script, streams::StreamRangeReply};

use super::{EventLog, EventsError, LOG_MAX, Subscription, redis_live::LiveReader};
use crate::{
    domain::{
        event::{Event, EventId},
        ids::JobId,
    },
    redis_link::RedisLink,
};

/// KEYS: stream. ARGV: channel, seconds to live, length cap, then (id, payload)…
/// 1 when all were taken, 0 when one's id was not above the stream's last. One that is there already was taken before, by a
/// call whose answer was lost.
static APPEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        for i = 4, #ARGV, 2 do
            local added = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], ARGV[i], 'e', ARGV[i + 1])
            if type(added) == 'table' and added.err then
                if not string.find(added.err, 'equal or smaller') then return redis.error_reply(added.err) end
                if #redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i]) == 0 then return 0 end
            else
                redis.call('PUBLISH', ARGV[1], ARGV[i] .. ' ' .. ARGV[i + 1])
            end
        end
        redis.call('EXPIRE', KEYS[1], ARGV[2])
        return 1
        ",
    )
});

pub(super) fn channel(job: JobId) -> String {
    format!("rapport:live:{job}")
}

fn stream(job: JobId) -> String {
    format!("rapport:events:{job}")
}

fn payload(event: &Event) -> String {
    format!("{} {}", event.name, event.data)
}

/// Reads `name json` back.
pub(super) fn decode(id: &str, payload: &str) -> Option<Event> {
    let (name, data) = payload.split_once(' ')?;
    Some(Event::new(id.parse().ok()?, name, serde_json::from_str(data).ok()?))
}

pub struct RedisEvents {
    link: RedisLink,
    live: LiveReader,
    retention: Duration,
}

impl RedisEvents {
    /// Must be called inside a Tokio runtime: it starts the task that reads what is published.
    pub fn new(link: RedisLink, retention: Duration) -> Self {
        Self { live: LiveReader::start(link.clone()), link, retention }
    }
}

#[async_trait]
impl EventLog for RedisEvents {
    async fn append(&self, job: JobId, events: &[Event]) -> Result<(), EventsError> {
        let mut shared = self.link.connection().await?;
        let mut call = APPEND.prepare_invoke();
        call.key(stream(job)).arg(channel(job)).arg(self.retention.as_secs().max(1)).arg(LOG_MAX);
        for event in events {
            call.arg(event.id.to_string()).arg(payload(event));
        }
        let taken = call.invoke_async::<i64>(&mut shared.connection).await;
        match self.link.noted(&shared, taken)? {
            0 => Err(EventsError::Stale),
            _ => Ok(()),
        }
    }

    async fn notify(&self, job: JobId, event: &Event) -> Result<(), EventsError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("PUBLISH").arg(channel(job)).arg(format!("{} {}", event.id, payload(event))).ignore();
        Ok(self.link.query::<()>(&pipeline).await?)
    }

    async fn read_after(&self, job: JobId, after: EventId) -> Result<Vec<Event>, EventsError> {
        let mut shared = self.link.connection().await?;
        let mut command = redis::cmd("XRANGE");
        command.arg(stream(job)).arg(format!("({after}")).arg("+");
        let reply = command.query_async::<StreamRangeReply>(&mut shared.connection).await;
        let reply = self.link.noted(&shared, reply)?;
        let events = reply.ids.iter().filter_map(|entry| decode(&entry.id, &entry.get::<String>("e")?));
        Ok(events.collect())
    }

    async fn subscribe(&self, job: JobId) -> Result<Subscription, EventsError> {
        self.live.subscribe(job).await
    }

    async fn erase(&self, job: JobId) -> Result<(), EventsError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("DEL").arg(stream(job)).ignore();
        Ok(self.link.query::<()>(&pipeline).await?)
    }

    fn name(&self) -> &'static str {
        "redis"
    }
}
