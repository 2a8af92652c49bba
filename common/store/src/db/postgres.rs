//! PostgreSQL's pools, and what differs when a pooler stands in front of it.
//!
//! Through a pooler that lends a session for one transaction (PgBouncer's transaction mode) nothing of a session holds: no
//! settings, no prepared statements, no locks. So there each statement outside a transaction gets one of its own, settings are
//! those of the transaction, and no statement is prepared by name. What needs a session (locks of presence, migrations) goes
//! straight to the server.

use std::{str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions, Connection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    conn::{Trust, within},
    lend::Lender,
};

#[derive(Clone)]
pub struct Pg {
    /// To the server itself.
    pub(super) options: Box<PgConnectOptions>,
    pub(super) durable: Arc<Lender>,
    pub(super) relaxed: Arc<Lender>,
    pub(super) is_pooled: bool,
}

/// Where PostgreSQL is.
#[derive(Debug, Clone, Copy)]
pub struct Address<'a> {
    pub url: &'a str,
    /// The server itself, when `url` is a pooler's that lends sessions by the transaction.
    pub direct: Option<&'a str>,
}

impl<'a> From<&'a str> for Address<'a> {
    /// The server itself.
    fn from(url: &'a str) -> Self {
        Self { url, direct: None }
    }
}

/// How many connections one process may open. PostgreSQL allows 100 by default, and is quickest with a few for each processor.
pub struct PoolSizes {
    pub durable: u32,
    pub relaxed: u32,
}

/// How long a request waits for a connection before the database counts as away.
pub(super) const ACQUIRE: Duration = Duration::from_secs(3);
/// How long a connection that rested may take to show that it lives.
pub(super) const PING: Duration = Duration::from_secs(1);

/// What PostgreSQL does by itself for clients that are gone without a word, so that nothing holds a session or a row
/// for longer than about ten seconds: it ends statements and transactions that nobody goes on with, and asks the network.
const SESSION: [(&str, &str); 6] = [
    ("statement_timeout", "6000"),
    ("idle_in_transaction_session_timeout", "5000"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "10000"),
];

/// How a transaction begins through a pooler: what [`SESSION`] says of time, for this transaction.
macro_rules! begin {
    ($statement_timeout:literal $(, $more:literal)*) => {
        concat!("begin; set local statement_timeout = ", $statement_timeout,
            "; set local idle_in_transaction_session_timeout = 5000" $(, "; set local ", $more)*)
    };
}
pub(super) const BEGIN_POOLED: &str = begin!(6000);
pub(super) const BEGIN_POOLED_PATIENT: &str = begin!(600_000);
pub(super) const BEGIN_POOLED_RELAXED: &str = begin!(6000, "synchronous_commit = off");

impl Pg {
    /// Fails only on a bad URL: connections are made when needed.
    pub fn open(address: Address<'_>, sizes: PoolSizes) -> Result<Self, sqlx::Error> {
        let to = |url: &str| {
            Ok::<_, sqlx::Error>(
                PgConnectOptions::from_str(url)?
                    .application_name("rapport")
                    .log_slow_statements(log::LevelFilter::Warn, Duration::from_secs(1)),
            )
        };
        let options = to(address.direct.unwrap_or(address.url))?.options(SESSION);
        let trust = Arc::new(Trust::default());
        let (durable, relaxed) = if address.direct.is_some() {
            // PgBouncer refuses what it does not know of at the start of a connection.
            let through = to(address.url)?.extra_float_digits(None).statement_cache_capacity(0);
            (through.clone(), through)
        } else {
            (options.clone(), options.clone().options([("synchronous_commit", "off")]))
        };
        let lender =
            |size, options| Lender::new(pool(size, &trust).connect_lazy_with(options), Arc::clone(&trust));
        Ok(Self {
            durable: lender(sizes.durable, durable),
            relaxed: lender(sizes.relaxed, relaxed),
            options: Box::new(options),
            is_pooled: address.direct.is_some(),
        })
    }

    /// For what may take long, or wait long for another process.
    pub(super) fn patient(&self) -> PgConnectOptions {
        let without = [("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")];
        self.options.as_ref().clone().options(without)
    }
}

fn pool(size: u32, trust: &Arc<Trust>) -> PgPoolOptions {
    let trust = Arc::clone(trust);
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(Duration::from_secs(600))
        // A ping before every use costs a round trip each; one after a second of rest finds a connection
        // that a restarted server has closed, or that has gone silent.
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            let trust = Arc::clone(&trust);
            Box::pin(async move {
                if !trust.covers(meta.age) {
                    return Ok(false);
                }
                if meta.idle_for > Duration::from_secs(1) && within(PING, connection.ping()).await.is_err() {
                    trust.end();
                    return Ok(false);
                }
                Ok(true)
            })
        })
}
