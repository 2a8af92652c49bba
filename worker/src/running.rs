//! What this process runs now, and how to stop it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use rapport_common::domain::ids::JobId;
use tokio::sync::watch;

/// Why a running job must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Its user asked.
    Cancelled,
    /// Another worker has it, or it is gone: nothing it does can count.
    Lost,
    /// This process is stopping: put it back.
    HandBack,
}

/// A handler's ear for [`Stop`].
pub type StopSignal = watch::Receiver<Option<Stop>>;

/// Waits until the job must stop.
pub async fn stopped(signal: &mut StopSignal) -> Stop {
    let stop = signal.wait_for(Option::is_some).await.ok().and_then(|stop| *stop);
    match stop {
        Some(stop) => stop,
        None => std::future::pending().await, // nobody can stop it any more
    }
}

struct Attempt {
    number: u32,
    stop: watch::Sender<Option<Stop>>,
}

#[derive(Default)]
pub struct Running(Mutex<HashMap<JobId, Attempt>>);

impl Running {
    /// Notes that a job runs; forgotten when the guard is dropped.
    pub fn enter(&self, job: JobId, attempt: u32) -> (Guard<'_>, StopSignal) {
        let (stop, receiver) = watch::channel(None);
        let entered = Attempt { number: attempt, stop };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job, entered);
        (Guard { running: self, job, attempt }, receiver)
    }

    /// Stops one attempt of a job. The first reason counts, except that a lost job is lost.
    pub fn stop(&self, job: JobId, attempt: u32, stop: Stop) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = running.get(&job).filter(|found| found.number == attempt) {
            found.stop.send_if_modified(|now| {
                let new = now.is_none() || (stop == Stop::Lost && *now != Some(Stop::Lost));
                if new {
                    *now = Some(stop);
                }
                new
            });
        }
    }

    pub fn stop_all(&self, stop: Stop) {
        for (job, attempt) in self.attempts() {
            self.stop(job, attempt, stop);
        }
    }

    pub fn attempts(&self) -> Vec<(JobId, u32)> {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().map(|(job, attempt)| (*job, attempt.number)).collect()
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

pub struct Guard<'a> {
    running: &'a Running,
    job: JobId,
    attempt: u32,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let mut running = self.running.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A later attempt of the same job may run here already.
        if running.get(&self.job).is_some_and(|found| found.number == self.attempt) {
            running.remove(&self.job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_counts_except_that_a_lost_job_is_lost() {
        let (running, job) = (Running::default(), JobId::new());
        let (_guard, mut signal) = running.enter(job, 1);
        running.stop(job, 1, Stop::Cancelled);
        running.stop(job, 1, Stop::HandBack);
        assert_eq!(stopped(&mut signal).await, Stop::Cancelled);
        running.stop(job, 1, Stop::Lost);
        running.stop(job, 1, Stop::Cancelled);
        assert_eq!(stopped(&mut signal).await, Stop::Lost);
    }

    #[tokio::test]
    async fn only_the_named_attempt_is_stopped() {
        let (running, job) = (Running::default(), JobId::new());
        let (_guard, mut signal) = running.enter(job, 2);
        running.stop(job, 1, Stop::Lost);
        assert!(futures::poll!(Box::pin(stopped(&mut signal))).is_pending());
        running.stop_all(Stop::HandBack);
        assert_eq!(stopped(&mut signal).await, Stop::HandBack);
    }

    #[test]
    fn an_earlier_attempt_that_ends_does_not_forget_the_later_one() {
        let (running, job) = (Running::default(), JobId::new());
        let (first, _) = running.enter(job, 1);
        let (second, _) = running.enter(job, 2);
        drop(first);
        assert_eq!(running.attempts(), [(job, 2)]);
        drop(second);
        assert_eq!(running.len(), 0);
    }
}
