//! PostgreSQL and Redis of our own, on free ports, in the run's folder.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rand::Rng;

use crate::process::{Process, tied};

/// Below the range from which the kernel takes ports for outgoing connections: what listens here can come back.
pub fn free_port() -> Result<u16, String> {
    for _ in 0..1_000 {
        let port = rand::rng().random_range(20_000..32_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port is free".to_owned())
}

pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|uid| uid.stdout.trim_ascii() == b"0")
}

/// PostgreSQL runs as another user when we are root.
pub fn open_to_all(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).map_err(|error| error.to_string())
}

/// A folder with a small file system of its own, which can fill up. `None` when we may not mount one.
pub struct SmallDisk {
    pub path: PathBuf,
}

impl SmallDisk {
    pub fn mount(path: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(path).ok()?;
        let mounted = is_root()
            && Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=777"), "tmpfs"])
                .arg(path)
                .status()
                .is_ok_and(|status| status.success());
        mounted.then(|| Self { path: path.to_owned() })
    }

    /// Takes all the room there is.
    pub fn fill(&self) {
        let (path, block) = (self.path.join("filler"), vec![0_u8; 64 * 1_024]);
        if let Ok(mut file) = std::fs::File::options().create(true).append(true).open(path) {
            use std::io::Write;
            while file.write_all(&block).is_ok() {}
            while file.write_all(&block[..512]).is_ok() {}
        }
    }

    pub fn free(&self) {
        let _gone = std::fs::remove_file(self.path.join("filler"));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn program(name: &str) -> Result<PathBuf, String> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).chain(debian).map(|dir| dir.join(name));
    found.find(|path| path.is_file()).ok_or_else(|| format!("{name} is not installed"))
}

fn as_postgres() -> Command {
    let mut command = tied();
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    command
}

/// Waits until a port takes connections.
pub async fn wait_for_port(port: u16, within: Duration) -> Result<(), String> {
    let deadline = Instant::now() + within;
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        if Instant::now() > deadline {
            return Err(format!("nothing listens on port {port}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

pub struct Postgres {
    pub port: u16,
    dir: PathBuf,
    process: Process,
}

impl Postgres {
    pub async fn start(dir: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        open_to_all(dir)?;
        let made = as_postgres()
            .arg(program("initdb")?)
            .args(["-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
            .arg(dir.join("data"))
            .output()
            .map_err(|error| error.to_string())?;
        if !made.status.success() {
            return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr)));
        }
        let port = free_port()?;
        let postgres = Self { port, dir: dir.to_owned(), process: Self::launch(dir, port)? };
        postgres.wait_ready().await?;
        Ok(postgres)
    }

    fn launch(dir: &Path, port: u16) -> Result<Process, String> {
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
        Process::start(command, &dir.with_extension("log"))
    }

    pub async fn wait_ready(&self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.psql("select 1") {
            if Instant::now() > deadline {
                return Err(format!("postgres does not answer:\n{}", self.process.tail(10)));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    fn psql(&self, sql: &str) -> bool {
        let Ok(program) = program("psql") else { return false };
        let port = self.port.to_string();
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-c", sql]);
        command.output().is_ok_and(|output| output.status.success())
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops it at once; open transactions are rolled back.
    pub async fn stop(&mut self) {
        self.process.signal("INT");
        if self.process.wait(Duration::from_secs(20)).await.is_none() {
            self.process.kill();
        }
    }

    pub async fn start_again(&mut self) -> Result<(), String> {
        self.process = Self::launch(&self.dir, self.port)?;
        self.wait_ready().await
    }

    /// As an operator would: when it gave up, for want of room on its disk, it is started again.
    pub async fn revive(&mut self) -> Result<(), String> {
        match self.process.exited() {
            Some(_) => self.start_again().await,
            None => self.wait_ready().await,
        }
    }
}

pub struct Redis {
    pub port: u16,
    dir: PathBuf,
    process: Option<Process>,
}

impl Redis {
    pub async fn start(dir: &Path) -> Result<Self, String> {
        let mut redis = Self { port: free_port()?, dir: dir.to_owned(), process: None };
        redis.start_again().await?;
        Ok(redis)
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Empty, on the same port.
    pub async fn start_again(&mut self) -> Result<(), String> {
        let mut command = tied();
        command.arg(program("redis-server")?).args([
            "--save",
            "",
            "--appendonly",
            "no",
            "--bind",
            "127.0.0.1",
        ]);
        command.args(["--port", &self.port.to_string()]);
        self.process = Some(Process::start(command, &self.dir.join("redis.log"))?);
        wait_for_port(self.port, Duration::from_secs(20)).await
    }

    pub async fn flush(&self) -> Result<(), String> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let connected = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await;
        let mut stream = connected.map_err(|error| error.to_string())?;
        stream.write_all(b"FLUSHALL\r\n").await.map_err(|error| error.to_string())?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.map_err(|error| error.to_string())?;
        Ok(())
    }
}
