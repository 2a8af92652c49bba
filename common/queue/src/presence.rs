//! What a process tells and hears all the time: that it lives, and what time it is.
//!
//! On PostgreSQL each process holds an advisory lock of its name on a connection of its own, for as long as it lives. When it
//! dies, however it dies, its kernel closes the connection, PostgreSQL lets go of the lock, and others see at once that it
//! is gone: the sweeper takes its jobs back within seconds instead of waiting for their leases. The lock is a shared one:
//! a connection that went silent may hold it for a while, and the new one takes it beside it. It goes to the server itself,
//! past a pooler.
//!
//! The same connection asks for the time twice a second (see [`clock`]). It is the first to know when the link to the
//! database is gone: it is closed and made again after a second and a half of silence.

use std::{
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use rand::Rng;
use sqlx::PgConnection;
use tokio::{sync::watch, time::Instant};

use crate::{
    clock,
    store::{Db, presence as store},
    telemetry::metrics::METRICS,
};

/// Between two questions. A cut is noticed at the next, so this, and the time to connect, must stay well below the 1.2 s of
/// absence after which the sweeper of another process takes this one for dead.
const PERIOD: Duration = Duration::from_millis(500);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_millis(1_500);
/// How long connecting and taking the lock may take.
const ENTER: Duration = Duration::from_secs(3);
/// After a failure to connect.
const REST: Duration = Duration::from_millis(300);
/// Questions between two notes of how far off this machine's clock is.
const NOTE_EVERY: u32 = 20;
/// From here on a machine's clock is worth a warning: nothing of ours goes by it, but logs do.
const FAR_OFF_MILLIS: i64 = 2_000;

/// Whether this process has been present once.
static ENTERED: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// Waits until others can see that this process lives, for three seconds at most: who takes jobs before could be taken for
/// dead. Embedded, there are no others.
pub async fn entered(db: &Db) {
    if let Db::Lite(_) = db {
        return;
    }
    let mut states = ENTERED.subscribe();
    let _in_vain = tokio::time::timeout(ENTER, states.wait_for(|entered| *entered)).await;
}

/// Unique to this start of this process: `host-pid-random`.
pub fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "host".to_owned());
        let random: u32 = rand::rng().random();
        format!("{}-{}-{random:08x}", host.trim(), std::process::id())
    })
}

/// Must be called inside a Tokio runtime: starts the task, which lives as long as the process. `role` is for people to read.
pub fn start(db: Db, role: &'static str) {
    tokio::spawn(async move {
        let mut warned = false;
        loop {
            match &db {
                Db::Pg(_) => match enter(&db).await {
                    // Connected again at once: who is back soon is not missed.
                    Ok(connection) => {
                        if let Err(error) = ask_the_time(connection, role, &mut warned).await {
                            tracing::debug!(%error, "the link to the database broke, connecting again");
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%error, "no link to the database, trying again");
                        tokio::time::sleep(REST).await;
                    }
                },
                // One process, and its own clock.
                Db::Lite(_) => {
                    clock::learn(Instant::now(), clock::of_this_machine());
                    tokio::time::sleep(PERIOD).await;
                }
            }
        }
    });
}

async fn in_time<T>(
    deadline: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    crate::store::db::within(deadline, answer).await
}

/// Connects and takes the lock, which is held until the connection closes.
async fn enter(db: &Db) -> Result<PgConnection, sqlx::Error> {
    let connection = in_time(ENTER, async {
        let mut connection = db.separate().await?;
        store::enter(&mut connection, name()).await?;
        Ok(connection)
    })
    .await?;
    ENTERED.send_replace(true);
    Ok(connection)
}

/// Asks for the time until the connection fails.
async fn ask_the_time(
    mut connection: PgConnection,
    role: &str,
    warned: &mut bool,
) -> Result<(), sqlx::Error> {
    for question in 0u32.. {
        let asked = Instant::now();
        let time = in_time(ANSWER, store::time(&mut connection)).await?;
        clock::learn(asked, time);
        let skew = clock::skew().num_milliseconds();
        METRICS.clock_ahead.with_label_values::<&str>(&[]).set(skew);
        warn_once(skew, warned);
        if question.is_multiple_of(NOTE_EVERY) {
            in_time(ANSWER, store::note(&mut connection, name(), role, skew)).await?;
        }
        tokio::time::sleep(PERIOD).await;
    }
    Ok(())
}

fn warn_once(skew: i64, warned: &mut bool) {
    let is_far = skew.abs() >= FAR_OFF_MILLIS;
    if is_far && !*warned {
        tracing::warn!(
            ahead_by_millis = skew,
            "this machine's clock is not the database's: rapport goes by the database's, but logs here do not"
        );
    }
    *warned = is_far;
}
