//! One attempt of a job, as its handler has it: what it may use, and the only ways to end it.

use rapport_common::{
    Context, Error, Result,
    domain::{ids::UserId, job::Job},
    jobs::Ended,
    usecase::end_job::succeed_job,
};
use serde_json::Value;

use crate::{ending::persist, outcome::Outcome, running::StopSignal, slot::Slot};

pub struct Attempt<'a> {
    pub ctx: &'a Context,
    pub job: &'a Job,
    pub signal: StopSignal,
    pub slot: &'a Slot,
}

impl Attempt<'_> {
    /// Whose job it is.
    pub fn user(&self) -> Result<UserId> {
        self.job.user_id.ok_or_else(|| Error::internal(format!("a {} job of nobody's", self.job.kind)))
    }

    /// Ends the job with nothing but its result.
    pub async fn succeed(&self, result: Value) -> Outcome {
        self.commit(|| succeed_job(self.ctx, self.job, &result)).await
    }

    /// Ends the job with what `end` commits: it is done again while that may help, and refused when another attempt has the
    /// job.
    pub async fn commit<F>(&self, end: impl Fn() -> F) -> Outcome
    where
        F: Future<Output = Result<Option<Ended>>>,
    {
        persist(end).await.flatten().into()
    }
}
