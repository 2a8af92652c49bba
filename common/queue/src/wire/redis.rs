//! The wire on Redis: a sorted set a lane (`ZADD NX`, blocking `BZMPOP`).

use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;

use super::{Receiver, Wire, WireError, score};
use crate::{
    domain::{ids::JobId, job::Lane},
    redis_link::{BLOCKING_SLACK, RedisLink},
    store::jobs::Ready,
};

#[derive(Clone)]
pub struct RedisWire {
    link: RedisLink,
}

impl RedisWire {
    pub fn new(link: RedisLink) -> Self {
        Self { link }
    }
}

fn key(lane: Lane) -> String {
    let quarantine = if lane.quarantine { ":quarantine" } else { "" };
    format!("rapport:ready:{}{quarantine}", lane.queue)
}

#[async_trait]
impl Wire for RedisWire {
    async fn announce(&self, ready: &[Ready]) -> Result<(), WireError> {
        if ready.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for one in ready {
            pipeline
                .cmd("ZADD")
                .arg(key(one.lane))
                .arg("NX")
                .arg(score(one))
                .arg(one.id.to_string())
                .ignore();
        }
        self.link.query_surely::<()>(&pipeline).await?;
        Ok(())
    }

    async fn receiver(&self, lane: Lane) -> Result<Box<dyn Receiver>, WireError> {
        Ok(Box::new(RedisReceiver { link: self.link.clone(), connection: None, key: key(lane) }))
    }

    async fn depth(&self, lane: Lane) -> Result<u64, WireError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZCARD").arg(key(lane));
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
