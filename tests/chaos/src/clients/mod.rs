//! Users who talk: each lane sends one message after another into a session, by all the ways there are.

mod http;
mod jobs;
mod plain;
pub mod socket;
mod stream;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::history::History;

pub use http::{Call, Reply, Web};
#[cfg(test)]
pub use stream::Assembly;

pub const PASSWORD: &str = "Correct-horse-1";
/// How long a client follows one message before it gives up: longer than any fault and what is allowed after it.
pub const PATIENCE: Duration = Duration::from_secs(130);

/// Lets clients begin new messages, or not.
pub struct Gate {
    open: watch::Sender<bool>,
    busy: AtomicUsize,
}

pub struct Busy(Arc<Gate>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { open: watch::Sender::new(false), busy: AtomicUsize::new(0) })
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }

    pub fn close(&self) {
        self.open.send_replace(false);
    }

    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::SeqCst)
    }

    async fn enter(self: &Arc<Self>) -> Busy {
        let mut watching = self.open.subscribe();
        loop {
            let _open = watching.wait_for(|open| *open).await;
            self.busy.fetch_add(1, Ordering::SeqCst);
            let busy = Busy(Arc::clone(self));
            if *self.open.borrow() {
                return busy;
            }
        }
    }
}

/// What all clients share.
pub struct World {
    pub history: History,
    pub web: Web,
    pub gate: Arc<Gate>,
    /// Set when waiting on is of no use: every client gives up its message.
    pub giving_up: Arc<AtomicBool>,
    /// The fault that runs, by number: part of every marker.
    pub round: AtomicU64,
    /// `idempotency_key` in a frame is understood.
    pub socket_keys: bool,
    pub users: Vec<User>,
    /// Asks whether the service is ready; is in no ledger.
    pub prober: User,
    /// Accounts that were closed, of whom nothing may be left.
    pub leavers: tokio::sync::Mutex<Vec<String>>,
}

impl World {
    pub fn new(web: Web) -> Self {
        Self {
            history: History::default(),
            web,
            gate: Gate::new(),
            giving_up: Arc::default(),
            round: AtomicU64::new(0),
            socket_keys: false,
            users: Vec::new(),
            prober: User { name: String::new(), token: String::new() },
            leavers: tokio::sync::Mutex::default(),
        }
    }
}

#[derive(Clone)]
pub struct User {
    pub name: String,
    pub token: String,
}

/// One message on its way.
pub struct Message {
    pub marker: String,
    pub text: String,
    pub session: Option<String>,
    pub api: usize,
    pub deadline: Instant,
    giving_up: Arc<AtomicBool>,
    /// Ask to cancel it this long after it was accepted.
    pub cancel_after: Option<Duration>,
}

impl Message {
    pub fn body(&self) -> Value {
        let mut body = json!({"message": self.text});
        if let Some(session) = &self.session {
            body["session_id"] = json!(session);
        }
        body
    }

    pub fn is_late(&self) -> bool {
        Instant::now() > self.deadline || self.giving_up.load(Ordering::SeqCst)
    }
}

pub struct Lane {
    pub world: Arc<World>,
    pub user: User,
    pub number: usize,
    rng: StdRng,
    session: Option<(u64, String)>,
    socket: Option<(socket::Socket, Instant)>,
    next: u64,
}

impl Lane {
    pub fn new(world: Arc<World>, user: User, number: usize, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        Self { world, user, number, rng, session: None, socket: None, next: 0 }
    }

    /// Talks until it is dropped.
    pub async fn talk(mut self) {
        loop {
            let pause = self.rng.random_range(300..2_000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let busy = Arc::clone(&self.world.gate).enter().await;
            let round = self.world.round.load(Ordering::SeqCst);
            if self.session.as_ref().is_none_or(|(of, _)| *of != round) {
                self.session = self.new_session().await.map(|session| (round, session));
            }
            match self.rng.random_range(0..100) {
                0..30 => self.plain(false).await,
                30..38 => self.burst().await,
                38..50 => self.plain(true).await,
                50..78 => self.stream().await,
                _ => self.socket().await,
            }
            drop(busy);
        }
    }

    async fn new_session(&mut self) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut api = self.rng.random_range(0..self.world.web.urls.len());
        let key = format!("session-{}-{}", self.number, self.next);
        self.next += 1;
        while Instant::now() < deadline {
            let call = Call {
                marker: "session",
                token: &self.user.token,
                key: Some(&key),
                body: Some(json!({})),
                ..Call::post("/chat/sessions")
            };
            let reply = self.world.send(api, call).await;
            if let Reply::Http { status: 201, body, .. } = &reply {
                return body["id"].as_str().map(str::to_owned);
            }
            api += 1;
            self.world.pause(&reply).await;
        }
        None
    }

    /// A new message, entered in the ledger.
    fn message(&mut self, transport: &'static str) -> Message {
        // Slow ones one after another would take longer than what is measured.
        let may_be_slow = transport != "burst";
        let round = self.world.round.load(Ordering::SeqCst);
        let marker = format!("m-{round}-{}-{}", self.number, self.next);
        self.next += 1;
        let slow = self.rng.random_bool(0.2) && may_be_slow;
        let text = match slow {
            true => format!("/echo {marker} /tokens 40 /delay 100"),
            false => format!("/echo {marker} /tokens {}", self.rng.random_range(1..30)),
        };
        let session = match self.rng.random_bool(0.05) {
            true => None,
            false => self.session.as_ref().map(|(_, session)| session.clone()),
        };
        let cancels = self.rng.random_bool(if slow { 0.12 } else { 0.02 });
        let cancel_after = cancels.then(|| Duration::from_millis(self.rng.random_range(50..2_500)));
        self.world.history.begin(&marker, session.as_deref(), transport);
        self.world.history.step(&marker, format!("{transport}: {text:?} into {session:?}"));
        let api = self.rng.random_range(0..self.world.web.urls.len());
        let (deadline, giving_up) = (Instant::now() + PATIENCE, Arc::clone(&self.world.giving_up));
        Message { marker, text, session, api, deadline, giving_up, cancel_after }
    }
}
