//! A job's place among those that its lane runs at once. A job that only waits gives it up meanwhile, so that others run.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::backend::Ticket;

/// Jobs of this process that may wait without a place: each keeps its prompt in memory. More than these keep theirs.
static APART: Semaphore = Semaphore::const_new(1_000);

pub struct Slot {
    /// `None`: it cannot be given up.
    lane: Option<Arc<Semaphore>>,
    /// Given back when it is dropped.
    place: Option<Arc<OwnedSemaphorePermit>>,
    apart: Option<SemaphorePermit<'static>>,
    stopping: CancellationToken,
}

impl Slot {
    /// The place that a ticket brings. A job in a process of its own has no ticket there: its worker keeps the place.
    pub fn new(ticket: Option<Ticket>, stopping: CancellationToken) -> Self {
        let place = ticket.map(|ticket| ticket.slot);
        let lane = place.as_ref().map(|place| Arc::clone(place.semaphore()));
        Self { lane, place, apart: None, stopping }
    }

    pub fn leave(&mut self) {
        if self.lane.is_some()
            && self.apart.is_none()
            && let Ok(apart) = APART.try_acquire()
        {
            self.apart = Some(apart);
            self.place = None;
        }
    }

    /// Waits for a place again, if it was given up.
    pub async fn take_again(&mut self) {
        if let (Some(lane), Some(_)) = (&self.lane, &self.apart) {
            // Nobody closes a lane's semaphore.
            self.place = Arc::clone(lane).acquire_owned().await.ok().map(Arc::new);
            self.apart = None;
        }
    }

    /// Ends when the process takes no more jobs.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }
}
