//! The database: PostgreSQL or SQLite behind one small enum.
//!
//! One SQL text serves both (`$1` placeholders, `on conflict`, `returning`), but for the few words of `dialect`. Three ways in:
//!
//! - [`Db::read`]: a connection for reading;
//! - [`Db::begin`]: a durable transaction: what it commits survives a power cut;
//! - [`Db::relaxed`]: what may be lost by a power cut (never by a kill of the process): claims,
//!   heartbeats, sweeps; and [`Db::begin_whole`] of requests that nobody can come back for. A durable commit costs about 8 ms on common disks, this one none.
//!
//! SQLite has one writer at a time. Its two writing connections take turns by a lock of ours, because SQLite's own
//! waiting is a sleep.

mod conn;
pub(crate) mod dialect;
pub(crate) mod indexes;
mod lend;
mod migrations;
mod postgres;
mod statements;

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions, PgConnection, SqlitePool,
    migrate::MigrateError,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use conn::{Conn, DEADLINE, Durability, LONG_DEADLINE, Querier, Raw, Tx, was_full, within};
pub(crate) use rapport_core::row;
pub use statements::{Listed, Sql, ids, violated};
pub(crate) use statements::{
    column, execute, fetch_all, fetch_one, fetch_optional, from_gathered, run, sql, statements,
};

use crate::error::{Result, database_is_away};
pub use lend::in_background;
use postgres::{ACQUIRE, Pg};
pub use postgres::{Address, PoolSizes};

#[derive(Clone)]
pub enum Db {
    Pg(Pg),
    Lite(Lite),
}

#[derive(Clone)]
pub struct Lite {
    writer: SqlitePool,
    relaxed: SqlitePool,
    reader: SqlitePool,
    gate: Arc<Mutex<()>>,
}

/// How long a writer waits for its turn before SQLite counts as stuck.
const TURN: Duration = Duration::from_secs(30);

statements! {
    APPLIED = "select count(*) from _sqlx_migrations where success";
}

/// PostgreSQL's code for a table that is not there.
const NO_TABLE: &str = "42P01";

/// Said when a database has migrations that this binary does not know.
pub const NEWER: &str = "the database was last used by a newer version of rapport than this one. Use that version, or restore a \
                         backup from before the upgrade";

impl Db {
    /// Opens PostgreSQL. Fails only on a bad URL: connections are made when needed.
    pub fn postgres(address: Address<'_>, sizes: PoolSizes) -> Result<Self, sqlx::Error> {
        Pg::open(address, sizes).map(Self::Pg)
    }

    /// Opens, or makes, the SQLite file.
    pub async fn sqlite(path: &Path) -> Result<Self, sqlx::Error> {
        // Made by us first: SQLite would make it by the umask. Its companions get the file's mode.
        rapport_core::files::open(path).map_err(sqlx::Error::Io)?;
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
            Db::Pg(pg) => {
                let patient = pg.patient();
                let pool = PgPoolOptions::new()
                    .max_connections(1)
                    .acquire_timeout(ACQUIRE)
                    .connect_lazy_with(patient.clone());
                let done = migrations::PG.run(&pool).await;
                pool.close().await;
                match done {
                    Ok(()) => indexes::make(&patient).await.map_err(MigrateError::Execute),
                    failed => failed,
                }
            }
            Db::Lite(lite) => migrations::LITE.run(&lite.writer).await,
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
            Db::Pg(_) => migrations::PG.iter().count(),
            Db::Lite(_) => migrations::LITE.iter().count(),
        };
        let mut conn = self.read().await?;
        let applied = fetch_one!((i64,), &mut conn, APPLIED);
        match applied {
            Ok((applied,)) => Ok(known.checked_sub(applied as usize)),
            // Nothing was ever applied. (SQLite has no code of its own for it.)
            Err(sqlx::Error::Database(error))
                if matches!(self, Db::Lite(_)) || error.code().is_some_and(|code| code == NO_TABLE) =>
            {
                Ok(Some(known))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub async fn read(&self) -> Result<Conn, sqlx::Error> {
        Ok(match self {
            Db::Pg(pg) => Conn::pg(pg.durable.lend().await?, pg, Durability::Durable),
            Db::Lite(lite) => Conn::lite(lite.reader.acquire().await?, None),
        })
    }

    pub async fn relaxed(&self) -> Result<Conn, sqlx::Error> {
        Ok(match self {
            Db::Pg(pg) => Conn::pg(pg.relaxed.lend().await?, pg, Durability::Relaxed),
            Db::Lite(lite) => {
                let turn = lite.turn().await?;
                Conn::lite(lite.relaxed.acquire().await?, Some(turn))
            }
        })
    }

    pub async fn begin(&self) -> Result<Tx, sqlx::Error> {
        match self.durable().await?.begin().await {
            // The connection was lost while it rested. Nothing was done on it: another one may.
            Err(error) if database_is_away(&error) => self.durable().await?.begin().await,
            begun => begun,
        }
    }

    /// Whether several single statements are worth being one: where each is a round trip and a commit.
    pub fn is_grouping(&self) -> bool {
        matches!(self, Db::Pg(pg) if !pg.is_pooled)
    }

    /// The same for what writes with one statement at most, and reads before it at will: on PostgreSQL two round trips less. That
    /// statement is committed when its answer is whole, so it is read to its end (`fetch_all`); an error of it leaves open
    /// whether it was.
    pub async fn begin_single(&self) -> Result<Tx, sqlx::Error> {
        match self {
            Db::Pg(pg) if !pg.is_pooled => Ok(self.durable().await?.single()),
            _ => self.begin().await,
        }
    }

    /// For one text that writes all there is to write, and brings its transaction along ([`crate::whole`]). An error leaves open whether
    /// it was committed.
    pub async fn begin_whole(&self, kind: Durability) -> Result<Tx, sqlx::Error> {
        match self {
            Db::Pg(pg) if pg.is_pooled => match self.writing(kind).await?.begin().await {
                Err(error) if database_is_away(&error) => self.writing(kind).await?.begin().await,
                begun => begun,
            },
            _ => Ok(self.writing(kind).await?.single()),
        }
    }

    async fn writing(&self, kind: Durability) -> Result<Conn, sqlx::Error> {
        match kind {
            Durability::Durable => self.durable().await,
            Durability::Relaxed => self.relaxed().await,
        }
    }

    /// The same for what takes long: deleting much.
    pub async fn begin_patiently(&self) -> Result<Tx, sqlx::Error> {
        let mut conn = self.durable().await?;
        conn.become_patient().await?;
        conn.begin().await
    }

    /// A connection of no pool, for what is held as long as the process lives. PostgreSQL's alone.
    pub async fn separate(&self) -> Result<PgConnection, sqlx::Error> {
        match self {
            Db::Pg(pg) => pg.options.connect().await,
            Db::Lite(_) => Err(sqlx::Error::Configuration("SQLite has one process".into())),
        }
    }

    async fn durable(&self) -> Result<Conn, sqlx::Error> {
        Ok(match self {
            Db::Pg(pg) => Conn::pg(pg.durable.lend().await?, pg, Durability::Durable),
            Db::Lite(lite) => {
                let turn = lite.turn().await?;
                Conn::lite(lite.writer.acquire().await?, Some(turn))
            }
        })
    }

    /// (pool, open, idle) for the metrics.
    pub fn pools(&self) -> Vec<(&'static str, u32, usize)> {
        match self {
            Db::Pg(pg) => [("durable", pg.durable.sizes()), ("relaxed", pg.relaxed.sizes())]
                .map(|(name, (open, idle))| (name, open, idle))
                .to_vec(),
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

impl Lite {
    async fn turn(&self) -> Result<OwnedMutexGuard<()>, sqlx::Error> {
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.gate).lock_owned()).await;
        turn.map_err(|_| sqlx::Error::PoolTimedOut)
    }
}
