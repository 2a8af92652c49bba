//! What a handler left of a request's body.
//!
//! An answer that needs no body (401, 404, 429, …) may be ready before the body has come. hyper ends such an HTTP/1
//! connection after the answer without saying so, and a client that reuses it loses its next request ("server
//! disconnected"). So the rest is read first, if it is short and comes soon; else the answer says `connection: close`.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::body::{Body, Incoming};
use tokio::time::timeout;

/// How much is read for nothing, and for how long.
const BYTES: u64 = 1_024 * 1_024;
const TIME: Duration = Duration::from_secs(1);

#[derive(Default)]
enum State {
    /// Read to its end, or still being read.
    #[default]
    Nothing,
    Unread(Incoming),
    /// It did not come as it should.
    Broken,
}

#[derive(Clone, Default)]
pub struct Rest(Arc<Mutex<State>>);

impl Rest {
    fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub fn leave(&self, body: Incoming) {
        self.set(State::Unread(body));
    }

    pub fn give_up(&self) {
        self.set(State::Broken);
    }

    /// Whether the connection can take another request. `waits` says that the client sends nothing before it hears of it.
    pub async fn read(&self, waits: bool) -> bool {
        let state = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        match state {
            State::Nothing => true,
            State::Unread(body) if !waits && body.size_hint().lower() <= BYTES => {
                timeout(TIME, read(body)).await.unwrap_or(false)
            }
            State::Unread(_) | State::Broken => false,
        }
    }
}

/// Whether the end came.
async fn read(mut body: Incoming) -> bool {
    let mut bytes = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(frame) = frame else { return false };
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > BYTES {
            return false;
        }
    }
    true
}
