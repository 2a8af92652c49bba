//! What the ledger ought to do, in plain code: no SQL, no clock, no second process.
//!
//! Time is seconds from the present moment, so that time passes by lowering what is in the future.

use std::collections::BTreeMap;

use rapport_common::domain::job::JobStatus;

/// `QUEUE__MAX_ATTEMPTS` as the settings have it when nobody sets it.
pub const MAX_ATTEMPTS: u32 = 3;

/// A job as both sides show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub order: i64,
    pub status: JobStatus,
    pub attempt: u32,
    pub max_attempts: u32,
    pub worker: Option<String>,
    /// Whether its lease lives; `None`: it has none.
    pub lease: Option<bool>,
    pub crashes: u32,
    pub quarantine: bool,
    pub cancel_requested: bool,
    /// How many answers are stored, and the status of one.
    pub answers: i64,
    pub answer: Option<String>,
}

impl Row {
    pub fn is_running(&self) -> bool {
        self.status == JobStatus::Running
    }
}

pub struct Job {
    pub session: usize,
    pub row: Row,
    run_at: i64,
    lease_ends: Option<i64>,
}

impl Job {
    fn no_lease(&mut self) {
        (self.row.worker, self.lease_ends) = (None, None);
    }

    fn answered(&mut self, status: &str) {
        self.row.answers += 1;
        self.row.answer = Some(status.to_owned());
    }
}

pub struct Model {
    pub jobs: Vec<Job>,
    /// The next free place of each session.
    next: Vec<i64>,
    /// How long a lease is, in seconds.
    lease: i64,
}

impl Model {
    pub fn new(sessions: usize, lease: i64) -> Self {
        Self { jobs: Vec::new(), next: vec![1; sessions], lease }
    }

    pub fn rows(&self) -> Vec<Row> {
        let row = |job: &Job| Row { lease: job.lease_ends.map(|ends| ends > 0), ..job.row.clone() };
        self.jobs.iter().map(row).collect()
    }

    /// The job, if this attempt of it runs.
    fn current(&mut self, job: usize, attempt: u32) -> Option<&mut Job> {
        let job = &mut self.jobs[job];
        (job.row.is_running() && job.row.attempt == attempt).then_some(job)
    }

    /// The same for what a sweeper may take: the lease has ended, or the worker is known to be gone.
    fn forsaken(&mut self, job: usize, attempt: u32, gone: &[String]) -> Option<&mut Job> {
        self.current(job, attempt).filter(|job| is_forsaken(job, gone))
    }

    pub fn accept(&mut self, session: usize) {
        let order = self.next[session];
        // A question's place, and its answer's.
        self.next[session] += 2;
        let row = Row {
            order,
            status: JobStatus::Queued,
            attempt: 0,
            max_attempts: MAX_ATTEMPTS,
            worker: None,
            lease: None,
            crashes: 0,
            quarantine: false,
            cancel_requested: false,
            answers: 0,
            answer: None,
        };
        self.jobs.push(Job { session, row, run_at: 0, lease_ends: None });
    }

    /// The number of the attempt that begins.
    pub fn claim(&mut self, job: usize, worker: &str, now: i64) -> Option<u32> {
        let Job { session, row, run_at, .. } = &self.jobs[job];
        let earlier = |other: &Job| {
            other.session == *session && other.row.order < row.order && !other.row.status.is_final()
        };
        if row.status != JobStatus::Queued || *run_at > now || self.jobs.iter().any(earlier) {
            return None;
        }
        let job = &mut self.jobs[job];
        job.row.status = JobStatus::Running;
        job.row.attempt += 1;
        job.row.worker = Some(worker.to_owned());
        job.lease_ends = Some(self.lease);
        Some(job.row.attempt)
    }

    pub fn renew(&mut self, running: &[(usize, u32)]) {
        let lease = self.lease;
        for &(job, attempt) in running {
            if let Some(job) = self.current(job, attempt) {
                job.lease_ends = Some(lease);
            }
        }
    }

    fn of(&self, worker: &str, which: impl Fn(&Row) -> bool) -> BTreeMap<usize, u32> {
        let jobs = self.jobs.iter().enumerate().filter(|(_, job)| {
            job.row.is_running() && job.row.worker.as_deref() == Some(worker) && which(&job.row)
        });
        jobs.map(|(n, job)| (n, job.row.attempt)).collect()
    }

    pub fn held(&self, worker: &str) -> BTreeMap<usize, u32> {
        self.of(worker, |_| true)
    }

    /// What `worker` holds and somebody asked to stop.
    pub fn cancelled(&self, worker: &str) -> BTreeMap<usize, u32> {
        self.of(worker, |row| row.cancel_requested)
    }

    /// An attempt ends its job, with one answer.
    pub fn settle(&mut self, job: usize, attempt: u32, status: JobStatus) -> bool {
        let Some(job) = self.current(job, attempt) else { return false };
        job.row.status = status;
        job.row.quarantine = false;
        job.no_lease();
        job.answered(match status {
            JobStatus::Succeeded => "complete",
            JobStatus::Failed => "failed",
            _ => "cancelled",
        });
        true
    }

    pub fn retry_later(&mut self, job: usize, attempt: u32, run_at: i64) -> bool {
        let Some(job) = self.current(job, attempt) else { return false };
        (job.row.status, job.run_at) = (JobStatus::Queued, run_at);
        job.no_lease();
        true
    }

    pub fn hand_back(&mut self, job: usize, attempt: u32, now: i64) -> bool {
        let Some(job) = self.current(job, attempt) else { return false };
        (job.row.status, job.run_at) = (JobStatus::Queued, now);
        job.row.max_attempts += 1;
        job.no_lease();
        true
    }

    /// What a sweeper finds.
    pub fn expired(&self, gone: &[String]) -> BTreeMap<usize, u32> {
        let found =
            self.jobs.iter().enumerate().filter(|(_, job)| job.row.is_running() && is_forsaken(job, gone));
        found.map(|(n, job)| (n, job.row.attempt)).collect()
    }

    pub fn reclaim(&mut self, job: usize, attempt: u32, now: i64, gone: &[String], crashed: bool) -> bool {
        let Some(job) = self.forsaken(job, attempt, gone) else { return false };
        (job.row.status, job.run_at) = (JobStatus::Queued, now);
        job.row.quarantine |= crashed;
        job.row.crashes += u32::from(crashed);
        job.row.max_attempts += 1;
        job.no_lease();
        true
    }

    pub fn bury(&mut self, job: usize, attempt: u32, gone: &[String]) -> bool {
        let Some(job) = self.forsaken(job, attempt, gone) else { return false };
        job.row.status = JobStatus::Failed;
        job.row.crashes += 1;
        job.no_lease();
        job.answered("failed");
        true
    }

    /// The job's status after its owner asked to cancel it; `None`: it was over.
    pub fn cancel(&mut self, job: usize) -> Option<JobStatus> {
        let job = &mut self.jobs[job];
        match job.row.status {
            JobStatus::Queued => {
                job.row.status = JobStatus::Cancelled;
                job.answered("cancelled");
            }
            JobStatus::Running => {}
            _ => return None,
        }
        job.row.cancel_requested = true;
        Some(job.row.status)
    }

    /// A failed job runs again, at the end of its session's queue.
    pub fn retry(&mut self, job: usize) -> bool {
        let job = &mut self.jobs[job];
        if job.row.status != JobStatus::Failed {
            return false;
        }
        let next = &mut self.next[job.session];
        job.row = Row {
            order: *next,
            status: JobStatus::Queued,
            attempt: job.row.attempt,
            max_attempts: job.row.attempt + MAX_ATTEMPTS,
            crashes: 0,
            quarantine: false,
            cancel_requested: false,
            answers: 0,
            answer: None,
            worker: None,
            lease: None,
        };
        *next += 1;
        job.run_at = 0;
        true
    }

    pub fn pass(&mut self, seconds: i64) {
        for job in &mut self.jobs {
            job.run_at -= seconds;
            job.lease_ends = job.lease_ends.map(|ends| ends - seconds);
        }
    }
}

fn is_forsaken(job: &Job, gone: &[String]) -> bool {
    let lease_ended = job.lease_ends.is_some_and(|ends| ends <= 0);
    lease_ended || job.row.worker.as_ref().is_some_and(|worker| gone.contains(worker))
}
