//! When a stream of all that happens to a user looks for news: when a bell rings, and now and then without one.

use std::{collections::BTreeSet, time::Duration};

use rapport_common::{
    bells::{Bells, Heard, Listener},
    domain::ids::{JobId, UserId},
};
use tokio::time::Instant;

/// Between two looks: what happens meanwhile is looked at together.
const REST: Duration = Duration::from_millis(200);
/// After a look that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// A bell may be lost, and what the clock brings (a memory that expires) rings none.
const AGAIN: Duration = Duration::from_secs(5);

pub struct Following {
    listener: Listener,
    /// When everything was looked at.
    looked: Instant,
}

/// What there is to look at.
#[derive(Default)]
pub struct Look {
    /// Jobs that changed.
    pub jobs: BTreeSet<JobId>,
    pub at: At,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// These jobs, and whatever is no job.
    #[default]
    Changed,
    /// All that is new, and these jobs.
    Everything,
    /// The same, further back: it may not have been heard of for a while.
    Missed,
}

impl Following {
    /// Make it before the first look, so that nothing falls between.
    pub fn start(bells: &Bells, user: UserId) -> Self {
        Self { listener: bells.listen(user), looked: Instant::now() }
    }

    /// When to look next, and at what.
    pub async fn next(&mut self) -> Look {
        tokio::time::sleep(REST).await;
        let heard = self.listener.heard(AGAIN.saturating_sub(self.looked.elapsed())).await;
        let Heard { jobs, missed } = heard.unwrap_or_default();
        let is_due = self.looked.elapsed() >= AGAIN;
        if missed {
            // A line that comes and goes must not make everybody look at everything each time.
            tokio::time::sleep(PAUSE.saturating_sub(self.looked.elapsed())).await;
        }
        let at = match (missed, is_due) {
            (true, _) => At::Missed,
            (false, true) => At::Everything,
            (false, false) => At::Changed,
        };
        if at != At::Changed {
            self.looked = Instant::now();
        }
        Look { jobs, at }
    }

    /// The same after a look that failed.
    pub async fn after_failure(&mut self, look: Look) -> Look {
        tokio::time::sleep(PAUSE).await;
        self.looked = Instant::now();
        Look { at: At::Missed, ..look }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rapport_common::events::LocalEvents;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn everything_is_looked_at_however_many_bells_ring() {
        let bells = Bells::start(Arc::new(LocalEvents::new(Duration::from_secs(60))));
        let (user, begun) = (UserId::new(), Instant::now());
        let mut following = Following::start(&bells, user);
        let (mut all, mut some) = (0, 0);
        while begun.elapsed() < AGAIN * 4 {
            bells.ring(user, None);
            match following.next().await.at {
                At::Everything | At::Missed => all += 1,
                At::Changed => some += 1,
            }
        }
        // Once because it has just begun to listen, and then every five seconds.
        assert!((4..=6).contains(&all) && some > 10 * all, "{all} and {some}");
    }
}
