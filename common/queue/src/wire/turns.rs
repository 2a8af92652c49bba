//! Who comes next in a lane: each user's jobs stand in line as if they had come some time apart, so that many of one user's
//! do not keep another's waiting.
//!
//! This is start-time fair queueing (Goyal, Vin and Cheng 1996) with the clock as virtual time: only the order changes. A worker
//! that is free takes the first, however late its place is, so nothing waits while nobody else wants to run.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    domain::{
        ids::UserId,
        job::{Lane, Queue},
    },
    store::jobs::Ready,
};

/// How far apart a user's jobs stand, and how far the last one may stand behind its time: a user waits so much longer at
/// most, whatever others do.
struct Pace {
    apart: TimeDelta,
    most: TimeDelta,
}

fn pace(queue: Queue) -> Pace {
    match queue {
        // Somebody waits for each.
        Queue::Chat => Pace { apart: TimeDelta::seconds(1), most: TimeDelta::seconds(30) },
        _ => Pace { apart: TimeDelta::seconds(10), most: TimeDelta::days(1) },
    }
}

/// Users whose places are remembered before those are forgotten that have passed.
const MANY: usize = 10_000;

/// The last place of each user in each lane, as this process gave them. Others give their own: who spreads work over several API
/// processes has as many lines.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<(Lane, UserId), DateTime<Utc>>>);

impl Turns {
    /// The same jobs with `run_at` as their place in line.
    pub fn line_up(&self, ready: &mut [Ready]) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in ready {
            let Some(user) = one.user_id else { continue };
            let Pace { apart, most } = pace(one.lane.queue);
            let before = last.get(&(one.lane, user));
            let place = before.map_or(one.run_at, |before| one.run_at.max(*before + apart));
            let place = place.min(one.run_at + most);
            last.insert((one.lane, user), place);
            if last.len() > MANY {
                let now = one.run_at;
                last.retain(|_, place| *place > now);
            }
            one.run_at = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::JobId;

    fn ready(user: Option<UserId>, queue: Queue, seconds: i64) -> Ready {
        let run_at = DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        Ready { id: JobId::new(), user_id: user, lane: Lane::normal(queue), priority: 0, run_at }
    }

    fn places(turns: &Turns, mut ready: Vec<Ready>) -> Vec<i64> {
        turns.line_up(&mut ready);
        ready.iter().map(|one| one.run_at.timestamp()).collect()
    }

    #[test]
    fn one_users_jobs_stand_apart_and_others_before_them() {
        let (many, few) = (UserId::new(), UserId::new());
        let turns = Turns::default();
        let of = |user| ready(Some(user), Queue::Background, 0);
        assert_eq!(places(&turns, vec![of(many), of(many), of(many), of(few), of(many)]), [0, 10, 20, 0, 30]);
        let later = |user| ready(Some(user), Queue::Background, 15);
        assert_eq!(places(&turns, vec![later(many), later(few)]), [40, 15]);
        // Nobody's jobs stand at their time, and lanes have lines of their own.
        let more = vec![ready(None, Queue::Background, 15), ready(Some(many), Queue::Chat, 15)];
        assert_eq!(places(&turns, more), [15, 15]);
        // Who was quiet for long has no debts.
        assert_eq!(places(&turns, vec![ready(Some(many), Queue::Background, 900)]), [900]);
    }

    proptest! {
        #[test]
        fn places_keep_each_users_order_and_are_bounded(jobs in prop::collection::vec((0_usize..3, 0_i64..100), 1..200)) {
            let users = [UserId::new(), UserId::new(), UserId::new()];
            let mut jobs = jobs;
            jobs.sort_by_key(|(_, at)| *at);
            let before: Vec<Ready> = jobs.iter().map(|(user, at)| ready(Some(users[*user]), Queue::Chat, *at)).collect();
            let mut after = before.clone();
            Turns::default().line_up(&mut after);
            for (before, after) in before.iter().zip(&after) {
                let behind = after.run_at - before.run_at;
                prop_assert!(behind >= TimeDelta::zero() && behind <= pace(Queue::Chat).most);
            }
            for user in users {
                let places = after.iter().filter(|one| one.user_id == Some(user)).map(|one| one.run_at);
                prop_assert!(places.is_sorted());
            }
        }
    }
}
