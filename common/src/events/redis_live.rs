//! What is published, as it comes: one pub/sub connection a process, one channel a job, fanned out to subscribers.
//!
//! A lost connection is made again with all its channels, and every subscriber is told to read the log: nothing is
//! missed, only late. While Redis is away, subscribing succeeds all the same: the ledger then tells how a job ended.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use redis::aio::PubSubSink;
use tokio::sync::{Mutex, mpsc};

use super::{
    EventsError, Live, Subscription,
    redis::{channel, decode},
    topics::Topics,
};
use crate::{domain::ids::JobId, redis_link::RedisLink};

struct Inner {
    link: RedisLink,
    topics: Topics,
    /// Held while a channel is entered or left, so that both happen on Redis in the order they happen here.
    sink: Mutex<Option<PubSubSink>>,
}

pub struct LiveReader {
    inner: Arc<Inner>,
    gone: mpsc::UnboundedSender<JobId>,
}

const ENTER: Duration = Duration::from_millis(500);

impl LiveReader {
    pub fn start(link: RedisLink) -> Self {
        let inner = Arc::new(Inner { link, topics: Topics::default(), sink: Mutex::new(None) });
        let (gone, departures) = mpsc::unbounded_channel();
        tokio::spawn(read_for_ever(Arc::clone(&inner)));
        tokio::spawn(leave_channels(Arc::clone(&inner), departures));
        Self { inner, gone }
    }

    pub async fn subscribe(&self, job: JobId) -> Result<Subscription, EventsError> {
        let mut sink = self.inner.sink.lock().await;
        let (receiver, first) = self.inner.topics.listen(job);
        let subscription = Subscription::new(job, receiver, self.gone.clone());
        if first && let Some(sink) = sink.as_mut() {
            // A failure here means the connection broke: the reader makes it again with all channels.
            let _entered = tokio::time::timeout(ENTER, sink.subscribe(channel(job))).await;
        }
        Ok(subscription)
    }
}

async fn leave_channels(inner: Arc<Inner>, mut departures: mpsc::UnboundedReceiver<JobId>) {
    while let Some(job) = departures.recv().await {
        let mut sink = inner.sink.lock().await;
        if inner.topics.forget_if_idle(job)
            && let Some(sink) = sink.as_mut()
        {
            let _left = tokio::time::timeout(ENTER, sink.unsubscribe(channel(job))).await;
        }
    }
}

async fn read_for_ever(inner: Arc<Inner>) {
    loop {
        if let Err(error) = read_until_lost(&inner).await {
            tracing::warn!(%error, "live events are away, connecting again");
        }
        *inner.sink.lock().await = None;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn read_until_lost(inner: &Inner) -> Result<(), redis::RedisError> {
    let (mut new_sink, mut messages) = inner.link.pubsub().await?.split();
    {
        let mut sink = inner.sink.lock().await;
        let jobs = inner.topics.jobs();
        for some in jobs.chunks(500) {
            let channels: Vec<_> = some.iter().map(|&job| channel(job)).collect();
            new_sink.subscribe(channels).await?;
        }
        *sink = Some(new_sink);
    }
    inner.topics.send_all(&Live::Reread);
    while let Some(message) = messages.next().await {
        let job = message.get_channel_name().strip_prefix("rapport:live:").and_then(|id| id.parse().ok());
        let text: String = message.get_payload().unwrap_or_default();
        let event = text.split_once(' ').and_then(|(id, payload)| decode(id, payload));
        if let (Some(job), Some(event)) = (job, event) {
            inner.topics.send(job, Live::Event(Arc::new(event)));
        }
    }
    Ok(())
}
