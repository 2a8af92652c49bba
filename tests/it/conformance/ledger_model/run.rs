//! Steps, done to the real ledger and to the model; after each, both must look the same, and the promises must hold.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rapport_common::{
    Error, clock,
    domain::{
        ids::{JobId, SessionId},
        job::{Job, JobStatus},
    },
    error::Code,
    jobs::payload,
    store::ledger::{self, Expired},
    usecase::{
        cancel_job::cancel_job,
        end_job,
        finish_chat::{Answer, finish_chat},
        retry_job::retry_job,
    },
};

use super::{
    database::Database,
    model::{Model, Row},
    promises::Promises,
    steps::{JOBS, Step},
};

/// What is waited before a job is tried again: less than passes at once.
const WAIT: u32 = 120;

/// A worker's process: what it believes.
pub struct Worker {
    pub name: String,
    /// How far its clock is ahead, in seconds.
    pub skew: i64,
    pub running: Vec<Job>,
    pub looked: Vec<Expired>,
    /// Whom it took for gone when it looked.
    pub gone: Vec<String>,
    /// And whom for dead.
    pub dead: Vec<String>,
}

pub struct Run<'d> {
    pub db: &'d Database,
    pub model: Model,
    pub workers: Vec<Worker>,
    pub rows: Vec<Row>,
    pub promises: Promises,
    pub ids: Vec<JobId>,
    pub sessions: Vec<SessionId>,
    pub lease: i64,
    pub dead: Vec<String>,
}

/// Both said different things: a failure of the ledger, or of the model.
pub fn same<T: std::fmt::Debug + PartialEq>(what: &str, ledger: T, model: T) -> Result<(), String> {
    if ledger == model {
        Ok(())
    } else {
        Err(format!("{what}: the ledger says {ledger:?}, the model {model:?}"))
    }
}

impl<'d> Run<'d> {
    /// Sessions without jobs, and a worker for each skew.
    pub async fn start(db: &'d Database, sessions: usize, skews: &[i64], lease: i64) -> Self {
        let ids = db.reset(sessions).await;
        let worker = |(n, skew): (usize, &i64)| Worker {
            name: format!("w{n}"),
            skew: if db.has_a_clock() { *skew } else { 0 },
            running: Vec::new(),
            looked: Vec::new(),
            gone: Vec::new(),
            dead: Vec::new(),
        };
        Self {
            db,
            model: Model::new(sessions, lease),
            workers: skews.iter().enumerate().map(worker).collect(),
            rows: Vec::new(),
            promises: Promises::default(),
            ids: Vec::new(),
            sessions: ids,
            lease,
            dead: Vec::new(),
        }
    }

    pub async fn steps(&mut self, steps: impl IntoIterator<Item = Step>) -> Result<(), String> {
        for step in steps {
            self.step(&step).await.map_err(|problem| format!("at {step:?}: {problem}"))?;
        }
        Ok(())
    }

    pub async fn step(&mut self, step: &Step) -> Result<(), String> {
        let before = std::mem::take(&mut self.rows);
        self.apply(step).await?;
        let (ids, rows): (Vec<JobId>, Vec<Row>) = self.db.rows().await.into_iter().unzip();
        same("jobs", &ids, &self.ids)?;
        for (n, (row, expected)) in rows.iter().zip(self.model.rows()).enumerate() {
            same(&format!("job {n}"), row, &expected)?;
        }
        self.promises.check(step, &before, &rows, &self.dead, &self.model)?;
        self.rows = rows;
        Ok(())
    }

    #[expect(clippy::too_many_lines, reason = "an arm a kind of step")]
    async fn apply(&mut self, step: &Step) -> Result<(), String> {
        match *step {
            Step::Accept { session } if self.ids.len() < JOBS => {
                let session = session % self.sessions.len();
                self.ids.push(self.db.accept(self.sessions[session]).await);
                self.model.accept(session);
                self.promises.accepted();
            }
            Step::Claim { worker, job, heard } if !self.ids.is_empty() => {
                let job = self.pick(job, |row| !row.status.is_final());
                self.claim(worker % self.workers.len(), job, heard).await?;
            }
            Step::Renew { worker } => self.renew(worker % self.workers.len()).await,
            Step::Beat { worker } => self.beat(worker % self.workers.len()).await?,
            Step::Finish { worker, nth, heard } => {
                if let Some(job) = self.take(worker, nth) {
                    self.finish(&job, false).await?;
                    if !heard {
                        self.worker(worker).running.push(job);
                    }
                }
            }
            Step::Fail { worker, nth } => {
                if let Some(job) = self.take(worker, nth) {
                    self.fail(&job).await?;
                }
            }
            Step::RetryLater { worker, nth, waits } => {
                if let Some(job) = self.take(worker, nth) {
                    self.retry_later(&job, if waits { WAIT } else { 0 }).await?;
                }
            }
            Step::HandBack { worker, nth } => {
                if let Some(job) = self.take(worker, nth) {
                    let done = end_job::hand_back(&self.db.ctx, &job).await.unwrap();
                    let n = self.number(job.id);
                    same("handed back", done, self.model.hand_back(n, job.attempt, 0))?;
                }
            }
            Step::HearCancels { worker } => self.hear_cancels(worker % self.workers.len()).await?,
            Step::Die { worker } => self.die(worker % self.workers.len()),
            Step::OwnProcessDies { worker, nth } => {
                self.own_process_dies(worker % self.workers.len(), nth).await?;
            }
            Step::Look { worker, knows } => self.look(worker % self.workers.len(), knows).await?,
            Step::TakeBack { worker } => self.take_back(worker % self.workers.len()).await?,
            Step::Mistake { worker, job, old, doing } if !self.ids.is_empty() => {
                let job = self.pick(job, Row::is_running);
                self.mistake(worker % self.workers.len(), job, old, doing).await?;
            }
            Step::Cancel { job } if !self.ids.is_empty() => {
                self.cancel(self.pick(job, |row| !row.status.is_final())).await?;
            }
            Step::RetryByHand { job } if !self.ids.is_empty() => {
                let job = self.pick(job, |row| row.status == JobStatus::Failed);
                let retried = retry_job(&self.db.ctx, self.db.user, self.ids[job]).await;
                let retried = unless_over(retried)?.is_some();
                same("retried", retried, self.model.retry(job))?;
                if retried {
                    self.promises.retried(job);
                }
            }
            Step::TimePasses => {
                let seconds = self.lease + self.lease / 5;
                self.db.pass(seconds).await;
                self.model.pass(seconds);
            }
            // There is no job yet, or there are enough.
            _ => {}
        }
        Ok(())
    }

    fn worker(&mut self, worker: usize) -> &mut Worker {
        let count = self.workers.len();
        &mut self.workers[worker % count]
    }

    /// The job that a step's number means.
    fn pick(&self, job: usize, fits: impl Fn(&Row) -> bool) -> usize {
        let rows = self.model.rows();
        let fitting: Vec<usize> = (0..rows.len()).filter(|n| fits(&rows[*n])).collect();
        if fitting.is_empty() || job >= JOBS { job % rows.len() } else { fitting[job % fitting.len()] }
    }

    pub fn number(&self, id: JobId) -> usize {
        self.ids.iter().position(|other| *other == id).unwrap()
    }

    fn take(&mut self, worker: usize, nth: usize) -> Option<Job> {
        let running = &mut self.worker(worker).running;
        if running.is_empty() { None } else { Some(running.remove(nth % running.len())) }
    }

    /// The time as a worker has it.
    pub fn now(&self, worker: usize) -> DateTime<Utc> {
        clock::now() + TimeDelta::seconds(self.workers[worker].skew)
    }

    pub fn numbered(&self, attempts: impl IntoIterator<Item = (JobId, u32)>) -> BTreeMap<usize, u32> {
        attempts.into_iter().map(|(id, attempt)| (self.number(id), attempt)).collect()
    }

    async fn claim(&mut self, worker: usize, job: usize, heard: bool) -> Result<(), String> {
        let Worker { name, skew, .. } = &self.workers[worker];
        let mut conn = self.db.ctx.db.relaxed().await.unwrap();
        let (lease, id, now) = (TimeDelta::seconds(self.lease), self.ids[job], self.now(worker));
        // On PostgreSQL workers claim several at once, too: the same must come of it.
        let claimed = match self.db.has_a_clock() && job % 2 == 1 {
            true => ledger::claim_free(&mut conn, &[id], name, lease, now).await.unwrap().pop(),
            false => ledger::claim(&mut conn, id, name, lease, now).await.unwrap(),
        };
        let attempt = claimed.as_ref().map(|job| job.attempt);
        same("claimed attempt", attempt, self.model.claim(job, name, *skew))?;
        if let Some(claimed) = claimed {
            self.promises.claimed(job, claimed.attempt)?;
            if heard {
                self.workers[worker].running.push(claimed);
            }
        }
        Ok(())
    }

    async fn renew(&mut self, worker: usize) {
        let running: Vec<(JobId, u32)> =
            self.workers[worker].running.iter().map(|job| (job.id, job.attempt)).collect();
        let mut conn = self.db.ctx.db.relaxed().await.unwrap();
        let lease = TimeDelta::seconds(self.lease);
        ledger::renew(&mut conn, &running, lease, self.now(worker)).await.unwrap();
        let running: Vec<(usize, u32)> =
            running.into_iter().map(|(id, attempt)| (self.number(id), attempt)).collect();
        self.model.renew(&running);
    }

    /// As the heartbeat, only that it hands back at once: there is no claim under way here.
    async fn beat(&mut self, worker: usize) -> Result<(), String> {
        self.renew(worker).await;
        let name = &self.workers[worker].name;
        let mut conn = self.db.ctx.db.relaxed().await.unwrap();
        let held = ledger::held(&mut conn, name).await.unwrap();
        same("held", self.numbered(held.clone()), self.model.held(name))?;
        self.workers[worker].running.retain(|job| held.get(&job.id) == Some(&job.attempt));
        let runs = |id: JobId| self.workers[worker].running.iter().any(|job| job.id == id);
        for (id, attempt) in held.into_iter().filter(|(id, _)| !runs(*id)) {
            let done = ledger::release(&mut conn, id, attempt, self.now(worker)).await.unwrap();
            let (n, skew) = (self.number(id), self.workers[worker].skew);
            same("released", done, self.model.hand_back(n, attempt, skew))?;
        }
        Ok(())
    }

    async fn finish(&mut self, job: &Job, cancelled: bool) -> Result<(), String> {
        let answer = Answer {
            content: format!("answer of attempt {}", job.attempt),
            finish_reason: "stop".to_owned(),
            cancelled,
            ..Answer::default()
        };
        let payload = payload::read(job).unwrap();
        let stored = finish_chat(&self.db.ctx, job, &payload, &answer).await.unwrap().is_some();
        let status = if cancelled { JobStatus::Cancelled } else { JobStatus::Succeeded };
        let n = self.number(job.id);
        same("answer stored", stored, self.model.settle(n, job.attempt, status))?;
        if stored { self.promises.ended(n) } else { Ok(()) }
    }

    async fn fail(&mut self, job: &Job) -> Result<(), String> {
        let error = Error::new(Code::ProviderUnavailable, "it does not answer");
        let failed = end_job::fail_job(&self.db.ctx, job, &error).await.unwrap().is_some();
        let n = self.number(job.id);
        same("failed", failed, self.model.settle(n, job.attempt, JobStatus::Failed))?;
        if failed { self.promises.failed(n) } else { Ok(()) }
    }

    /// As the runner: a job without another try fails.
    async fn retry_later(&mut self, job: &Job, wait: u32) -> Result<(), String> {
        if job.attempt >= job.max_attempts {
            return self.fail(job).await;
        }
        let error = Error::new(Code::ProviderUnavailable, "it does not answer");
        let (n, pause) = (self.number(job.id), std::time::Duration::from_secs(wait.into()));
        let done = end_job::retry_later(&self.db.ctx, job, pause, &error).await.unwrap();
        same("put back", done, self.model.retry_later(n, job.attempt, wait.into()))
    }

    async fn hear_cancels(&mut self, worker: usize) -> Result<(), String> {
        let name = &self.workers[worker].name;
        let mut conn = self.db.ctx.db.relaxed().await.unwrap();
        let cancelled = ledger::cancelled(&mut conn, name).await.unwrap();
        drop(conn);
        same("cancelled", self.numbered(cancelled.clone()), self.model.cancelled(name))?;
        let all = std::mem::take(&mut self.workers[worker].running);
        let (stopped, others) =
            all.into_iter().partition::<Vec<Job>, _>(|job| cancelled.contains(&(job.id, job.attempt)));
        self.workers[worker].running = others;
        for job in stopped {
            self.finish(&job, true).await?;
        }
        Ok(())
    }

    fn die(&mut self, worker: usize) {
        let name = format!("w{worker}-{}", self.dead.len() + 1);
        let worker = &mut self.workers[worker];
        for job in self.model.held(&worker.name).into_keys() {
            self.promises.died_with(job);
        }
        self.dead.push(std::mem::replace(&mut worker.name, name));
        (worker.running, worker.looked) = (Vec::new(), Vec::new());
    }

    pub async fn cancel(&mut self, job: usize) -> Result<(), String> {
        let cancelled = cancel_job(&self.db.ctx, self.db.user, self.ids[job]).await;
        let status = unless_over(cancelled)?.map(|job| job.status);
        same("after cancelling", status, self.model.cancel(job))?;
        if status == Some(JobStatus::Cancelled) { self.promises.cancelled(job) } else { Ok(()) }
    }

    /// Everybody lives and works on, and time passes, until nothing is open.
    pub async fn drain(&mut self) -> Result<(), String> {
        /// A job of each session ends in each; a slow clock waits for another few.
        const ROUNDS: usize = 3 * JOBS;
        let workers = self.workers.len();
        for _ in 0..ROUNDS {
            for worker in 0..workers {
                self.steps([Step::Beat { worker }]).await?;
                while !self.workers[worker].running.is_empty() {
                    self.steps([Step::Finish { worker, nth: 0, heard: true }]).await?;
                }
            }
            if self.rows.iter().all(|row| row.status.is_final()) {
                return self.promises.at_the_end(&self.model);
            }
            self.steps([Step::TimePasses]).await?;
            for worker in 0..workers {
                self.steps([Step::Look { worker, knows: true }, Step::TakeBack { worker }]).await?;
            }
            let open = self.rows.iter().filter(|row| !row.status.is_final()).count();
            for (job, worker) in (0..open).flat_map(|job| (0..workers).map(move |worker| (job, worker))) {
                self.steps([Step::Claim { worker, job, heard: true }]).await?;
            }
        }
        Err(format!("some jobs never end: {:#?}", self.rows))
    }
}

/// What an owner asked for; `None`: the job's state does not allow it.
fn unless_over(asked: Result<Job, Error>) -> Result<Option<Job>, String> {
    match asked {
        Ok(job) => Ok(Some(job)),
        Err(error) if error.code == Code::WrongState => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
