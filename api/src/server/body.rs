//! Bodies under watch: a request's must keep arriving, a response's keeps its connection busy until it ends.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use rapport_common::settings::Server;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{activity::Busy, rest::Rest};
use crate::extract::Late;

/// A request's body that ends with [`Late`] when its client stalls. Only the time spent waiting for the client counts:
/// a handler that reads slowly costs the client nothing.
pub struct Paced {
    /// `None` once it has ended or failed.
    body: Option<Incoming>,
    rest: Rest,
    limits: Server,
    received: u64,
    waited: Duration,
    /// Since when nothing has come, and when that is too long.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Paced {
    /// What is not read of it is left in `rest`.
    pub fn new(body: Incoming, limits: Server, rest: Rest) -> Self {
        let body = (!body.is_end_stream()).then_some(body);
        Self { body, rest, limits, received: 0, waited: Duration::ZERO, waiting: None }
    }

    fn fail(&mut self) {
        self.body = None;
        self.rest.give_up();
    }

    /// How long the next piece may take: the pause that is allowed, or what is left of the time for all so far.
    fn patience(&self) -> Duration {
        let for_all = self.limits.body_idle
            + Duration::from_secs_f64(self.received as f64 / self.limits.body_rate.max(1) as f64);
        self.limits.body_idle.min(for_all.saturating_sub(self.waited))
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            if let Some((since, _)) = self.waiting.take() {
                self.waited += since.elapsed();
            }
            match &frame {
                Some(Ok(frame)) => self.received += frame.data_ref().map_or(0, Bytes::len) as u64,
                Some(Err(_)) => self.fail(),
                None => self.body = None,
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let patience = self.patience();
        let (_, deadline) = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + patience)))
        });
        deadline.as_mut().poll(cx).map(|()| {
            self.fail();
            Some(Err(Late.into()))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.rest.leave(body);
        }
    }
}

/// A response's body. It tells its connection what it waits for: the next piece, or a client that takes the last one.
pub struct Held {
    body: Body,
    busy: Busy,
}

impl Held {
    pub fn new(body: Body, busy: Busy) -> Self {
        busy.offers(0);
        Self { body, busy }
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    /// Is called when there is room for more: never, while an HTTP/2 client grants none.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Pending => self.busy.works(),
            Poll::Ready(Some(Ok(frame))) => self.busy.offers(frame.data_ref().map_or(0, Bytes::len)),
            Poll::Ready(_) => self.busy.offers(0),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
