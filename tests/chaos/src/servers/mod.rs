//! PostgreSQL and Redis of our own, on free ports, in the run's folder.

mod postgres;
mod redis;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rand::Rng;

use crate::process::tied;

pub use postgres::Postgres;
pub use redis::Redis;

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
