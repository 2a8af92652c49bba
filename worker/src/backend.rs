//! Our backend for apalis: ids that a feeder took from the wire.
//!
//! Faults of the stores are retried in the feeder and are no errors here. The one error is a feeder that panicked; the
//! monitor starts the lane again then.

use std::task::{Context, Poll, ready};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, task_id::RandomId},
    worker::context::WorkerContext,
};
use futures::FutureExt;
use rapport_common::domain::ids::JobId;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle},
};
use tower::layer::util::Identity;

use crate::slot::Slot;

/// A job that may be ready, and the place it runs in.
pub struct Ticket {
    pub job: JobId,
    pub slot: Slot,
}

pub struct LaneBackend {
    pub tickets: mpsc::Receiver<Ticket>,
    /// Has the other end. When it ends, the lane finishes what it runs.
    pub feeder: JoinHandle<()>,
}

impl Backend for LaneBackend {
    type Task = Task<Ticket>;
    type Error = JoinError;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), JoinError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<Ticket>, JoinError>>> {
        if let Some(ticket) = ready!(self.tickets.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(Task::new(ticket))));
        }
        Poll::Ready(ready!(self.feeder.poll_unpin(cx)).err().map(Err))
    }

    /// There is nothing to release: the monitor stops a lane when its feeder has ended and all it brought runs.
    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), JoinError>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for LaneBackend {
    type Args = Ticket;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
