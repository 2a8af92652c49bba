//! A PostgreSQL and Redis servers of our own, on free ports, in a temporary folder.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::{Duration, Instant},
};

use super::process::Process;

/// Where this run keeps everything; `./test` removes it afterwards.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let base = std::env::var_os("RAPPORT_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = base.join(format!("rapport-it-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        open_to_all(&folder);
        folder
    })
}

/// PostgreSQL runs as another user when we are root.
pub(super) fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

pub fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

pub(super) fn program(name: &str) -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).chain(debian).map(|dir| dir.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: ./test installs it on Debian, as root"))
}

fn is_root() -> bool {
    let uid = Command::new("id").arg("-u").output().unwrap();
    uid.stdout.trim_ascii() == b"0"
}

/// Runs a program of PostgreSQL's, which refuses to run as root.
pub(super) fn as_postgres() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    command
}

pub struct Postgres {
    pub port: u16,
    dir: PathBuf,
    process: Process,
}

impl Postgres {
    /// The one that all tests share, each in a database of its own.
    pub fn shared() -> &'static Postgres {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Postgres::start)
    }

    /// One of its own, for tests that stop it.
    pub fn start() -> Self {
        let dir = folder().join(unique("pg"));
        std::fs::create_dir_all(&dir).unwrap();
        open_to_all(&dir);
        let made = as_postgres()
            .arg(program("initdb"))
            .args(["-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
            .arg(dir.join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let process = Self::launch(&dir, port);
        let postgres = Self { port, dir, process };
        postgres.wait_ready();
        postgres
    }

    fn launch(dir: &Path, port: u16) -> Process {
        Process::start_by(as_postgres(), "postgres", &program("postgres"), &dir.join("log"), |command| {
            command.arg("-D").arg(dir.join("data")).arg("-p").arg(port.to_string()).arg("-k").arg(dir);
            // The tests ask about killed processes, not about power cuts: no fsync.
            for setting in ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=400"] {
                command.args(["-c", setting]);
            }
        })
    }

    fn wait_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.psql("postgres", "select 1") {
            assert!(Instant::now() < deadline, "postgres does not answer:\n{}", self.process.output());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn psql(&self, database: &str, sql: &str) -> bool {
        let port = self.port.to_string();
        let arguments = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", database, "-c", sql];
        Command::new(program("psql")).args(arguments).output().unwrap().status.success()
    }

    pub fn create_database(&self) -> String {
        self.create(&unique("rapport_test"), "")
    }

    fn create(&self, name: &str, how: &str) -> String {
        assert!(self.psql("postgres", &format!("create database {name} {how}")));
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// One of the shared server's with the schema as it is now: a copy of one that was made once, since each migration costs.
    pub fn migrated_database() -> String {
        static TEMPLATE: OnceLock<String> = OnceLock::new();
        let server = Self::shared();
        let template = TEMPLATE.get_or_init(|| {
            let url = server.create_database();
            migrate(&[("DATABASE_URL", &url), ("REDIS_URL", "redis://127.0.0.1:1")]);
            url.rsplit('/').next().unwrap().to_owned()
        });
        server.create(&unique("rapport_test"), &format!("template {template}"))
    }

    /// A database whose tables are kept in a folder of its own (PostgreSQL's user must own it); the log is not.
    pub fn create_database_in(&self, folder: &Path) -> String {
        let name = unique("rapport_test_in");
        assert!(self.psql("postgres", &format!("create tablespace {name} location '{}'", folder.display())));
        self.create(&name, &format!("tablespace {name}"))
    }

    /// Stops it at once, as a crash would, and starts it again.
    pub fn stop(&self) {
        self.process.signal("INT");
        self.process.wait(Duration::from_secs(30));
    }

    pub fn start_again(&mut self) {
        self.process = Self::launch(&self.dir, self.port);
        self.wait_ready();
    }
}

/// Runs `rapport migrate` in an environment of nothing else.
fn migrate(env: &[(&str, &str)]) {
    let mut command = Command::new(super::binary::binary());
    command.env_clear().env("SECRET_KEY", super::app::SECRET_KEY).envs(env.iter().copied());
    let made = command.current_dir(folder()).arg("migrate").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// SQLite's file with the schema as it is now: tests begin with a copy.
pub(super) fn migrated_file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let dir = folder().join("migrated");
        std::fs::create_dir_all(&dir).unwrap();
        migrate(&[("DATA_DIR", dir.to_str().unwrap())]);
        let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["rapport.db"], "all of it is in the file");
        dir.join("rapport.db")
    })
}

pub struct Redis {
    pub port: u16,
    process: Option<Process>,
    /// The folder with its certificate, when it speaks TLS only.
    tls: Option<PathBuf>,
}

impl Redis {
    pub fn start() -> Self {
        let mut redis = Self { port: free_port(), process: None, tls: None };
        redis.start_again();
        redis
    }

    /// One that speaks TLS only, and the file with the authority that signed its certificate.
    pub fn start_with_tls() -> (Self, PathBuf) {
        let dir = folder().join(unique("tls"));
        std::fs::create_dir_all(&dir).unwrap();
        let openssl = |arguments: &str| {
            let mut command = Command::new("openssl");
            let made = command.args(arguments.split(' ')).current_dir(&dir).output().unwrap();
            assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        };
        std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
        openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=tests");
        openssl("req -newkey rsa:2048 -nodes -keyout redis.key -out redis.csr -subj /CN=localhost");
        openssl(
            "x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out redis.pem",
        );
        let authority = dir.join("ca.pem");
        let mut redis = Self { port: free_port(), process: None, tls: Some(dir) };
        redis.start_again();
        (redis, authority)
    }

    pub fn url(&self) -> String {
        match self.tls {
            Some(_) => format!("rediss://localhost:{}", self.port),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Empty, on the same port.
    pub fn start_again(&mut self) {
        let log = folder().join(format!("redis-{}.log", self.port));
        let process = Process::start("redis", &program("redis-server"), &log, |command| {
            let port = self.port.to_string();
            command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]);
            match &self.tls {
                None => command.args(["--port", &port]),
                Some(dir) => {
                    command
                        .args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"])
                        .current_dir(dir);
                    command.args(["--tls-cert-file", "redis.pem", "--tls-key-file", "redis.key"]);
                    command.args(["--tls-ca-cert-file", "ca.pem"])
                }
            };
        });
        self.process = Some(process);
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "redis does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub async fn command<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut built = redis::cmd(command[0]);
        for argument in &command[1..] {
            built.arg(argument);
        }
        built.query_async(&mut connection).await.unwrap()
    }
}
