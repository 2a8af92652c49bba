//! When a stream of all that happens to a user looks for news: when a bell rings, and now and then without one.

use std::{collections::BTreeSet, time::Duration};

use rapport_common::{
    bells::{Bells, Listener},
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
pub enum Look {
    Everything,
    /// These jobs changed, or none did; and whatever is no job.
    Changed(BTreeSet<JobId>),
}

impl Following {
    /// Make it before the first look, so that nothing falls between.
    pub fn start(bells: &Bells, user: UserId) -> Self {
        Self { listener: bells.listen(user), looked: Instant::now() }
    }

    /// When to look next, and at what.
    pub async fn next(&mut self) -> Look {
        tokio::time::sleep(REST).await;
        match self.listener.heard(AGAIN.saturating_sub(self.looked.elapsed())).await {
            Some(heard) if !heard.missed && self.looked.elapsed() < AGAIN => Look::Changed(heard.jobs),
            _ => {
                self.looked = Instant::now();
                Look::Everything
            }
        }
    }

    /// The same after a look that failed: what it was to look at is not known any more.
    pub async fn after_failure(&mut self) -> Look {
        tokio::time::sleep(PAUSE).await;
        self.looked = Instant::now();
        Look::Everything
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
            match following.next().await {
                Look::Everything => all += 1,
                Look::Changed(_) => some += 1,
            }
        }
        // Once because it has just begun to listen, and then every five seconds.
        assert!((4..=6).contains(&all) && some > 10 * all, "{all} and {some}");
    }
}
