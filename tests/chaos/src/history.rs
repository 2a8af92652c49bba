//! What the clients did and saw: appended to, never changed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use chrono::{DateTime, TimeDelta, Utc};

/// One thing a client did or saw.
#[derive(Debug, Clone)]
pub struct Step {
    pub at: DateTime<Utc>,
    pub marker: String,
    pub what: String,
}

/// How a message ended, as its client saw it.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    Answered {
        reply: String,
        finish: String,
    },
    Failed {
        code: String,
    },
    Cancelled,
    /// Refused for good: nothing was accepted.
    Refused(String),
    /// The client lost patience.
    GaveUp,
}

/// An asynchronous replica took the place of the primary: what was committed last may be lost.
#[derive(Debug, Clone, Copy)]
pub struct Failover {
    /// What was committed before is on the replica.
    pub safe_until: DateTime<Utc>,
    /// From then on the replica is the primary.
    pub over: DateTime<Utc>,
}

impl Failover {
    /// What a client was told then may be undone.
    pub fn may_undo(&self, at: DateTime<Utc>) -> bool {
        // What the old primary had committed was passed on by others for a moment.
        at >= self.safe_until && at <= self.over + TimeDelta::seconds(5)
    }
}

/// A message that a client tried to send.
#[derive(Debug, Clone)]
pub struct Sent {
    pub marker: String,
    /// The session it was sent into; none: a new one.
    pub session: Option<String>,
    pub transport: &'static str,
    /// The order in which the client learnt that messages were accepted.
    pub accepted: Option<u64>,
    pub accepted_at: Option<DateTime<Utc>>,
    /// Every job that any answer named for it: one, if all is well.
    pub jobs: Vec<String>,
    /// Jobs that were named, and then were not known any more: it was sent again, by its key.
    pub gone: Vec<(String, DateTime<Utc>)>,
    /// The text a stream put together.
    pub streamed: Option<String>,
    pub asked_to_cancel: bool,
    pub end: Option<End>,
    pub ended_at: Option<DateTime<Utc>>,
    /// What was wrong with its streams.
    pub faults: Vec<String>,
}

#[derive(Default)]
pub struct History {
    steps: Mutex<Vec<Step>>,
    sent: Mutex<HashMap<String, Sent>>,
    accepted: AtomicU64,
    requests: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
    /// Answers that are wrong whatever happens around: 500 and the like.
    wrong: Mutex<Vec<(String, String)>>,
    failover: Mutex<Option<Failover>>,
}

pub fn now() -> DateTime<Utc> {
    DateTime::from(SystemTime::now())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    pub fn step(&self, marker: &str, what: impl Into<String>) {
        lock(&self.steps).push(Step { at: now(), marker: marker.to_owned(), what: what.into() });
    }

    pub fn begin(&self, marker: &str, session: Option<&str>, transport: &'static str) {
        let sent = Sent {
            marker: marker.to_owned(),
            session: session.map(str::to_owned),
            transport,
            accepted: None,
            accepted_at: None,
            jobs: Vec::new(),
            gone: Vec::new(),
            streamed: None,
            asked_to_cancel: false,
            end: None,
            ended_at: None,
            faults: Vec::new(),
        };
        lock(&self.sent).insert(marker.to_owned(), sent);
    }

    fn change(&self, marker: &str, change: impl FnOnce(&mut Sent)) {
        if let Some(sent) = lock(&self.sent).get_mut(marker) {
            change(sent);
        }
    }

    /// An answer named this job.
    pub fn job(&self, marker: &str, job: &str) {
        let order = self.accepted.fetch_add(1, Ordering::SeqCst);
        self.change(marker, |sent| {
            sent.accepted.get_or_insert(order);
            sent.accepted_at.get_or_insert_with(now);
            if !sent.jobs.iter().any(|known| known == job) {
                sent.jobs.push(job.to_owned());
            }
        });
    }

    /// Nobody knows the job any more.
    pub fn gone(&self, marker: &str) {
        self.step(marker, "its job is gone: sent again by its key");
        self.change(marker, |sent| {
            let at = sent.accepted_at.take().unwrap_or_else(now);
            sent.accepted = None;
            sent.gone.extend(sent.jobs.drain(..).map(|job| (job, at)));
        });
    }

    pub fn failed_over(&self, failover: Failover) {
        *lock(&self.failover) = Some(failover);
    }

    /// Of this round.
    pub fn failover(&self) -> Option<Failover> {
        *lock(&self.failover)
    }

    pub fn end(&self, marker: &str, end: End) {
        self.step(marker, format!("end: {end:?}"));
        self.change(marker, |sent| {
            sent.end = Some(end);
            sent.ended_at = Some(now());
        });
    }

    pub fn streamed(&self, marker: &str, text: &str) {
        self.change(marker, |sent| sent.streamed = Some(text.to_owned()));
    }

    pub fn asked_to_cancel(&self, marker: &str) {
        self.change(marker, |sent| sent.asked_to_cancel = true);
    }

    pub fn fault(&self, marker: &str, fault: String) {
        self.step(marker, format!("WRONG: {fault}"));
        self.change(marker, |sent| sent.faults.push(fault));
    }

    pub fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub fn error(&self, kind: &str) {
        *lock(&self.errors).entry(kind.to_owned()).or_default() += 1;
    }

    pub fn wrong(&self, marker: &str, what: String) {
        lock(&self.wrong).push((marker.to_owned(), what));
    }

    /// All that was counted since the last call.
    pub fn take_counts(&self) -> (u64, BTreeMap<String, u64>, Vec<(String, String)>) {
        let errors = std::mem::take(&mut *lock(&self.errors));
        let wrong = std::mem::take(&mut *lock(&self.wrong));
        (self.requests.swap(0, Ordering::Relaxed), errors, wrong)
    }

    /// The messages of a round, which leave memory with it.
    pub fn take_sent(&self) -> Vec<Sent> {
        let mut all: Vec<Sent> = std::mem::take(&mut *lock(&self.sent)).into_values().collect();
        all.sort_by(|one, other| one.marker.cmp(&other.marker));
        all
    }

    pub fn steps_of(&self, marker: &str) -> Vec<Step> {
        lock(&self.steps).iter().filter(|step| step.marker == marker).cloned().collect()
    }

    pub fn begin_round(&self) {
        *lock(&self.failover) = None;
        lock(&self.steps).clear();
    }
}
