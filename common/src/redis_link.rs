//! How Redis is reached: one shared connection for short commands, more for what blocks.
//!
//! Every operation is bounded: a dead Redis costs half a second once, then fails at once for a moment (see
//! [`RedisLink::query`]), so that the service goes on through the database instead of queueing behind timeouts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use redis::{
    Client, FromRedisValue, Pipeline, RedisError, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};
use tokio::sync::OnceCell;

use crate::clock;

const RESPONSE: Duration = Duration::from_millis(500);
const CONNECT: Duration = Duration::from_millis(500);
/// How much longer than Redis itself a client waits for a blocking command.
pub const BLOCKING_SLACK: Duration = Duration::from_secs(2);
/// How long after a failure everything fails at once.
const PAUSE_MILLIS: i64 = 250;

#[derive(Clone)]
pub struct RedisLink {
    client: Client,
    shared: Arc<OnceCell<ConnectionManager>>,
    down_until: Arc<AtomicI64>,
}

impl RedisLink {
    /// Fails only on a bad URL: connections are made when needed.
    pub fn new(url: &str) -> RedisResult<Self> {
        Ok(Self {
            client: Client::open(url)?,
            shared: Arc::default(),
            down_until: Arc::new(AtomicI64::new(0)),
        })
    }

    /// The shared connection, which connects again by itself.
    pub async fn connection(&self) -> RedisResult<ConnectionManager> {
        self.check_up()?;
        let made = self
            .shared
            .get_or_try_init(|| async {
                // Those that waited for another's failed attempt do not each make one more.
                self.check_up()?;
                let config = ConnectionManagerConfig::new()
                    .set_response_timeout(Some(RESPONSE))
                    .set_connection_timeout(Some(CONNECT))
                    .set_number_of_retries(1)
                    .set_max_delay(Duration::from_millis(100));
                let connected = self.client.get_connection_manager_with_config(config).await;
                if connected.is_err() {
                    self.failed(); // before the next one in line looks
                }
                connected
            })
            .await;
        made.cloned()
    }

    fn check_up(&self) -> RedisResult<()> {
        if clock::now().timestamp_millis() < self.down_until.load(Ordering::Relaxed) {
            return Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::NotConnected)));
        }
        Ok(())
    }

    /// Runs commands on the shared connection.
    pub async fn query<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut connection = self.connection().await?;
        let answer = pipeline.query_async(&mut connection).await;
        if let Err(error) = &answer {
            self.note(error);
        }
        answer
    }

    /// Remembers a failure of the connection, as opposed to one of the command.
    pub fn note(&self, error: &RedisError) {
        if error.is_io_error()
            || error.is_timeout()
            || error.is_connection_dropped()
            || error.is_connection_refusal()
        {
            self.failed();
        }
    }

    fn failed(&self) {
        self.down_until.store(clock::now().timestamp_millis() + PAUSE_MILLIS, Ordering::Relaxed);
    }

    /// A connection for commands that block for up to `response`.
    pub async fn blocking_connection(&self, response: Duration) -> RedisResult<MultiplexedConnection> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(response));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    pub async fn pubsub(&self) -> RedisResult<redis::aio::PubSub> {
        let connecting = self.client.get_async_pubsub();
        match tokio::time::timeout(CONNECT, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        }
    }
}
