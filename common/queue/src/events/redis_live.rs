//! What is published, as it comes: one pub/sub connection a process, one channel a job, fanned out to subscribers.
//!
//! One task owns the connection: it enters channels, many in one command, and once a second it pings, and leaves those that nobody
//! listens to any more. A connection that breaks, or that leaves a command or a ping without an answer, is made again with all its
//! channels, and every subscriber is told to read the log: nothing is missed, only late. While Redis is away, subscribing succeeds
//! all the same, and at once: the ledger then tells how a job ended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use redis::{
    RedisError,
    aio::{PubSubSink, PubSubStream},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};

use super::{
    EventsError, Live, Subscription,
    redis::{channel, decode},
    topics::Topics,
};
use crate::{
    domain::ids::JobId,
    redis_link::{RESPONSE, RedisLink},
};

/// Between two pings.
const PING: Duration = Duration::from_secs(1);
/// Between two attempts to connect.
const REST: Duration = Duration::from_millis(250);
/// Channels entered or left by one command.
const BATCH: usize = 500;

struct Inner {
    topics: Topics,
    is_up: AtomicBool,
}

/// A channel to be entered, and who waits for it.
type Entry = (JobId, oneshot::Sender<()>);

pub struct LiveReader {
    inner: Arc<Inner>,
    entries: mpsc::UnboundedSender<Entry>,
    gone: mpsc::UnboundedSender<JobId>,
}

impl LiveReader {
    pub fn start(link: RedisLink) -> Self {
        let inner = Arc::new(Inner { topics: Topics::default(), is_up: AtomicBool::new(true) });
        let (gone, departures) = mpsc::unbounded_channel();
        let (entries, entering) = mpsc::unbounded_channel();
        let reader = Reader { link, inner: Arc::clone(&inner), entries: entering, departures };
        tokio::spawn(reader.read_for_ever());
        Self { inner, entries, gone }
    }

    /// What is published from now on, unless Redis is away or does not answer in time.
    pub async fn subscribe(&self, job: JobId) -> Result<Subscription, EventsError> {
        let (receiver, first) = self.inner.topics.listen(job);
        let subscription = Subscription::new(job, receiver, self.gone.clone());
        if first && self.inner.is_up.load(Ordering::Relaxed) {
            let (entered, confirmation) = oneshot::channel();
            let _reader_lives = self.entries.send((job, entered));
            // Without a confirmation the reader connects again, with this channel, and all read the log.
            let _entered = tokio::time::timeout(RESPONSE, confirmation).await;
        }
        Ok(subscription)
    }
}

struct Reader {
    link: RedisLink,
    inner: Arc<Inner>,
    entries: mpsc::UnboundedReceiver<Entry>,
    departures: mpsc::UnboundedReceiver<JobId>,
}

/// An answer, or an error when it takes too long.
async fn in_time<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    match tokio::time::timeout(RESPONSE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
    }
}

impl Reader {
    async fn read_for_ever(mut self) {
        let mut was_up = true;
        loop {
            let lost = match self.link.pubsub().await {
                Ok(connection) => {
                    let (sink, messages) = connection.split();
                    was_up = true;
                    self.read_until_lost(sink, messages).await
                }
                Err(error) => Err(error),
            };
            self.inner.is_up.store(false, Ordering::Relaxed);
            if let Err(error) = lost
                && std::mem::take(&mut was_up)
            {
                tracing::warn!(%error, "live events are away, connecting again");
            }
            tokio::time::sleep(REST).await;
        }
    }

    async fn read_until_lost(
        &mut self,
        mut sink: PubSubSink,
        mut messages: PubSubStream,
    ) -> Result<(), RedisError> {
        // First: whoever begins to listen while these are entered has an entry of their own then (the topics' lock orders the two).
        self.inner.is_up.store(true, Ordering::Relaxed);
        for some in self.inner.topics.jobs().chunks(BATCH) {
            let channels: Vec<_> = some.iter().map(|&job| channel(job)).collect();
            in_time(sink.subscribe(channels)).await?;
        }
        self.inner.topics.send_all(&Live::Reread);
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut entering = Vec::new();
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.pass_on(&message),
                    None => return Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset))),
                },
                _ = self.entries.recv_many(&mut entering, BATCH) => {}
                _ = ping.tick() => {
                    in_time(sink.ping::<redis::Value>()).await?;
                    self.leave(&mut sink).await?;
                }
            }
            // Whoever left before it was entered is forgotten already.
            entering.retain(|(job, _)| self.inner.topics.has(*job));
            if !entering.is_empty() {
                let channels: Vec<_> = entering.iter().map(|(job, _)| channel(*job)).collect();
                in_time(sink.subscribe(channels)).await?;
                for (_, entered) in entering {
                    let _may_have_left = entered.send(());
                }
            }
        }
    }

    /// Leaves the channels of all who went since the last ping: nothing is published there any more, and one command does for many.
    async fn leave(&mut self, sink: &mut PubSubSink) -> Result<(), RedisError> {
        let mut leaving = Vec::new();
        while let Ok(job) = self.departures.try_recv() {
            if self.inner.topics.forget_if_idle(job) {
                leaving.push(channel(job));
            }
        }
        for some in leaving.chunks(BATCH) {
            in_time(sink.unsubscribe(some)).await?;
        }
        Ok(())
    }

    fn pass_on(&self, message: &redis::Msg) {
        let job = message.get_channel_name().strip_prefix("rapport:live:").and_then(|id| id.parse().ok());
        let text: String = message.get_payload().unwrap_or_default();
        let event = text.split_once(' ').and_then(|(id, payload)| decode(id, payload));
        if let (Some(job), Some(event)) = (job, event) {
            self.inner.topics.send(job, Live::Event(Arc::new(event)));
        }
    }
}
