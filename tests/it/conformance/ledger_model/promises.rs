//! The promises of docs/jobs.md, checked on what the ledger shows and on who did what, without the model's states: a
//! model that is wrong in the same way as the ledger is found here.

use std::collections::BTreeSet;

use rapport_common::domain::job::JobStatus;

use super::{
    model::{Model, Row},
    steps::Step,
};

/// What happened to a job.
#[derive(Default)]
struct Story {
    attempts: BTreeSet<u32>,
    /// How often its owner had it run again.
    retries: usize,
    /// How often it was ended.
    ends: usize,
    /// How often a worker died that held it, since it was last put in by hand.
    deaths: u32,
    failed: bool,
}

#[derive(Default)]
pub struct Promises {
    stories: Vec<Story>,
    /// Jobs in the order in which attempts, or their graves, ended them.
    ended: Vec<usize>,
}

fn holds(condition: bool, promise: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(promise()) }
}

impl Promises {
    pub fn accepted(&mut self) {
        self.stories.push(Story::default());
    }

    pub fn claimed(&mut self, job: usize, attempt: u32) -> Result<(), String> {
        holds(self.stories[job].attempts.insert(attempt), || {
            format!("job {job}: attempt {attempt} began twice")
        })
    }

    pub fn ended(&mut self, job: usize) -> Result<(), String> {
        self.ended.push(job);
        self.over(job)
    }

    pub fn failed(&mut self, job: usize) -> Result<(), String> {
        self.stories[job].failed = true;
        self.ended(job)
    }

    pub fn buried(&mut self, job: usize) -> Result<(), String> {
        let deaths = self.stories[job].deaths;
        holds(deaths >= 2, || format!("job {job} was buried after {deaths} deaths"))?;
        self.failed(job)
    }

    /// Before anybody ran it.
    pub fn cancelled(&mut self, job: usize) -> Result<(), String> {
        self.over(job)
    }

    fn over(&mut self, job: usize) -> Result<(), String> {
        let story = &mut self.stories[job];
        story.ends += 1;
        holds(story.ends <= 1 + story.retries, || format!("job {job} took effect twice"))
    }

    pub fn retried(&mut self, job: usize) {
        let story = &mut self.stories[job];
        story.retries += 1;
        (story.deaths, story.failed) = (0, false);
    }

    pub fn died_with(&mut self, job: usize) {
        self.stories[job].deaths += 1;
    }

    /// After a step.
    pub fn check(
        &self,
        step: &Step,
        before: &[Row],
        after: &[Row],
        dead: &[String],
        model: &Model,
    ) -> Result<(), String> {
        for (n, row) in after.iter().enumerate() {
            let story = &self.stories[n];
            let is_final = row.status.is_final();
            holds(row.answers == i64::from(is_final), || {
                format!("job {n} is {:?} with {} answers", row.status, row.answers)
            })?;
            holds(row.is_running() == (row.worker.is_some() && row.lease.is_some()), || {
                format!("job {n}: nobody runs it, or nobody should: {row:?}")
            })?;
            holds(row.crashes <= story.deaths, || {
                format!("job {n}: {} crashes and {} deaths", row.crashes, story.deaths)
            })?;
            holds((row.status == JobStatus::Failed) == story.failed, || {
                format!("job {n} is {:?}, and failed by somebody: {}", row.status, story.failed)
            })?;
            // An earlier one that is open blocks it.
            let session = model.jobs[n].session;
            let earlier = |(m, other): &(usize, &Row)| {
                model.jobs[*m].session == session && other.order < row.order && !other.status.is_final()
            };
            let blocker = after.iter().enumerate().find(earlier).map(|(m, _)| m);
            holds(!row.is_running() || blocker.is_none(), || format!("job {n} runs before {blocker:?}"))?;
        }
        for (n, (old, new)) in before.iter().zip(after).enumerate() {
            holds(new.attempt >= old.attempt, || format!("job {n}: the attempt went down"))?;
            let by_hand = matches!(step, Step::RetryByHand { .. }) && old.status == JobStatus::Failed;
            holds(old == new || !old.status.is_final() || by_hand, || {
                format!("job {n} was {:?}, and changed to {:?}", old.status, new.status)
            })?;
            let lives =
                old.lease == Some(true) && old.worker.as_ref().is_some_and(|name| !dead.contains(name));
            let sweeps = matches!(step, Step::Look { .. } | Step::TakeBack { .. });
            holds(old == new || !lives || !sweeps, || {
                format!("job {n} was taken from a worker that lives, within its lease")
            })?;
        }
        Ok(())
    }

    /// When nothing is open: answers came in the order of the questions, except where an owner put a job in again.
    pub fn at_the_end(&self, model: &Model) -> Result<(), String> {
        for (position, &job) in self.ended.iter().enumerate() {
            let overtaken = self.ended[..position].iter().find(|&&earlier| {
                earlier > job
                    && model.jobs[earlier].session == model.jobs[job].session
                    && self.stories[earlier].retries + self.stories[job].retries == 0
            });
            holds(overtaken.is_none(), || format!("job {job} ended after {overtaken:?}"))?;
        }
        Ok(())
    }
}
