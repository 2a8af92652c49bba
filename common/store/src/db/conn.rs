//! A connection lent from a pool, and a transaction on one.
//!
//! Three rules make a link that lies harmless:
//!
//! - Every statement has a deadline. What does not answer in time counts as away.
//! - A connection in doubt (it did not answer, it broke, its database had no room) never goes back: it is closed, and the
//!   pool makes a new one. Transactions are ours for the same reason: sqlx counts their depth, and SQLite ends one by
//!   itself when its disk is full; from then on the two disagreed about the one connection that writes.
//! - Going back has a deadline too: sqlx pings a connection first, for as long as that takes. One on which nothing is under
//!   way skips that ([`super::lend`]).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use sqlx::{Executor, PgConnection, Sqlite, SqliteConnection, pool::PoolConnection};
use tokio::sync::OwnedMutexGuard;

use super::lend::Loan;
use super::postgres::{BEGIN_POOLED, BEGIN_POOLED_PATIENT, BEGIN_POOLED_RELAXED, Pg};
use crate::error::{Error, Result, database_is_away, storage_is_full};

/// How long a statement may take before its connection counts as broken. PostgreSQL itself ends one a second later
/// (`statement_timeout`), so that nothing goes on for a client that has left.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// The same for work that nobody waits for and that is known to be long: deleting much.
pub const LONG_DEADLINE: Duration = Duration::from_secs(600);
/// How long a connection may take to end its transaction and go back to its pool.
const RETURN: Duration = Duration::from_secs(2);

/// The connection itself, of whichever database is open.
pub enum Raw<'c> {
    Pg(&'c mut PgConnection),
    Lite(&'c mut SqliteConnection),
}

/// What a query can run on: a connection or an open transaction.
pub trait Querier: Send {
    fn raw(&mut self) -> Raw<'_>;
    /// How long one statement may take.
    fn deadline(&self) -> Duration;
    /// Tells the connection how a statement failed: it decides whether it can be used again.
    fn note(&mut self, error: &sqlx::Error);
    /// Tells the connection that its statement was answered, well or badly: nothing is under way on it. One that is given up
    /// in mid-statement, with a request that was cancelled, does not hear this.
    fn answered(&mut self);
    /// Whether the server's session is lent for a transaction only: nothing is prepared by name there.
    fn is_pooled(&self) -> bool;
    /// Whether a statement needs a transaction of its own around it: [`Self::enter`] before it, [`Self::leave`] after.
    fn is_alone(&self) -> bool;
    fn enter(&mut self) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
    fn leave(&mut self, succeeded: bool) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// Since when a pool's connections are trusted. When one does not answer, the older ones are not asked one by one.
#[derive(Default)]
pub struct Trust(AtomicU64);

fn uptime() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

impl Trust {
    /// Ends the trust in all connections made until now.
    pub fn end(&self) {
        self.0.store(uptime().as_millis() as u64 + 1, Ordering::Relaxed);
    }

    /// Whether a connection made so long ago may still be used.
    pub fn covers(&self, age: Duration) -> bool {
        let made = uptime().saturating_sub(age).as_millis() as u64;
        made >= self.0.load(Ordering::Relaxed)
    }
}

/// When a statement last met a full disk, in milliseconds of uptime.
static FULL: AtomicU64 = AtomicU64::new(0);

/// Whether a statement of this process met a full disk so lately. A small write may still find room in a page where a larger
/// one does not, so trying one is not enough to know.
pub fn was_full(lately: Duration) -> bool {
    let last = FULL.load(Ordering::Relaxed);
    last > 0 && uptime().as_millis() as u64 <= last + lately.as_millis() as u64
}

/// What a connection's commits promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// They survive a power cut.
    Durable,
    /// A power cut may lose the last ones.
    Relaxed,
}

enum Lent {
    Pg {
        loan: Loan,
        /// Through a pooler: how it must begin its transactions.
        pooled: Option<Durability>,
    },
    Lite {
        connection: PoolConnection<Sqlite>,
        /// To write, for those that do: the next one waits until this has gone back.
        _turn: Option<OwnedMutexGuard<()>>,
    },
}

pub struct Conn {
    /// Taken when it goes back.
    lent: Option<Lent>,
    deadline: Duration,
    in_doubt: bool,
    /// A statement was begun, and nobody said that it was answered.
    is_busy: bool,
    in_transaction: bool,
    /// PostgreSQL was told to be patient with this session.
    is_patient: bool,
}

impl Conn {
    pub(super) fn pg(loan: Loan, pg: &Pg, kind: Durability) -> Self {
        Self::new(Lent::Pg { loan, pooled: pg.is_pooled.then_some(kind) })
    }

    pub(super) fn lite(connection: PoolConnection<Sqlite>, turn: Option<OwnedMutexGuard<()>>) -> Self {
        Self::new(Lent::Lite { connection, _turn: turn })
    }

    fn new(lent: Lent) -> Self {
        Self {
            lent: Some(lent),
            deadline: DEADLINE,
            in_doubt: false,
            is_busy: false,
            in_transaction: false,
            is_patient: false,
        }
    }

    /// Runs a statement without parameters, outside sqlx' cache of prepared ones.
    async fn command(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        let deadline = self.deadline;
        let done = match self.raw() {
            Raw::Pg(c) => within(deadline, c.execute(sql)).await.map(drop),
            Raw::Lite(c) => c.execute(sql).await.map(drop),
        };
        self.answered();
        if let Err(error) = &done {
            self.note(error);
        }
        done
    }

    /// Lets this session's statements take minutes.
    pub(super) async fn become_patient(&mut self) -> Result<(), sqlx::Error> {
        if let Some(Lent::Pg { pooled, .. }) = &self.lent {
            self.is_patient = true;
            if pooled.is_none() {
                self.command("set statement_timeout = '10min'").await?;
            }
        }
        self.deadline = LONG_DEADLINE;
        Ok(())
    }

    /// For one statement that writes: PostgreSQL makes a transaction of each by itself, so it needs no words around it.
    pub(super) fn single(self) -> Tx {
        Tx(self)
    }

    pub(super) async fn begin(mut self) -> Result<Tx, sqlx::Error> {
        self.begin_here().await?;
        Ok(Tx(self))
    }

    async fn begin_here(&mut self) -> Result<(), sqlx::Error> {
        let sql = match &self.lent {
            Some(Lent::Pg { pooled: None, .. }) => "begin",
            Some(Lent::Pg { pooled: Some(_), .. }) if self.is_patient => BEGIN_POOLED_PATIENT,
            Some(Lent::Pg { pooled: Some(Durability::Durable), .. }) => BEGIN_POOLED,
            Some(Lent::Pg { pooled: Some(Durability::Relaxed), .. }) => BEGIN_POOLED_RELAXED,
            Some(Lent::Lite { .. }) | None => "begin immediate",
        };
        self.in_transaction = true;
        self.command(sql).await
    }
}

impl Querier for Conn {
    #[expect(clippy::expect_used, reason = "only `drop` takes it")]
    fn raw(&mut self) -> Raw<'_> {
        self.is_busy = true;
        match self.lent.as_mut().expect("a connection in use") {
            Lent::Pg { loan, .. } => Raw::Pg(&mut loan.connection),
            Lent::Lite { connection, .. } => Raw::Lite(connection),
        }
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    fn note(&mut self, error: &sqlx::Error) {
        if database_is_away(error) {
            self.in_doubt = true;
            if let Some(Lent::Pg { loan, .. }) = &self.lent {
                loan.lender.trust.end();
            }
        }
        if storage_is_full(error) {
            FULL.store(uptime().as_millis() as u64 + 1, Ordering::Relaxed);
        }
        // SQLite may have ended the transaction by itself, or not.
        self.in_doubt |=
            storage_is_full(error) || matches!(&self.lent, Some(Lent::Lite { .. }) if is_unclear(error));
    }

    fn answered(&mut self) {
        self.is_busy = false;
    }

    fn is_pooled(&self) -> bool {
        matches!(&self.lent, Some(Lent::Pg { pooled: Some(_), .. }))
    }

    fn is_alone(&self) -> bool {
        self.is_pooled()
    }

    async fn enter(&mut self) -> Result<(), sqlx::Error> {
        self.begin_here().await
    }

    async fn leave(&mut self, succeeded: bool) -> Result<(), sqlx::Error> {
        if self.in_doubt {
            return Ok(()); // It is closed when it goes back, and that ends its transaction.
        }
        let done = self.command(if succeeded { "commit" } else { "rollback" }).await;
        self.in_doubt |= done.is_err();
        self.in_transaction = false;
        done
    }
}

/// Whether SQLite failed in a way after which its transaction may be over: out of memory, interrupted, a failing disk, no
/// room, a broken file (<https://sqlite.org/lang_transaction.html>, "automatic rollback").
fn is_unclear(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let code: Option<i32> = error.code().and_then(|code| code.parse().ok());
    code.is_some_and(|code| matches!(code & 0xff, 7 | 9 | 10 | 11 | 13 | 26))
}

/// A future of the database with a deadline. What does not answer in time counts as an error of the connection.
pub async fn within<T>(
    deadline: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(deadline, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::Io(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "the database did not answer in time",
        ))),
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        let Some(lent) = self.lent.take() else { return };
        let is_good = !(self.in_doubt || self.is_busy || self.in_transaction || self.is_patient);
        let lent = match lent {
            Lent::Pg { loan, .. } if is_good => return loan.give_back(),
            other => other,
        };
        // Without a runtime the process ends, and all connections with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(give_back(lent, self.in_doubt, self.in_transaction, self.is_patient));
        }
    }
}

async fn give_back(mut lent: Lent, in_doubt: bool, in_transaction: bool, is_patient: bool) {
    let returned = async {
        match &mut lent {
            _ if in_doubt => false,
            Lent::Pg { loan: Loan { connection, .. }, pooled } => {
                let ended = !in_transaction || connection.execute("rollback").await.is_ok();
                let reset = !is_patient
                    || pooled.is_some()
                    || connection.execute("reset statement_timeout").await.is_ok();
                if ended && reset {
                    connection.return_to_pool().await;
                }
                ended && reset
            }
            Lent::Lite { connection, .. } => {
                // "No transaction is active" is an error here, and such a connection is not to be trusted either.
                let ended = !in_transaction || connection.execute("rollback").await.is_ok();
                if ended {
                    connection.return_to_pool().await;
                }
                ended
            }
        }
    };
    if !tokio::time::timeout(RETURN, returned).await.unwrap_or(false) {
        match &mut lent {
            Lent::Pg { loan, .. } => loan.connection.close_on_drop(),
            Lent::Lite { connection, .. } => connection.close_on_drop(),
        }
    }
}

/// An open durable transaction. Only what takes one can enqueue a job. Dropped, it rolls back.
pub struct Tx(Conn);

impl Tx {
    /// A text of SQLite's that brings its transaction along is about to run: if it fails, that is rolled back.
    pub(crate) fn open(&mut self) {
        if matches!(self.0.lent, Some(Lent::Lite { .. })) {
            self.0.in_transaction = true;
        }
    }

    /// It ran to its end, with its commit.
    pub(crate) fn close(&mut self) {
        if matches!(self.0.lent, Some(Lent::Lite { .. })) {
            self.0.in_transaction = false;
        }
    }

    /// An error leaves open whether it was committed: what is done after one must be safe to repeat.
    pub async fn commit(mut self) -> Result<()> {
        if !self.0.in_transaction {
            return Ok(()); // Its one statement was committed with its answer.
        }
        let done = self.0.command("commit").await;
        self.0.in_doubt |= done.is_err();
        self.0.in_transaction = false;
        done.map_err(Error::from)
    }
}

impl Querier for Tx {
    fn raw(&mut self) -> Raw<'_> {
        self.0.raw()
    }

    fn deadline(&self) -> Duration {
        self.0.deadline
    }

    fn note(&mut self, error: &sqlx::Error) {
        self.0.note(error);
    }

    fn answered(&mut self) {
        self.0.answered();
    }

    fn is_pooled(&self) -> bool {
        self.0.is_pooled()
    }

    fn is_alone(&self) -> bool {
        false
    }

    async fn enter(&mut self) -> Result<(), sqlx::Error> {
        Ok(())
    }

    async fn leave(&mut self, _succeeded: bool) -> Result<(), sqlx::Error> {
        Ok(())
    }
}
