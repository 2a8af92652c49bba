//! Who is there: advisory locks of living processes, and what each said of its clock. PostgreSQL's alone: embedded there is
//! one process.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::db::{Conn, Querier, Tx, execute, fetch_all, row, statements};

/// Whether nobody holds the lock of a name.
macro_rules! is_gone {
    ($name:literal) => {
        concat!(
            "not exists (select 1 from pg_locks l where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
        and l.database = (select oid from pg_database where datname = current_database())
        and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(",
            $name,
            ", 1))"
        )
    };
}

statements! {
    /// A process' lock is a number made of its name; 1 keeps it apart from other users of advisory locks.
    ENTER = pg!("select pg_advisory_lock_shared(hashtextextended($1, 1))");
    /// Whoever comes back after a cut says so: two cuts in a row, each met by a look, are no death.
    BACK = pg!("update workers set seen_at = clock_timestamp() where name = $1");
    TIME = pg!("select clock_timestamp()");
    NOTE = pg!("insert into processes (name, role, started_at, seen_at, skew_millis)
    values ($1, $2, clock_timestamp(), clock_timestamp(), $3)
    on conflict (name) do update set seen_at = excluded.seen_at, skew_millis = excluded.skew_millis");
    /// Workers with running jobs whose process is gone, and when each was last seen: one that died in its first moment never was.
    ABSENT = pg!("select h.name, coalesce(w.seen_at, to_timestamp(0)) as seen_at
    from (select distinct worker as name from jobs where status = 'running' and worker is not null) h
    left join workers w on w.name = h.name
    where ", is_gone!("h.name"));
    /// Whose process is gone has no say. One that was cut off, and whose lock the server still holds, has one for so many seconds.
    LEAD = pg!("update sweeper s set name = $1, until = clock_timestamp() + make_interval(secs => $2)
    where s.name = $1 or s.until < clock_timestamp() or ", is_gone!("s.name"));
    RESIGN = pg!("update sweeper set until = clock_timestamp() where name = $1");
    NOTED = "select name, role, seen_at, skew_millis from processes where seen_at >= $1 order by role, name";
    PRUNE = "delete from processes where seen_at < $1";
    /// A row nobody reads: what `/readyz` writes to see that writing works.
    TRY = "insert into processes (name, role, started_at, seen_at, skew_millis) values ($1, 'api', $2, $2, 0)
    on conflict (name) do update set seen_at = excluded.seen_at";
}

/// Says that the process is there, for as long as this connection lives.
pub async fn enter(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query(ENTER.pg()).bind(name).execute(&mut *connection).await?;
    sqlx::query(BACK.pg()).bind(name).execute(connection).await.map(drop)
}

pub async fn time(connection: &mut PgConnection) -> Result<DateTime<Utc>, sqlx::Error> {
    Ok(sqlx::query_as::<_, (DateTime<Utc>,)>(TIME.pg()).fetch_one(connection).await?.0)
}

/// Notes how far a process' clock is ahead of the database's.
pub async fn note(
    connection: &mut PgConnection,
    name: &str,
    role: &str,
    skew: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(NOTE.pg()).bind(name).bind(role).bind(skew).execute(connection).await.map(drop)
}

/// A worker with running jobs whose process holds no lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    pub name: String,
    pub seen_at: DateTime<Utc>,
}

row!(Absent: name, seen_at);

pub async fn absent(q: &mut impl Querier) -> Result<Vec<Absent>, sqlx::Error> {
    fetch_all!(Absent, q, ABSENT)
}

/// Makes a process the one that sweeps for all, or keeps it that for so many seconds more. `false`: another one is.
pub async fn lead(conn: &mut Conn, name: &str, seconds: f64) -> Result<bool, sqlx::Error> {
    Ok(execute!(conn, LEAD, name, seconds)? == 1)
}

/// Lets another one sweep at once.
pub async fn resign(conn: &mut Conn, name: &str) -> Result<(), sqlx::Error> {
    execute!(conn, RESIGN, name).map(drop)
}

/// A process and its clock.
#[derive(Debug, Clone)]
pub struct Noted {
    pub name: String,
    pub role: String,
    pub seen_at: DateTime<Utc>,
    /// How far its machine's clock is ahead of the database's.
    pub skew_millis: i64,
}

row!(Noted: name, role, seen_at, skew_millis);

pub async fn noted(q: &mut impl Querier, since: DateTime<Utc>) -> Result<Vec<Noted>, sqlx::Error> {
    fetch_all!(Noted, q, NOTED, since)
}

pub async fn prune(q: &mut impl Querier, before: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    execute!(q, PRUNE, before)
}

/// Writes something, to see that it can be done.
pub async fn try_writing(tx: &mut Tx, name: &str, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(tx, TRY, name, now).map(drop)
}
