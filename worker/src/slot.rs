//! A job's place among those that its lane runs at once. A job that only waits gives it up meanwhile, so that others run.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

/// Jobs of this process that may wait without a place: each keeps its prompt in memory. More than these keep theirs.
static APART: Semaphore = Semaphore::const_new(1_000);

/// Given back when the last clone is dropped.
#[derive(Clone)]
pub struct Slot {
    /// `None`: it cannot be given up.
    lane: Option<Arc<Semaphore>>,
    held: Arc<Mutex<Held>>,
    stopping: CancellationToken,
}

#[expect(dead_code, reason = "permits are held, and given back when they are dropped")]
enum Held {
    Place(OwnedSemaphorePermit),
    Apart(SemaphorePermit<'static>),
    /// A job in a process of its own has no place there: its worker keeps it.
    Elsewhere,
}

impl Slot {
    pub fn new(place: OwnedSemaphorePermit, stopping: CancellationToken) -> Self {
        let lane = Some(Arc::clone(place.semaphore()));
        Self { lane, held: Arc::new(Mutex::new(Held::Place(place))), stopping }
    }

    /// For a job in a process of its own.
    pub fn elsewhere(stopping: CancellationToken) -> Self {
        Self { lane: None, held: Arc::new(Mutex::new(Held::Elsewhere)), stopping }
    }

    /// Gives the place up, unless too many wait without one already.
    pub fn leave(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*held, Held::Place(_))
            && let Ok(apart) = APART.try_acquire()
        {
            *held = Held::Apart(apart);
        }
    }

    /// Waits for a place again, if it was given up.
    pub async fn take_again(&self) {
        let Some(lane) = self.lane.as_ref().filter(|_| self.is_apart()) else { return };
        // Nobody closes a lane's semaphore.
        if let Ok(place) = Arc::clone(lane).acquire_owned().await {
            *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Held::Place(place);
        }
    }

    fn is_apart(&self) -> bool {
        matches!(*self.held.lock().unwrap_or_else(PoisonError::into_inner), Held::Apart(_))
    }

    /// Ends when the process takes no more jobs.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lane_of_one() -> (Arc<Semaphore>, Slot) {
        let lane = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&lane).acquire_owned().await.unwrap();
        (lane, Slot::new(place, CancellationToken::new()))
    }

    #[tokio::test]
    async fn a_place_is_free_when_its_last_holder_is_gone() {
        let (lane, slot) = lane_of_one().await;
        let copy = slot.clone();
        drop(slot);
        assert_eq!(lane.available_permits(), 0);
        drop(copy);
        assert_eq!(lane.available_permits(), 1);
    }

    #[tokio::test]
    async fn who_waits_leaves_the_place_to_others_and_takes_it_again() {
        let (lane, slot) = lane_of_one().await;
        slot.leave();
        let other = Arc::clone(&lane).try_acquire_owned().expect("the place is free");
        let mut again = Box::pin(slot.take_again());
        assert!(futures::poll!(&mut again).is_pending(), "another has the place");
        drop(other);
        again.as_mut().await;
        drop(again);
        assert_eq!(lane.available_permits(), 0);
        drop(slot);
        assert_eq!(lane.available_permits(), 1);
    }

    #[tokio::test]
    async fn who_never_left_takes_no_second_place() {
        let (lane, slot) = lane_of_one().await;
        slot.take_again().await;
        drop(slot);
        assert_eq!(lane.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_job_in_a_process_of_its_own_has_no_place_to_give_up() {
        let slot = Slot::elsewhere(CancellationToken::new());
        slot.leave();
        slot.take_again().await;
        assert!(matches!(*slot.held.lock().unwrap(), Held::Elsewhere));
    }
}
