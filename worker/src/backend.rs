//! Our backend for apalis: ids that the feeder took from the wire.
//!
//! apalis ends a worker, with everything it runs, on the first `Err` of a backend: so this one has none. Faults are
//! retried in the feeder.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll, ready},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, task_id::RandomId},
    worker::context::WorkerContext,
};
use rapport_common::domain::ids::JobId;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tower::layer::util::Identity;

/// A job that may be ready, and the slot it runs in.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub job: JobId,
    /// Given back when the last copy of the ticket is dropped.
    pub slot: Arc<OwnedSemaphorePermit>,
}

pub struct LedgerBackend {
    tickets: mpsc::Receiver<Ticket>,
}

impl LedgerBackend {
    /// The feeder's end and the worker's. When the feeder drops its end, the worker finishes what it runs and ends.
    pub fn new() -> (mpsc::Sender<Ticket>, Self) {
        let (sender, tickets) = mpsc::channel(64);
        (sender, Self { tickets })
    }
}

impl Backend for LedgerBackend {
    type Task = Task<Ticket>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Task<Ticket>, Infallible>>> {
        let ticket = ready!(self.tickets.poll_recv(cx));
        if ticket.is_none() {
            // apalis 1.0.0 finishes what runs when a backend has no more, and then waits until it is told to stop: for
            // ever, if nobody does. An error says that it has stopped already.
            let _stopped = worker.stop();
        }
        Poll::Ready(ticket.map(|ticket| Ok(Task::new(ticket))))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for LedgerBackend {
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
