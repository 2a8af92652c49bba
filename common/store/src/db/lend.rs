//! Lending PostgreSQL's connections without asking them in between.
//!
//! sqlx' pool pings a connection each time it is given back: a round trip a statement, as dear as the statement itself. So
//! what was given back in good order rests here, still lent in the pool's eyes, and is lent again at once, the last one
//! first. Only one that rested for a second is pinged; what is in doubt goes back to the pool, or is closed.
//!
//! What runs [`in_background`] has half of the connections at most, so that nobody who waits for an answer stands behind it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgPool, Postgres, pool::PoolConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    conn::{Trust, within},
    postgres::{ACQUIRE, PING},
};

/// What rested for so long may have been closed by its server, or have gone silent.
const ASK: Duration = Duration::from_secs(1);
/// What nobody needed for so long goes back to the pool, which closes it in the end.
const UNUSED: Duration = Duration::from_secs(60);
/// How long background work waits for its like: nobody waits for it, and the database is not away because they are many.
const BEHIND_PEERS: Duration = Duration::from_secs(60);

tokio::task_local! {
    static IN_BACKGROUND: ();
}

/// Runs what nobody waits for: embedding, titles, imports. A task that it starts is not counted with it.
pub async fn in_background<F: Future>(work: F) -> F::Output {
    IN_BACKGROUND.scope((), work).await
}

struct Resting {
    connection: PoolConnection<Postgres>,
    checked: Instant,
    since: Instant,
}

/// A pool and what rests in front of it.
pub struct Lender {
    pool: PgPool,
    pub(super) trust: Arc<Trust>,
    turns: Arc<Semaphore>,
    background: Arc<Semaphore>,
    resting: Mutex<Vec<Resting>>,
}

/// A connection that is lent, and the right to it.
pub struct Loan {
    pub(super) connection: PoolConnection<Postgres>,
    pub(super) lender: Arc<Lender>,
    /// When it came from the pool, which looked at it.
    checked: Instant,
    _turn: Turn,
}

async fn turn(of: Arc<Semaphore>, patience: Duration) -> Result<OwnedSemaphorePermit, sqlx::Error> {
    match tokio::time::timeout(patience, of.acquire_owned()).await {
        Err(_) => Err(sqlx::Error::PoolTimedOut),
        Ok(turn) => turn.map_err(|_closed| sqlx::Error::PoolClosed),
    }
}

struct Turn {
    _one: OwnedSemaphorePermit,
    _of_background: Option<OwnedSemaphorePermit>,
}

impl Lender {
    pub fn new(pool: PgPool, trust: Arc<Trust>) -> Arc<Self> {
        let most = pool.options().get_max_connections() as usize;
        let (turns, background) = (Semaphore::new(most), Semaphore::new(most.div_ceil(2)));
        let (turns, background) = (Arc::new(turns), Arc::new(background));
        Arc::new(Self { pool, trust, turns, background, resting: Mutex::default() })
    }

    pub async fn lend(self: &Arc<Self>) -> Result<Loan, sqlx::Error> {
        let of_background = match IN_BACKGROUND.try_with(|()| Arc::clone(&self.background)) {
            Ok(background) => Some(turn(background, BEHIND_PEERS).await?),
            Err(_) => None,
        };
        let turn =
            Turn { _one: turn(Arc::clone(&self.turns), ACQUIRE).await?, _of_background: of_background };
        let (connection, checked) = match self.rested().await {
            Some(rested) => rested,
            None => (self.pool.acquire().await?, Instant::now()),
        };
        Ok(Loan { connection, lender: Arc::clone(self), checked, _turn: turn })
    }

    /// One that rests and lives.
    async fn rested(&self) -> Option<(PoolConnection<Postgres>, Instant)> {
        loop {
            let last = self.resting.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Resting { mut connection, checked, since } = last?;
            if !self.trust.covers(checked.elapsed()) {
                connection.close_on_drop();
                continue;
            }
            if since.elapsed() > ASK && within(PING, connection.ping()).await.is_err() {
                self.trust.end();
                connection.close_on_drop();
                continue;
            }
            return Some((connection, checked));
        }
    }

    fn rest(&self, connection: PoolConnection<Postgres>, checked: Instant) {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.turns.is_closed() {
            return; // Dropped, it goes to the pool, which is closed too.
        }
        // The first has rested longest.
        let unused = resting.first().is_some_and(|first| first.since.elapsed() > UNUSED);
        let _to_the_pool = unused.then(|| resting.remove(0));
        resting.push(Resting { connection, checked, since: Instant::now() });
    }

    /// (open, idle)
    pub fn sizes(&self) -> (u32, usize) {
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner).len();
        (self.pool.size(), self.pool.num_idle() + resting)
    }

    pub async fn close(&self) {
        self.turns.close();
        self.background.close();
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.pool.close().await;
    }
}

impl Loan {
    /// Gives back a connection on which nothing is under way.
    pub fn give_back(self) {
        let Self { connection, lender, checked, _turn } = self;
        lender.rest(connection, checked);
    }
}
