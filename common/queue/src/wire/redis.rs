//! The wire on Redis: a sorted set a lane, by priority and turn (a script that gives the turns; blocking `BZMPOP`).

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::{Script, aio::MultiplexedConnection};

use super::{
    Receiver, Wire, WireError, by_lane, priority,
    turns::{PRIORITY, Taking, beginning},
};
use crate::{
    clock,
    domain::{ids::JobId, job::Lane},
    redis_link::{BLOCKING_SLACK, RedisLink},
    store::jobs::Ready,
};

/// KEYS: the sorted set, the latest turn, and what the keys begin with that have users by their last turns, one a priority. ARGV: what
/// the latest is before any, how far priorities are apart, whether the jobs take their users' next turns; then of each job its id,
/// priority and user. [`super::turns::turn`] in Redis' words.
static ANNOUNCE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local text = function(number) return string.format('%.0f', number) end
        local before = tonumber(redis.call('GET', KEYS[2]))
        local latest, apart, is_new = before or tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
        local heads, lasts = {}, {}
        for i = 4, #ARGV, 3 do
            local priority, user = ARGV[i + 1], ARGV[i + 2]
            local class = tonumber(priority) * apart
            if not lasts[priority] then
                local first = redis.call('ZRANGEBYSCORE', KEYS[1], text(class), '(' .. text(class + apart), 'WITHSCORES', 'LIMIT', 0, 1)
                heads[priority], lasts[priority] = first[2] and tonumber(first[2]) - class, {}
            end
            local turn, last = heads[priority] or latest, lasts[priority][user]
            if not last and is_new then
                last = redis.call('ZSCORE', KEYS[3] .. priority, user)
                last = last and tonumber(last)
            end
            if last and last + 1 > turn then turn = last + 1 end
            lasts[priority][user] = turn
            redis.call('ZADD', KEYS[1], 'NX', text(class + turn), ARGV[i])
            heads[priority] = heads[priority] or turn
            if turn > latest then latest = turn end
        end
        if latest ~= before then redis.call('SET', KEYS[2], text(latest)) end
        if is_new then
            for priority, of in pairs(lasts) do
                for user, last in pairs(of) do redis.call('ZADD', KEYS[3] .. priority, text(last), user) end
                redis.call('ZREMRANGEBYSCORE', KEYS[3] .. priority, '-inf', '(' .. text(heads[priority]))
            end
        end
        return 1
        ",
    )
});

#[derive(Clone)]
pub struct RedisWire {
    link: RedisLink,
}

impl RedisWire {
    pub fn new(link: RedisLink) -> Self {
        Self { link }
    }

    fn key(&self, what: &str, lane: Lane) -> String {
        let quarantine = if lane.quarantine { ":quarantine" } else { "" };
        format!("rapport:{what}:{}", self.link.tag(&format!("{}{quarantine}", lane.queue)))
    }

    /// Jobs of one lane.
    async fn announce_in(&self, lane: Lane, ready: &[Ready], taking: Taking) -> Result<(), WireError> {
        let mut call = ANNOUNCE.prepare_invoke();
        call.key(self.key("ready", lane)).key(self.key("turns", lane)).key(self.key("lasts", lane) + ":");
        call.arg(beginning(clock::now())).arg(PRIORITY).arg(i64::from(taking == Taking::New));
        for one in ready {
            let user = one.user_id.map(|user| user.to_string()).unwrap_or_default();
            call.arg(one.id.to_string()).arg(priority(one)).arg(user);
        }
        Ok(self.link.invoke_surely::<()>(&call).await?)
    }
}

#[async_trait]
impl Wire for RedisWire {
    async fn announce(&self, ready: &[Ready], taking: Taking) -> Result<(), WireError> {
        for (lane, here) in by_lane(ready) {
            self.announce_in(lane, &here, taking).await?;
        }
        Ok(())
    }

    async fn receiver(&self, lane: Lane) -> Result<Box<dyn Receiver>, WireError> {
        let key = self.key("ready", lane);
        Ok(Box::new(RedisReceiver { link: self.link.clone(), connection: None, key }))
    }

    async fn depth(&self, lane: Lane) -> Result<u64, WireError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZCARD").arg(self.key("ready", lane));
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
            None => {
                let connection = self.link.blocking_connection(&self.key, wait + BLOCKING_SLACK).await?;
                self.connection.insert(connection)
            }
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
