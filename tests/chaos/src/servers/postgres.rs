//! A PostgreSQL of our own, and a replica that can take its place.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use super::{as_postgres, free_port, open_to_all, program};
use crate::{
    process::Process,
    proxy::{Link, Mode},
};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Postgres {
    pub port: u16,
    dir: PathBuf,
    /// Of every server there was, and not on the disk that fills up.
    pub log: PathBuf,
    process: Process,
}

/// Follows the primary over a link of its own, asynchronously.
pub struct Replica {
    server: Postgres,
    link: Link,
}

fn run(mut command: Command, what: &str) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{what}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr)))
}

impl Postgres {
    pub async fn start(dir: &Path, log: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        open_to_all(dir)?;
        let mut initdb = as_postgres();
        initdb
            .arg(program("initdb")?)
            .args(["-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
            .arg(dir.join("data"));
        run(initdb, "initdb")?;
        Self::serve(dir, log).await
    }

    async fn serve(dir: &Path, log: &Path) -> Result<Self, String> {
        let port = free_port()?;
        let process = Self::launch(dir, log, port)?;
        let postgres = Self { port, dir: dir.to_owned(), log: log.to_owned(), process };
        postgres.wait_ready().await?;
        Ok(postgres)
    }

    fn launch(dir: &Path, log: &Path, port: u16) -> Result<Process, String> {
        let mut command = as_postgres();
        command.arg(program("postgres")?).arg("-D").arg(dir.join("data"));
        command.args(["-p", &port.to_string(), "-k"]).arg(dir);
        // We ask about processes and networks, not about power cuts: no fsync. The rest keeps it small, for the full disk.
        let settings = [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "max_connections=200",
            "max_wal_size=64MB",
            "min_wal_size=32MB",
        ];
        for setting in settings {
            command.args(["-c", setting]);
        }
        Process::start(command, log)
    }

    pub async fn wait_ready(&self) -> Result<(), String> {
        self.wait_until("select true").await
    }

    /// Waits until a question is answered with yes.
    async fn wait_until(&self, sql: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.psql(sql);
            if said.as_deref() == Ok("t") {
                return Ok(());
            }
            if Instant::now() > deadline {
                let tail = self.process.tail(10);
                return Err(format!("postgres does not say yes to `{sql}`, but {said:?}:\n{tail}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn psql(&self, sql: &str) -> Result<String, String> {
        let mut command = Command::new(program("psql")?);
        let port = self.port.to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-Atc", sql]);
        run(command, "psql")
    }

    /// Everything in it, as SQL.
    pub fn dump(&self, into: &Path) -> Result<(), String> {
        let mut command = Command::new(program("pg_dump")?);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", "-f"]).arg(into);
        run(command, "pg_dump").map(drop)
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops it at once; open transactions are rolled back.
    pub async fn stop(&mut self) {
        self.signal("INT").await;
    }

    /// As if its machine were gone: nothing is finished, and no replica gets another byte.
    pub async fn die(&mut self) {
        self.signal("QUIT").await;
    }

    async fn signal(&mut self, signal: &str) {
        self.process.signal(signal);
        if self.process.wait(Duration::from_secs(20)).await.is_none() {
            self.process.kill();
        }
    }

    pub async fn start_again(&mut self) -> Result<(), String> {
        self.process = Self::launch(&self.dir, &self.log, self.port)?;
        self.wait_ready().await
    }

    /// As an operator would: when it gave up, for want of room on its disk, it is started again.
    pub async fn revive(&mut self) -> Result<(), String> {
        match self.process.exited() {
            Some(_) => self.start_again().await,
            None => self.wait_ready().await,
        }
    }

    /// A replica that is caught up and goes on following.
    pub async fn replica(&self) -> Result<Replica, String> {
        let link = Link::start(free_port()?, self.port).await?;
        let (port, dir) = (link.port.to_string(), self.dir.with_file_name(format!("pg-{}", link.port)));
        std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
        open_to_all(&dir)?;
        let mut copy = as_postgres();
        copy.arg(program("pg_basebackup")?)
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-c", "fast", "--no-sync", "-R", "-D"])
            .arg(dir.join("data"));
        // It reads through our own link: this thread must not wait for it.
        let copied = tokio::task::spawn_blocking(move || run(copy, "pg_basebackup")).await;
        copied.map_err(|error| error.to_string())??;
        let server = Self::serve(&dir, &self.log).await?;
        self.wait_until("select count(*) = 1 from pg_stat_replication where state = 'streaming'").await?;
        let replica = Replica { server, link };
        replica.catch_up(self).await?;
        Ok(replica)
    }
}

impl Replica {
    /// Waits until it has all that was committed before this call.
    pub async fn catch_up(&self, primary: &Postgres) -> Result<(), String> {
        let written = primary.psql("select pg_current_wal_insert_lsn()")?;
        self.server.wait_until(&format!("select pg_last_wal_replay_lsn() >= '{written}'")).await
    }

    /// From now on it gets nothing more, and nobody notices.
    pub fn fall_behind(&self) {
        self.link.set(Mode::Swallow);
    }

    /// Takes the place of a primary that is gone.
    pub async fn promote(self) -> Result<Postgres, String> {
        self.server.psql("select pg_promote()")?;
        self.server.wait_until("select not pg_is_in_recovery()").await?;
        Ok(self.server)
    }
}

impl Drop for Postgres {
    /// The room that it takes is another's, when a replica took its place.
    fn drop(&mut self) {
        self.process.kill();
        let _gone = std::fs::remove_dir_all(&self.dir);
    }
}
