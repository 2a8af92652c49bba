//! The wire on Redis: a sorted set a lane, by priority and turn (a script that gives the turns; blocking `BZMPOP`).

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use redis::{Script, aio::MultiplexedConnection};

use super::{
    Receiver, Wire, WireError, priority,
    turns::{Last, PRIORITY, Taking, beginning},
};
use crate::{
    clock,
    domain::{ids::JobId, job::Lane},
    redis_link::{BLOCKING_SLACK, RedisLink},
    store::jobs::Ready,
};

/// KEYS: the sorted set, and the latest turn. ARGV: what the latest is before any, how far priorities are apart, then of each job
/// its id, priority, user and that user's last turn, if any. Gives their turns: [`super::turns::turn`] in Redis' words, which holds
/// for a doubled precision of 53 bits. Turns come as text, since Redis would cut numbers to integers of its own.
static ANNOUNCE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local text = function(number) return string.format('%.0f', number) end
        local before = tonumber(redis.call('GET', KEYS[2]))
        local latest, apart = before or tonumber(ARGV[1]), tonumber(ARGV[2])
        local heads, lasts, turns = {}, {}, {}
        for i = 3, #ARGV, 4 do
            local class, user = tonumber(ARGV[i + 1]) * apart, ARGV[i + 2]
            if not heads[class] then
                local first = redis.call('ZRANGEBYSCORE', KEYS[1], text(class), '(' .. text(class + apart), 'WITHSCORES', 'LIMIT', 0, 1)
                heads[class] = first[2] and tonumber(first[2]) - class
            end
            local turn = heads[class] or latest
            local last = lasts[user] or tonumber(ARGV[i + 3])
            if last and last + 1 > turn then turn = last + 1 end
            if user ~= '' then lasts[user] = turn end
            redis.call('ZADD', KEYS[1], 'NX', text(class + turn), ARGV[i])
            heads[class] = heads[class] or turn
            if turn > latest then latest = turn end
            turns[#turns + 1] = text(turn)
        end
        if latest ~= before then redis.call('SET', KEYS[2], text(latest)) end
        return turns
        ",
    )
});

#[derive(Clone)]
pub struct RedisWire {
    link: RedisLink,
    last: Arc<Last>,
}

impl RedisWire {
    pub fn new(link: RedisLink) -> Self {
        Self { link, last: Arc::default() }
    }

    /// Jobs of one lane.
    async fn announce_in(&self, lane: Lane, ready: &[Ready], taking: Taking) -> Result<(), WireError> {
        let mut call = ANNOUNCE.prepare_invoke();
        call.key(key("ready", lane)).key(key("turns", lane)).arg(beginning(clock::now())).arg(PRIORITY);
        for one in ready {
            let last = (taking == Taking::New).then(|| self.last.of(lane, one.user_id)).flatten();
            let user = one.user_id.map(|user| user.to_string()).unwrap_or_default();
            let last = last.map(|last| last.to_string()).unwrap_or_default();
            call.arg(one.id.to_string()).arg(priority(one)).arg(user).arg(last);
        }
        let turns: Vec<f64> = self.link.invoke_surely(&call).await?;
        if taking == Taking::New {
            ready.iter().zip(turns).for_each(|(one, turn)| self.last.note(lane, one.user_id, turn));
        }
        Ok(())
    }
}

fn key(what: &str, lane: Lane) -> String {
    let quarantine = if lane.quarantine { ":quarantine" } else { "" };
    format!("rapport:{what}:{}{quarantine}", lane.queue)
}

#[async_trait]
impl Wire for RedisWire {
    async fn announce(&self, ready: &[Ready], taking: Taking) -> Result<(), WireError> {
        // Mostly they are one.
        let mut rest = ready.to_vec();
        while let Some(lane) = rest.first().map(|one| one.lane) {
            let here: Vec<Ready> = rest.extract_if(.., |one| one.lane == lane).collect();
            self.announce_in(lane, &here, taking).await?;
        }
        Ok(())
    }

    async fn receiver(&self, lane: Lane) -> Result<Box<dyn Receiver>, WireError> {
        Ok(Box::new(RedisReceiver { link: self.link.clone(), connection: None, key: key("ready", lane) }))
    }

    async fn depth(&self, lane: Lane) -> Result<u64, WireError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZCARD").arg(key("ready", lane));
        let (depth,): (u64,) = self.link.query(&pipeline).await?;
        Ok(depth)
    }

    async fn ping(&self) -> Result<(), WireError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("PING").ignore();
        Ok(self.link.query::<()>(&pipeline).await?)
    }

    fn name(&self) -> &'static str {
        "redis"
    }
}

struct RedisReceiver {
    link: RedisLink,
    /// Its own: a blocking pop holds up everything else on a connection.
    connection: Option<MultiplexedConnection>,
    key: String,
}

impl RedisReceiver {
    async fn try_pop(&mut self, max: usize, wait: Duration) -> Result<Vec<JobId>, WireError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(self.link.blocking_connection(wait + BLOCKING_SLACK).await?),
        };
        let mut command = redis::cmd("BZMPOP");
        command.arg(wait.as_secs_f64()).arg(1).arg(&self.key).arg("MIN").arg("COUNT").arg(max);
        let popped: Option<(String, Vec<(String, f64)>)> = command.query_async(connection).await?;
        Ok(popped
            .map(|(_, ids)| ids.iter().filter_map(|(id, _)| id.parse().ok()).collect())
            .unwrap_or_default())
    }
}

#[async_trait]
impl Receiver for RedisReceiver {
    async fn pop(&mut self, max: usize, wait: Duration) -> Result<Vec<JobId>, WireError> {
        let popped = self.try_pop(max, wait).await;
        if popped.is_err() {
            self.connection = None; // a new one next time
        }
        popped
    }
}
