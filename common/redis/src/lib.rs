//! How Redis is reached: one shared connection for short commands, more for what blocks.
//!
//! A connection may go silent without breaking: what is sent is acknowledged, and nothing ever answers. So each kind proves
//! that it lives. The shared one is pinged once a second, and replaced on the first command or ping that gets no answer in
//! half a second; blocking ones answer within the time they block, or are replaced by their owner; the live feed has its own
//! ping (`events::redis_live`).
//!
//! One task makes the connection and keeps it. While there is none, everything fails at once, so that the service goes on
//! through the database instead of queueing behind timeouts.
//!
//! A cluster is one link, too: what fails at one of its servers counts for all, until its replica has taken over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    FromRedisValue, Pipeline, RedisError, RedisResult, ScriptInvocation, aio::MultiplexedConnection,
};
use tokio::sync::watch;

mod server;

pub use server::Connection;
use server::Server;

/// How long an answer may take.
pub const RESPONSE: Duration = Duration::from_millis(500);
const CONNECT: Duration = Duration::from_millis(500);
/// How much longer than Redis itself a client waits for a blocking command.
pub const BLOCKING_SLACK: Duration = RESPONSE;
/// Between two pings of the shared connection.
const PING: Duration = Duration::from_secs(1);
/// Between two attempts to connect.
const REST: Duration = Duration::from_millis(250);

/// The shared connection, as it was lent.
#[derive(Clone)]
pub struct Shared {
    pub connection: Connection,
    /// Which of the link's connections this is.
    number: u64,
}

#[derive(Clone)]
enum State {
    /// Nobody has tried yet.
    Starting,
    Up(Shared),
    Down,
}

#[derive(Clone)]
pub struct RedisLink {
    server: Server,
    state: Arc<watch::Sender<State>>,
    is_kept: Arc<AtomicBool>,
}

fn away() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::NotConnected))
}

impl RedisLink {
    /// Fails only on a bad URL: connections are made when needed.
    pub fn new(url: &str) -> RedisResult<Self> {
        Ok(Self {
            server: Server::open(url)?,
            state: Arc::new(watch::Sender::new(State::Starting)),
            is_kept: Arc::default(),
        })
    }

    /// A part of keys: those that have it alike are at one server of a cluster, so that one command or script may name them together.
    pub fn tag(&self, name: &str) -> String {
        if self.server.is_cluster() { format!("{{{name}}}") } else { name.to_owned() }
    }

    /// The shared connection; at once, but for the first time. Tell [`noted`](Self::noted) how it went.
    pub async fn connection(&self) -> RedisResult<Shared> {
        if !self.is_kept.swap(true, Ordering::Relaxed) {
            tokio::spawn(keep(self.server.clone(), Arc::downgrade(&self.state)));
        }
        let starting = matches!(*self.state.borrow(), State::Starting);
        if starting {
            let mut states = self.state.subscribe();
            let _first = tokio::time::timeout(
                self.server.patience(),
                states.wait_for(|state| !matches!(state, State::Starting)),
            )
            .await;
        }
        match &*self.state.borrow() {
            State::Up(shared) => Ok(shared.clone()),
            State::Starting | State::Down => Err(away()),
        }
    }

    /// Waits, for as long as an answer may take, for the connection after one that failed.
    async fn next_connection(&self, failed: &Shared) -> RedisResult<Shared> {
        let mut states = self.state.subscribe();
        let newer = |state: &State| matches!(state, State::Up(shared) if shared.number != failed.number);
        let up = tokio::time::timeout(CONNECT, states.wait_for(newer)).await;
        match up {
            Ok(Ok(state)) => match &*state {
                State::Up(shared) => Ok(shared.clone()),
                State::Starting | State::Down => Err(away()),
            },
            _ => Err(away()),
        }
    }

    /// Passes an answer on, and gives the connection up when it failed, as opposed to the command.
    pub fn noted<T>(&self, shared: &Shared, answer: RedisResult<T>) -> RedisResult<T> {
        if answer.as_ref().is_err_and(is_broken) {
            self.state.send_if_modified(|state| give_up(state, shared.number));
        }
        answer
    }

    /// Runs commands on the shared connection.
    pub async fn query<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut shared = self.connection().await?;
        let answer = pipeline.query_async(&mut shared.connection).await;
        self.noted(&shared, answer)
    }

    /// A script, and once more on a new connection if this one turns out to be broken: for what is safe to repeat and bad to miss.
    pub async fn invoke_surely<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> RedisResult<T> {
        let mut shared = self.connection().await?;
        let answer = call.invoke_async(&mut shared.connection).await;
        match self.noted(&shared, answer) {
            Err(error) if is_broken(&error) => {
                let mut next = self.next_connection(&shared).await?;
                let answer = call.invoke_async(&mut next.connection).await;
                self.noted(&next, answer)
            }
            answer => answer,
        }
    }

    /// A connection for commands about a key that block for up to `response`.
    pub async fn blocking_connection(
        &self,
        key: &str,
        response: Duration,
    ) -> RedisResult<MultiplexedConnection> {
        self.server.connect_to(key, response).await
    }

    pub async fn pubsub(&self) -> RedisResult<redis::aio::PubSub> {
        self.server.pubsub().await
    }
}

/// Whether the connection failed.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || error.is_unrecoverable_error()
}

fn give_up(state: &mut State, number: u64) -> bool {
    let is_this = matches!(state, State::Up(shared) if shared.number == number);
    if is_this {
        *state = State::Down;
    }
    is_this
}

/// Makes the shared connection, pings it, and makes it again, for as long as somebody has the link.
async fn keep(server: Server, link: std::sync::Weak<watch::Sender<State>>) {
    let mut number = 0;
    loop {
        let Some(state) = link.upgrade() else { return };
        let current = state.borrow().clone();
        let State::Up(mut shared) = current else {
            match server.connect().await {
                Ok(connection) => {
                    number += 1;
                    state.send_replace(State::Up(Shared { connection, number }));
                }
                Err(error) => {
                    tracing::debug!(%error, "redis is away");
                    state.send_replace(State::Down);
                    drop(state);
                    tokio::time::sleep(REST).await;
                }
            }
            continue;
        };
        let mut states = state.subscribe();
        drop(state);
        let given_up = states.wait_for(|state| !matches!(state, State::Up(_)));
        if tokio::time::timeout(PING, given_up).await.is_ok() {
            continue; // a command failed, or nobody has the link any more
        }
        let pong: RedisResult<()> = redis::cmd("PING").query_async(&mut shared.connection).await;
        if pong.is_err()
            && let Some(state) = link.upgrade()
        {
            state.send_if_modified(|state| give_up(state, shared.number));
        }
    }
}
