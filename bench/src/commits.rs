//! What one durable commit takes while a load runs: by itself a disk is quicker than beside others.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
    path::Path,
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use crate::{cluster::production, report::Latencies};

/// Between two commits. Few, so that they do not become a load.
const EVERY: Duration = Duration::from_millis(50);
/// A transaction of a kilobyte that touches no table.
const COMMIT: &str = "select pg_logical_emit_message(true, 'rapport-bench', repeat('x', 1000))";

const PAGE: [u8; 8_192] = [7; 8_192];

/// Commits are made and measured until it is ended.
pub struct Commits {
    end: oneshot::Sender<()>,
    measuring: JoinHandle<Result<Latencies, String>>,
}

impl Commits {
    /// Of the PostgreSQL that is measured; embedded, of a file in `folder`.
    pub async fn begin(folder: &Path) -> Result<Self, String> {
        let (end, ended) = oneshot::channel();
        let measuring = match production() {
            Some((database, _)) => {
                let connected = PgConnection::connect(database.as_str()).await;
                tokio::spawn(of_database(connected.map_err(|error| error.to_string())?, ended))
            }
            None => tokio::spawn(of_file(folder.join("commits.tmp"), ended)),
        };
        Ok(Self { end, measuring })
    }

    pub async fn end(self) -> Result<Latencies, String> {
        // Whoever has failed does not listen any more.
        let _failed = self.end.send(());
        self.measuring.await.map_err(|error| error.to_string())?
    }
}

async fn of_database(
    mut connection: PgConnection,
    mut ended: oneshot::Receiver<()>,
) -> Result<Latencies, String> {
    let mut latencies = Latencies::new()?;
    while pause(&mut ended).await {
        let began = Instant::now();
        sqlx::raw_sql(COMMIT).execute(&mut connection).await.map_err(|error| error.to_string())?;
        latencies.add(began.elapsed());
    }
    Ok(latencies)
}

async fn of_file(path: std::path::PathBuf, mut ended: oneshot::Receiver<()>) -> Result<Latencies, String> {
    let mut latencies = Latencies::new()?;
    let mut file = File::create(path).map_err(|error| error.to_string())?;
    // Written again and again in its place, as SQLite writes its log.
    file.write_all(&PAGE).and_then(|()| file.sync_all()).map_err(|error| error.to_string())?;
    while pause(&mut ended).await {
        let began = Instant::now();
        let written = tokio::task::spawn_blocking(move || {
            file.rewind()?;
            file.write_all(&PAGE)?;
            file.sync_data()?;
            Ok::<_, std::io::Error>(file)
        });
        file = written.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        latencies.add(began.elapsed());
    }
    Ok(latencies)
}

/// `false`: it has ended.
async fn pause(ended: &mut oneshot::Receiver<()>) -> bool {
    tokio::time::timeout(EVERY, ended).await.is_err()
}
