//! Who comes next in a lane: start-time fair queueing (Goyal, Vin and Cheng, 1996), with all users of the same weight, so that many
//! jobs of one user do not keep another's waiting.
//!
//! Each job has a turn, a number. It is the turn of the job that is served next, or one more than the user's last, whichever is
//! later; the smallest is served first. So whoever comes stands beside the first that waits, behind those that came before and have
//! the same turn, and only one's own earlier jobs push one back. Only the order changes: nothing waits while nobody else wants to
//! run, and since what is served next only grows, nothing waits for ever.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::domain::{ids::UserId, job::Lane};

/// Between two priorities: turns are smaller.
pub const PRIORITY: f64 = 1e13;

/// What a lane's turns are, before any job: later than the times that older versions ordered jobs by.
pub fn beginning(now: chrono::DateTime<chrono::Utc>) -> f64 {
    now.timestamp_millis() as f64
}

/// The turn of a job. `head`: of the first that waits; `latest`: the latest of all that ever were, which stands for it where none waits;
/// `last`: of the user's last.
pub fn turn(head: Option<f64>, latest: f64, last: Option<f64>) -> f64 {
    let served = head.unwrap_or(latest);
    last.map_or(served, |last| served.max(last + 1.0))
}

/// Whether a job takes its user's next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// It is new on the wire.
    New,
    /// It may be there already, with all that should be: the oldest first. They stand in line among themselves alone, or a user would fall
    /// back with each sweep.
    Again,
}

/// Users whose last turns are remembered, before those are forgotten that are past.
const MANY: usize = 10_000;

/// The last turn of each user in each lane, as this process gave them. Others give their own: who spreads work over several API
/// processes has a line in each.
#[derive(Default)]
pub struct Last(Mutex<HashMap<(Lane, UserId), f64>>);

impl Last {
    fn all(&self) -> MutexGuard<'_, HashMap<(Lane, UserId), f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn of(&self, lane: Lane, user: Option<UserId>) -> Option<f64> {
        self.all().get(&(lane, user?)).copied()
    }

    pub fn note(&self, lane: Lane, user: Option<UserId>, turn: f64) {
        let Some(user) = user else { return };
        let mut all = self.all();
        let last = all.entry((lane, user)).or_insert(turn);
        *last = last.max(turn);
        if all.len() > MANY {
            // Of the same lane: others count on their own. A turn that is long past says nothing any more.
            all.retain(|(of, _), last| *of != lane || *last > turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_jobs_alone_push_one_back() {
        assert_eq!(turn(None, 5.0, None), 5.0, "nobody waits");
        assert_eq!(turn(Some(3.0), 9.0, None), 3.0, "who has none stands beside the first");
        assert_eq!(turn(Some(3.0), 9.0, Some(7.0)), 8.0);
        assert_eq!(turn(Some(3.0), 9.0, Some(1.0)), 3.0, "what was long ago does not count");
        assert_eq!(turn(None, 9.0, Some(9.0)), 10.0);
    }
}
