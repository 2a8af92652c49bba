//! Indexes that are made after the migrations, one at a time, while the service works: on a table of millions of rows a plain
//! `create index` keeps writers out for as long as it takes. PostgreSQL's alone; SQLite's stand in its migrations.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::Instant;
use uuid::Uuid;

use super::statements;

/// Name, and what is indexed.
const INDEXES: [(&str, &str); 12] = [
    // Deleting a session looks for its jobs.
    ("jobs_session", "jobs (session_id)"),
    // Erasing an account, and counting what it has, looks for its messages.
    ("messages_user", "messages (user_id)"),
    // What ended in the last minute.
    ("jobs_ended", "jobs (finished_at) where finished_at is not null"),
    ("jobs_dead", "jobs (id) where status = 'failed'"),
    // Erasing an account looks for other versions of answers.
    ("message_variants_user", "message_variants (user_id)"),
    ("audit_log_event", "audit_log (event, id desc)"),
    // A user's sessions by when they were active, to the hour: what is said within it writes to no index.
    ("sessions_active", "sessions (user_id, active_hour desc)"),
    // How many there are of each: with the columns that lists filter by, so that counting reads no rows.
    ("memories_status", "memories (user_id, status, memory_type)"),
    // The sweep looks for those that nobody reads any more.
    ("files_unread", "files (id) where status in ('queued', 'reading')"),
    // What a list of jobs is asked for and hardly any job is (`jobs::list`). What goes well writes to none of them.
    ("jobs_unwell", "jobs (user_id, id desc) where status in ('failed', 'cancelled')"),
    (
        "jobs_rare",
        "jobs (user_id, kind, id desc) where kind not in ('chat', 'title', 'memory_extraction', 'embedding')",
    ),
    // A session's open jobs, in order.
    ("jobs_open", "jobs (session_id, session_order) where finished_at is null and session_order is not null"),
];

/// Those that went. Jobs that run are few, and `jobs_worker` has them all: what asks for old leases reads it. So a lease is renewed
/// within its page (HOT), and a claim writes one index less. `sessions_active` is in the place of `sessions_user`,
/// `memories_status` of `memories_pending`, and `jobs_open` of `jobs_session_open`.
const GONE: [&str; 4] = ["jobs_leases", "sessions_user", "memories_pending", "jobs_session_open"];

/// Who makes them holds this lock: a number of ours.
const LOCK: i64 = 0x0072_6170_706f_7274;
/// How long another process may take to make them.
const OTHERS: Duration = Duration::from_secs(3_600);
/// Sessions whose hour is filled in at once.
const FILLED: i64 = 500;

statements! {
    TAKE_TURN = pg!("select pg_try_advisory_lock($1)");
    IS_VALID = pg!("select indisvalid from pg_index where indexrelid = to_regclass($1)");
    /// Goes on after the session $1, with $2 of them: gives the last. Those that somebody writes to in this moment were active just now, as the
    /// column's default says.
    FILL_HOURS = pg!("with part as (select id from sessions where id > $1 and active_hour is distinct from ", hour!("updated_at"), "
            order by id limit $2 for no key update skip locked),
        filled as (update sessions set active_hour = ", hour!("updated_at"), " where id in (select id from part))
        select id from part order by id desc limit 1");
    /// A message is of its session's user, and goes with the session: a check of its own says nothing more. Whether there is one:
    HAS_USER_CHECK = pg!("select count(*) from pg_constraint where conname = 'messages_user_id_fkey' and conrelid = to_regclass('messages')");
}

/// Makes those that are missing. One that was cut off half way is made again.
pub async fn make(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    wait_for_turn(&mut connection).await?;
    for (name, what) in INDEXES {
        match is_valid(&mut connection, name).await? {
            Some(true) => continue,
            Some(false) => run(&mut connection, format!("drop index concurrently {name}")).await?,
            None => {}
        }
        if name == "sessions_active" {
            fill_hours(&mut connection).await?;
        }
        run(&mut connection, format!("create index concurrently {name} on {what}")).await?;
    }
    for name in GONE {
        if is_valid(&mut connection, name).await?.is_some() {
            run(&mut connection, format!("drop index concurrently {name}")).await?;
        }
    }
    let (checks,): (i64,) = sqlx::query_as(HAS_USER_CHECK.pg()).fetch_one(&mut connection).await?;
    if checks > 0 {
        run(&mut connection, "set lock_timeout = '1s'".to_owned()).await?;
        // While somebody reads for long, all would stand behind this: the next start tries again.
        let dropped = "alter table messages drop constraint if exists messages_user_id_fkey".to_owned();
        let _next_time = run(&mut connection, dropped).await;
    }
    connection.close().await
}

/// Asks again and again instead of waiting: a session that waits for a lock holds a snapshot, and whoever makes an index waits
/// for that.
async fn wait_for_turn(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let deadline = Instant::now() + OTHERS;
    loop {
        let (mine,): (bool,) = sqlx::query_as(TAKE_TURN.pg()).bind(LOCK).fetch_one(&mut *connection).await?;
        if mine {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(sqlx::Error::PoolTimedOut);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Of sessions that older versions left, when they were active: some at a time, so that nobody waits long for a row.
async fn fill_hours(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut last = Uuid::nil();
    loop {
        let filled =
            sqlx::query_as(FILL_HOURS.pg()).bind(last).bind(FILLED).fetch_optional(&mut *connection).await?;
        let Some((id,)) = filled else { return Ok(()) };
        last = id;
    }
}

/// Whether an index is whole; `None`: there is none.
async fn is_valid(connection: &mut PgConnection, name: &str) -> Result<Option<bool>, sqlx::Error> {
    let row: Option<(bool,)> = sqlx::query_as(IS_VALID.pg()).bind(name).fetch_optional(connection).await?;
    Ok(row.map(|row| row.0))
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    // Names of ours alone.
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}
