//! Several wires as one: each queue is on one of them. A server that dies takes along the queues that it has, whose workers then
//! ask the ledger; the others go on by the wire.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Receiver, Taking, Wire, WireError};
use crate::{
    domain::job::{Lane, Queue},
    store::jobs::Ready,
};

pub struct SpreadWire {
    first: Arc<dyn Wire>,
    others: Vec<Arc<dyn Wire>>,
}

impl SpreadWire {
    /// All processes must name the same wires in the same order.
    pub fn new(first: Arc<dyn Wire>, others: Vec<Arc<dyn Wire>>) -> Self {
        Self { first, others }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn Wire>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn place(&self, queue: Queue) -> usize {
        let at = Queue::ALL.iter().position(|one| *one == queue).unwrap_or_default();
        at % (self.others.len() + 1)
    }

    fn of(&self, lane: Lane) -> &dyn Wire {
        self.all().nth(self.place(lane.queue)).unwrap_or(&self.first).as_ref()
    }
}

#[async_trait]
impl Wire for SpreadWire {
    async fn announce(&self, ready: &[Ready], taking: Taking) -> Result<(), WireError> {
        let mut all = Ok(());
        for (place, wire) in self.all().enumerate() {
            let here: Vec<Ready> =
                ready.iter().filter(|one| self.place(one.lane.queue) == place).copied().collect();
            if !here.is_empty() {
                all = wire.announce(&here, taking).await.and(all);
            }
        }
        all
    }

    async fn receiver(&self, lane: Lane) -> Result<Box<dyn Receiver>, WireError> {
        self.of(lane).receiver(lane).await
    }

    async fn depth(&self, lane: Lane) -> Result<u64, WireError> {
        self.of(lane).depth(lane).await
    }

    async fn ping(&self) -> Result<(), WireError> {
        // More servers than queues have nothing to do.
        for wire in self.all().take(Queue::ALL.len()) {
            wire.ping().await?;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.first.name()
    }
}
