//! The service apalis calls for each ticket.
//!
//! It spawns the job as a task of its own, so that jobs use all cores and a panic ends only its job: what apalis'
//! `parallelize` and `catch_panic` layers do. (The layers themselves have future types that cannot be spawned from
//! another task with this compiler: "implementation of `FnOnce` is not general enough".)

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use apalis_core::task::Task;
use futures::{FutureExt, future::BoxFuture};
use tower::Service;

use crate::{Runtime, backend::Ticket, runner};

#[derive(Clone)]
pub struct JobService(pub Arc<Runtime>);

impl Service<Task<Ticket>> for JobService {
    type Response = ();
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<(), Infallible>>;

    /// Always: the feeder's slots are the limit.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Ticket>) -> Self::Future {
        let job = task.args.job;
        let running = tokio::spawn(runner::run_ticket(Arc::clone(&self.0), task.args));
        async move {
            if let Err(error) = running.await {
                tracing::error!(%error, job_id = %job, "the job's task ended badly: its lease will end");
            }
            Ok(())
        }
        .boxed()
    }
}
