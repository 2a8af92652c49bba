//! The database: PostgreSQL or SQLite behind one small enum.
//!
//! One SQL text serves both (`$1` placeholders, `on conflict`, `returning`); the macros at the end run it on
//! whichever is open. Three ways in:
//!
//! - [`Db::read`]: a connection for reading;
//! - [`Db::begin`]: a durable transaction: what it commits survives a power cut;
//! - [`Db::relaxed`]: a connection whose single statements may be lost by a power cut (never by a kill of the
//!   process): claims, heartbeats, sweeps. A durable commit costs about 8 ms on common disks, this one none.
//!
//! SQLite has one writer at a time. Its two writing connections take turns by a lock of ours, because SQLite's own
//! waiting is a sleep.

use std::{path::Path, str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool, Transaction,
    migrate::MigrateError,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    error::{Error, Result},
    files,
};

#[derive(Clone)]
pub enum Db {
    Pg(Pg),
    Lite(Lite),
}

#[derive(Clone)]
pub struct Pg {
    durable: PgPool,
    relaxed: PgPool,
}

#[derive(Clone)]
pub struct Lite {
    writer: SqlitePool,
    relaxed: SqlitePool,
    reader: SqlitePool,
    gate: Arc<Mutex<()>>,
}

/// How many connections one process may open. PostgreSQL allows 100 by default: twenty a process leaves room.
pub struct PoolSizes {
    pub durable: u32,
    pub relaxed: u32,
}

/// How long a request waits for a connection before the database counts as away.
const ACQUIRE: Duration = Duration::from_secs(3);

/// Said when a database has migrations that this binary does not know.
pub const NEWER: &str = "the database was last used by a newer version of rapport than this one. Use that version, or restore a \
                         backup from before the upgrade";

static PG_MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/postgres");
static LITE_MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/sqlite");

impl Db {
    /// Opens PostgreSQL. Fails only on a bad URL: connections are made when needed.
    pub fn postgres(url: &str, sizes: PoolSizes) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("rapport")
            .log_slow_statements(log::LevelFilter::Warn, Duration::from_secs(1));
        let pool = |size: u32| {
            PgPoolOptions::new()
                .max_connections(size)
                .acquire_timeout(ACQUIRE)
                .idle_timeout(Duration::from_secs(600))
                // A ping before every use costs a round trip each; one after a second of rest finds a connection
                // that a restarted server has closed.
                .test_before_acquire(false)
                .before_acquire(|connection, meta| {
                    Box::pin(async move {
                        if meta.idle_for > Duration::from_secs(1) {
                            sqlx::Connection::ping(connection).await?;
                        }
                        Ok(true)
                    })
                })
        };
        let durable = pool(sizes.durable).connect_lazy_with(options.clone());
        let relaxed = pool(sizes.relaxed).connect_lazy_with(options.options([("synchronous_commit", "off")]));
        Ok(Self::Pg(Pg { durable, relaxed }))
    }

    /// Opens, or makes, the SQLite file.
    pub async fn sqlite(path: &Path) -> Result<Self, sqlx::Error> {
        // Made by us first: SQLite would make it by the umask. Its companions get the file's mode.
        files::open(path).map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .log_slow_statements(log::LevelFilter::Warn, Duration::from_secs(1));
        let one = |options: SqliteConnectOptions| {
            SqlitePoolOptions::new()
                .max_connections(1)
                .acquire_timeout(Duration::from_secs(30))
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .connect_with(options)
        };
        let writer = one(options.clone().synchronous(SqliteSynchronous::Full)).await?;
        let relaxed = one(options.clone().synchronous(SqliteSynchronous::Normal)).await?;
        let reader = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(30))
            .test_before_acquire(false)
            .connect_with(options.read_only(true))
            .await?;
        Ok(Self::Lite(Lite { writer, relaxed, reader, gate: Arc::new(Mutex::new(())) }))
    }

    /// Opens a SQLite file without changing it, or making anything beside it.
    pub async fn sqlite_to_look_at(path: &Path) -> Result<Self, sqlx::Error> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        // Without a log nobody writes, and the file is all there is; reading it in the usual way would make a log.
        let nobody_writes = !Path::new(&log).exists();
        let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(nobody_writes);
        let reader = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        let (writer, relaxed) = (reader.clone(), reader.clone());
        Ok(Self::Lite(Lite { writer, relaxed, reader, gate: Arc::new(Mutex::new(())) }))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Db::Pg(_) => "postgresql",
            Db::Lite(_) => "sqlite",
        }
    }

    /// Brings the schema up to date. Safe to run from many processes at once. What went wrong is said for operators.
    pub async fn migrate(&self) -> Result<(), String> {
        let done = match self {
            Db::Pg(pg) => PG_MIGRATIONS.run(&pg.durable).await,
            Db::Lite(lite) => LITE_MIGRATIONS.run(&lite.writer).await,
        };
        done.map_err(|error| match error {
            MigrateError::VersionMissing(_) => NEWER.to_owned(),
            MigrateError::VersionMismatch(version) => format!(
                "the database was made by another build of rapport: its migration {version} is not this build's. Use \
                 the version that made it, or restore a backup"
            ),
            MigrateError::Dirty(version) => format!(
                "migration {version} was interrupted half way: restore the backup from before it"
            ),
            other => format!("the database's schema could not be brought up to date: {other}"),
        })
    }

    /// How many migrations this binary knows that the database lacks. 0 when the schema is current; `None` when the
    /// database is newer than the binary.
    pub async fn missing_migrations(&self) -> Result<Option<usize>> {
        let known = match self {
            Db::Pg(_) => PG_MIGRATIONS.iter().count(),
            Db::Lite(_) => LITE_MIGRATIONS.iter().count(),
        };
        const APPLIED: &str = "select count(*) from _sqlx_migrations where success";
        let mut conn = self.read().await?;
        let applied: Result<(i64,), sqlx::Error> = match conn.raw() {
            Raw::Pg(c) => sqlx::query_as(APPLIED).fetch_one(c).await,
            Raw::Lite(c) => sqlx::query_as(APPLIED).fetch_one(c).await,
        };
        match applied {
            Ok((applied,)) => Ok(known.checked_sub(applied as usize)),
            Err(sqlx::Error::Database(_)) => Ok(Some(known)), // no such table: nothing was ever applied
            Err(error) => Err(error.into()),
        }
    }

    pub async fn read(&self) -> Result<Conn, sqlx::Error> {
        Ok(match self {
            Db::Pg(pg) => Conn::Pg(pg.durable.acquire().await?),
            Db::Lite(lite) => Conn::Lite(lite.reader.acquire().await?, None),
        })
    }

    pub async fn relaxed(&self) -> Result<Conn, sqlx::Error> {
        Ok(match self {
            Db::Pg(pg) => Conn::Pg(pg.relaxed.acquire().await?),
            Db::Lite(lite) => {
                let turn = lite.gate.clone().lock_owned().await;
                Conn::Lite(lite.relaxed.acquire().await?, Some(turn))
            }
        })
    }

    pub async fn begin(&self) -> Result<Tx, sqlx::Error> {
        Ok(match self {
            Db::Pg(pg) => Tx::Pg(pg.durable.begin().await?),
            Db::Lite(lite) => {
                let turn = lite.gate.clone().lock_owned().await;
                Tx::Lite(lite.writer.begin_with("begin immediate").await?, turn)
            }
        })
    }

    /// (pool, open, idle) for the metrics.
    pub fn pools(&self) -> Vec<(&'static str, u32, usize)> {
        match self {
            Db::Pg(pg) => vec![
                ("durable", pg.durable.size(), pg.durable.num_idle()),
                ("relaxed", pg.relaxed.size(), pg.relaxed.num_idle()),
            ],
            Db::Lite(lite) => vec![
                ("writer", lite.writer.size(), lite.writer.num_idle()),
                ("relaxed", lite.relaxed.size(), lite.relaxed.num_idle()),
                ("reader", lite.reader.size(), lite.reader.num_idle()),
            ],
        }
    }

    pub async fn close(&self) {
        match self {
            Db::Pg(pg) => {
                pg.durable.close().await;
                pg.relaxed.close().await;
            }
            Db::Lite(lite) => {
                lite.reader.close().await;
                lite.relaxed.close().await;
                lite.writer.close().await;
            }
        }
    }
}

/// The connection itself, of whichever database is open.
pub enum Raw<'c> {
    Pg(&'c mut PgConnection),
    Lite(&'c mut SqliteConnection),
}

/// What a query can run on: a connection or an open transaction.
pub trait Querier: Send {
    fn raw(&mut self) -> Raw<'_>;
}

pub enum Conn {
    Pg(PoolConnection<Postgres>),
    Lite(PoolConnection<Sqlite>, Option<OwnedMutexGuard<()>>),
}

impl Querier for Conn {
    fn raw(&mut self) -> Raw<'_> {
        match self {
            Conn::Pg(connection) => Raw::Pg(connection),
            Conn::Lite(connection, _) => Raw::Lite(connection),
        }
    }
}

/// An open durable transaction. Only what takes one can enqueue a job. Dropped, it rolls back.
pub enum Tx {
    Pg(Transaction<'static, Postgres>),
    Lite(Transaction<'static, Sqlite>, OwnedMutexGuard<()>),
}

impl Tx {
    pub async fn commit(self) -> Result<()> {
        match self {
            Tx::Pg(transaction) => transaction.commit().await.map_err(Error::from),
            Tx::Lite(transaction, _turn) => transaction.commit().await.map_err(Error::from),
        }
    }
}

impl Querier for Tx {
    fn raw(&mut self) -> Raw<'_> {
        match self {
            Tx::Pg(transaction) => Raw::Pg(transaction),
            Tx::Lite(transaction, _) => Raw::Lite(transaction),
        }
    }
}

/// A statement whose text differs between the databases; what is bound to it does not.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    pub pg: &'static str,
    pub lite: &'static str,
}

impl Pair {
    /// The text for the database that is open.
    pub fn of(self, querier: &mut impl Querier) -> &'static str {
        match querier.raw() {
            Raw::Pg(_) => self.pg,
            Raw::Lite(_) => self.lite,
        }
    }
}

/// A list of ids as one bound value: JSON, for [`any_id`].
pub fn ids<T: Copy + Into<uuid::Uuid>>(ids: impl IntoIterator<Item = T>) -> sqlx::types::Json<Vec<String>> {
    sqlx::types::Json(ids.into_iter().map(|id| id.into().simple().to_string()).collect())
}

/// `any_id!(["select … where id in "] 2 [" and …"])`: a [`Pair`] in which parameter 2 is a list of [`ids`].
macro_rules! any_id {
    ([$($before:expr),*] $n:literal [$($after:expr),*]) => {
        $crate::store::db::Pair {
            pg: concat!($($before,)* "(select x::uuid from jsonb_array_elements_text($", $n, ") x)" $(, $after)*),
            lite: concat!($($before,)* "(select unhex(value) from json_each($", $n, "))" $(, $after)*),
        }
    };
}

/// The name of the unique constraint or index a statement ran into.
pub fn violated(error: &sqlx::Error) -> Option<String> {
    let database = error.as_database_error()?;
    if !database.is_unique_violation() {
        return None;
    }
    // SQLite names the columns instead: "UNIQUE constraint failed: users.email" is our index `users_email`.
    Some(match database.constraint() {
        Some(name) => name.to_owned(),
        None => database.message().rsplit(": ").next().unwrap_or_default().replace('.', "_"),
    })
}

/// Binds every value to `$sql` and runs `$method` of it on the open database.
macro_rules! run {
    ($querier:expr, $query:expr, $method:ident $(, $bind:expr)* $(,)?) => {
        match $crate::store::db::Querier::raw($querier) {
            $crate::store::db::Raw::Pg(c) => $query$(.bind($bind))*.$method(c).await,
            $crate::store::db::Raw::Lite(c) => $query$(.bind($bind))*.$method(c).await,
        }
    };
}

/// `execute!(querier, SQL, binds…)`: the number of rows changed.
macro_rules! execute {
    ($querier:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $crate::store::db::Querier::raw($querier) {
            $crate::store::db::Raw::Pg(c) => sqlx::query($sql)$(.bind($bind))*.execute(c).await.map(|done| done.rows_affected()),
            $crate::store::db::Raw::Lite(c) => sqlx::query($sql)$(.bind($bind))*.execute(c).await.map(|done| done.rows_affected()),
        }
    };
}

/// `fetch_optional!(Row, querier, SQL, binds…)`.
macro_rules! fetch_optional {
    ($row:ty, $querier:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::db::run!($querier, sqlx::query_as::<_, $row>($sql), fetch_optional $(, $bind)*)
    };
}

/// `fetch_one!(Row, querier, SQL, binds…)`.
macro_rules! fetch_one {
    ($row:ty, $querier:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::db::run!($querier, sqlx::query_as::<_, $row>($sql), fetch_one $(, $bind)*)
    };
}

/// `fetch_all!(Row, querier, SQL, binds…)`.
macro_rules! fetch_all {
    ($row:ty, $querier:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::db::run!($querier, sqlx::query_as::<_, $row>($sql), fetch_all $(, $bind)*)
    };
}

pub(crate) use {any_id, execute, fetch_all, fetch_one, fetch_optional, run};
