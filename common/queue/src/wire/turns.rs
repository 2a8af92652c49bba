//! Who comes next in a lane: start-time fair queueing (Goyal, Vin and Cheng, 1996), with all users of the same weight, so that many
//! jobs of one user do not keep another's waiting.
//!
//! Each job has a turn, a number. It is the turn of the job that is served next, or one more than the user's last, whichever is
//! later; the smallest is served first. So whoever comes stands beside the first that waits, behind those that came before and have
//! the same turn, and only one's own earlier jobs push one back. Only the order changes: nothing waits while nobody else wants to
//! run, and since what is served next only grows, nothing waits for ever.

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

/// Whose last turn says nothing any more: their next one is that of the job that is served next.
pub fn is_past(last: f64, served: f64) -> bool {
    last < served
}

/// Whether a job takes its user's next turn. What is nobody's has a line of its own, as if it were one user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// It is new on the wire.
    New,
    /// It may be there already, with all that should be: the oldest first. They stand in line among themselves alone, or a user would fall
    /// back with each sweep.
    Again,
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
        assert!(is_past(2.0, 3.0) && turn(Some(3.0), 9.0, Some(2.0)) == turn(Some(3.0), 9.0, None));
    }
}
