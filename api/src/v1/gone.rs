//! Who goes away without waiting for an answer does not want it.

use rapport_common::{auth, domain::ids::JobId, usecase::cancel_job::cancel_job};

use crate::state::AppState;

/// Cancels a job when it is dropped, unless the answer was given, or this process stops: then nobody has gone.
pub struct Gone {
    state: AppState,
    caller: auth::Caller,
    job: Option<JobId>,
}

impl Gone {
    /// A request with an `Idempotency-Key` can be sent again: its answer is wanted though its client went away.
    pub fn watch(state: &AppState, caller: &auth::Caller, job: JobId, is_wanted_later: bool) -> Self {
        let job = (!is_wanted_later).then_some(job);
        Self { state: state.clone(), caller: caller.clone(), job }
    }

    /// It has ended.
    pub fn done(&mut self) {
        self.job = None;
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        let Some(job) = self.job.take().filter(|_| !self.state.stopping.is_cancelled()) else { return };
        let (ctx, user) = (self.state.ctx.clone(), self.caller.user);
        tokio::spawn(async move {
            match cancel_job(&ctx, user, job).await {
                Ok(_) => tracing::debug!(%job, "its client went away: cancelled"),
                // It ended in this moment, or the database is away: then it ends by itself.
                Err(error) => tracing::debug!(%error, %job, "its client went away, and it goes on"),
            }
        });
    }
}
