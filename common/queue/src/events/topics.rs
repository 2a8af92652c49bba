//! Fan-out inside one process: who listens to which job.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{broadcast, mpsc};

use crate::domain::{event::Event, ids::JobId};

/// Events one slow subscriber may fall behind before it must read the log again.
const BUFFER: usize = 64;

#[derive(Debug, Clone)]
pub enum Live {
    Event(Arc<Event>),
    /// Something may have been missed: read the log.
    Reread,
}

#[derive(Default)]
pub struct Topics {
    senders: Mutex<HashMap<JobId, broadcast::Sender<Live>>>,
}

impl Topics {
    /// A receiver, and whether it is the first for this job.
    pub fn listen(&self, job: JobId) -> (broadcast::Receiver<Live>, bool) {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        match senders.get(&job) {
            Some(sender) => (sender.subscribe(), false),
            None => {
                let (sender, receiver) = broadcast::channel(BUFFER);
                senders.insert(job, sender);
                (receiver, true)
            }
        }
    }

    pub fn send(&self, job: JobId, live: Live) {
        let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = senders.get(&job) {
            let _nobody_listens = sender.send(live);
        }
    }

    pub fn send_all(&self, live: &Live) {
        let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        for sender in senders.values() {
            let _nobody_listens = sender.send(live.clone());
        }
    }

    /// Forgets a job nobody listens to; whether it did.
    pub fn forget_if_idle(&self, job: JobId) -> bool {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = senders.get(&job).is_some_and(|sender| sender.receiver_count() == 0);
        if idle {
            senders.remove(&job);
        }
        idle
    }

    pub fn has(&self, job: JobId) -> bool {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&job)
    }

    pub fn jobs(&self) -> Vec<JobId> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

/// Somebody listens to a job; dropping it ends that.
pub struct Subscription {
    job: JobId,
    receiver: Option<broadcast::Receiver<Live>>,
    gone: mpsc::UnboundedSender<JobId>,
}

impl Subscription {
    pub fn new(job: JobId, receiver: broadcast::Receiver<Live>, gone: mpsc::UnboundedSender<JobId>) -> Self {
        Self { job, receiver: Some(receiver), gone }
    }

    /// The next event, or word that some were missed.
    pub async fn next(&mut self) -> Live {
        let Some(receiver) = &mut self.receiver else { return std::future::pending().await };
        match receiver.recv().await {
            Ok(live) => live,
            Err(broadcast::error::RecvError::Lagged(_)) => Live::Reread,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.receiver = None; // before the word that it is gone
        let _stopping = self.gone.send(self.job);
    }
}
