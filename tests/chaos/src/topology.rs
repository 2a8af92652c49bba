//! The service under test, and all it stands on: started, restarted, and taken down together.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex as Held, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, MutexGuard};

use crate::{
    check::Violation,
    mail::MailServer,
    process::{Process, tied},
    proxy::Link,
    servers::{Postgres, Redis, SmallDisk, free_port, open_to_all, wait_for_port},
    settings::{Settings, Stack},
};

const SECRET_KEY: &str = "4be7a1c95d8f36b20e1c7a94d5f8b3e6";
const START: Duration = Duration::from_secs(60);
/// SHUTDOWN_GRACE is 30 by default.
const STOP: Duration = Duration::from_secs(45);

/// One process of ours, and how to start it again.
pub struct Service {
    pub name: String,
    arguments: Vec<String>,
    pub port: Option<u16>,
    pub process: Process,
    /// The file that libfaketime reads its clock from.
    clock: PathBuf,
    /// It is meant to run: when it does not, it ended by itself.
    pub is_wanted: bool,
}

pub struct Links {
    pub redis: Option<Link>,
    pub postgres: Option<Link>,
    pub provider: Link,
    pub qdrant: Option<Link>,
}

pub struct Topology {
    pub folder: PathBuf,
    bin: PathBuf,
    log: String,
    pub links: Links,
    pub apis: Vec<Mutex<Service>>,
    /// The last works on the memory queue alone.
    pub workers: Vec<Mutex<Service>>,
    pub redis: Option<Mutex<Redis>>,
    pub postgres: Option<Mutex<Postgres>>,
    /// They die with us.
    _mocks: Vec<Process>,
    pub mock_port: u16,
    /// Of the one that answers 500 to all.
    pub broken_mock_port: u16,
    pub disk: Option<SmallDisk>,
    pub mail: MailServer,
    pub violations: Held<Vec<Violation>>,
    /// How long each process took from SIGTERM to its end.
    pub stops: Held<Vec<Duration>>,
}

/// Where the stores are looked into, past the proxy.
pub enum Store {
    Postgres(String),
    Sqlite(PathBuf),
}

fn faketime() -> PathBuf {
    let folder = Path::new("/usr/lib/x86_64-linux-gnu/faketime");
    let many_threads = folder.join("libfaketimeMT.so.1");
    if many_threads.exists() { many_threads } else { folder.join("libfaketime.so.1") }
}

/// The tests' Qdrant, when it was built.
pub fn stand_in(bin: &Path) -> Option<PathBuf> {
    Some(bin.with_file_name("qdrant-stand-in")).filter(|path| path.exists())
}

async fn qdrant(bin: &Path, folder: &Path) -> Result<Option<(Process, Link)>, String> {
    let Some(stand_in) = stand_in(bin) else { return Ok(None) };
    let port = free_port()?;
    let mut command = tied();
    command.arg(stand_in).arg(port.to_string());
    let process = Process::start(command, &folder.join("qdrant.log"))?;
    wait_for_port(port, START).await?;
    Ok(Some((process, Link::start(free_port()?, port).await?)))
}

async fn mock(bin: &Path, folder: &Path, name: &str, arguments: &[&str]) -> Result<(Process, u16), String> {
    let port = free_port()?;
    let mut command = tied();
    command.arg(bin).args(["mock-provider", "--port", &port.to_string()]).args(arguments);
    let process = Process::start(command, &folder.join(format!("{name}.log")))?;
    wait_for_port(port, START).await?;
    Ok((process, port))
}

impl Topology {
    pub async fn start(settings: &Settings, bin: &Path, folder: &Path) -> Result<Self, String> {
        let stack = settings.stack;
        let production = stack == Stack::Production;
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        open_to_all(folder)?;
        let data = folder.join("data");
        std::fs::create_dir_all(&data).map_err(|error| error.to_string())?;
        let disk_folder = if production { folder.join("disk") } else { data };
        let disk = SmallDisk::mount(&disk_folder, if production { 1_000 } else { 300 });
        let (mock_process, mock_port) = mock(bin, folder, "mock", &[]).await?;
        let (broken_mock, broken_mock_port) =
            mock(bin, folder, "broken-mock", &["--error-rate", "1", "--error-status", "500"]).await?;
        let provider = Link::start(free_port()?, mock_port).await?;
        let mut links = Links { redis: None, postgres: None, provider, qdrant: None };
        let mut mocks = vec![mock_process, broken_mock];
        let (mut redis, mut postgres) = (None, None);
        if production {
            let started = Postgres::start(&disk_folder.join("pg"), &folder.join("postgres.log")).await?;
            links.postgres = Some(Link::start(free_port()?, started.port).await?);
            postgres = Some(Mutex::new(started));
            let started = Redis::start(folder).await?;
            links.redis = Some(Link::start(free_port()?, started.port).await?);
            redis = Some(Mutex::new(started));
            if let Some((process, link)) = qdrant(bin, folder).await? {
                mocks.push(process);
                links.qdrant = Some(link);
            }
        }
        let mut topology = Self {
            folder: folder.to_owned(),
            bin: bin.to_owned(),
            log: settings.log.clone(),
            links,
            apis: Vec::new(),
            workers: Vec::new(),
            redis,
            postgres,
            _mocks: mocks,
            mock_port,
            broken_mock_port,
            disk,
            mail: MailServer::start().await?,
            violations: Held::default(),
            stops: Held::default(),
        };
        if production {
            let mut migrate = Command::new(bin);
            migrate.arg("migrate").env_clear().envs(topology.environment());
            let migrated = migrate.output().map_err(|error| error.to_string())?;
            if !migrated.status.success() {
                return Err(format!("migrate: {}", String::from_utf8_lossy(&migrated.stderr)));
            }
        }
        for number in 0..if production { 3 } else { 1 } {
            let arguments: &[&str] = if production { &["api"] } else { &[] };
            let service = topology.service(&format!("api{number}"), arguments, Some(free_port()?)).await?;
            topology.apis.push(Mutex::new(service));
        }
        for number in 0..if production { 3 } else { 0 } {
            let all: &[&str] = if number == 2 { &["worker", "--queues", "memory"] } else { &["worker"] };
            let service = topology.service(&format!("worker{number}"), all, None).await?;
            topology.workers.push(Mutex::new(service));
        }
        Ok(topology)
    }

    /// The settings a user has, but for the limit of requests, and what it takes to run here.
    fn environment(&self) -> Vec<(String, String)> {
        let path = std::env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned();
        let mut all = vec![
            ("PATH", path),
            ("HOST", "127.0.0.1".to_owned()),
            ("DATA_DIR", self.folder.join("data").display().to_string()),
            ("SECRET_KEY", SECRET_KEY.to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("RUST_LOG", self.log.clone()),
            ("RATE_LIMIT__REQUESTS_PER_MINUTE", "0".to_owned()),
            // The driver's clients sign in once.
            ("ACCESS_TOKEN_EXPIRE_MINUTES", "1440".to_owned()),
            ("AI_SERVICES__OPENAI_API_KEY", "sk-chaos".to_owned()),
            ("AI_SERVICES__OPENAI_BASE_URL", format!("http://127.0.0.1:{}/v1", self.links.provider.port)),
            // A text, not a vector, costs the mock nothing: embeddings are built in.
            ("AI_SERVICES__EMBEDDING_PROVIDER", "local".to_owned()),
            ("EGRESS__ALLOW", r#"["127.0.0.1"]"#.to_owned()),
        ];
        if let Some(link) = &self.links.postgres {
            all.push(("DATABASE_URL", format!("postgres://postgres@127.0.0.1:{}/postgres", link.port)));
        }
        all.push(("EMAIL__SMTP_SERVER", "127.0.0.1".to_owned()));
        all.push(("EMAIL__SMTP_PORT", self.mail.port.to_string()));
        all.push(("EMAIL__TLS", "none".to_owned()));
        if let Some(link) = &self.links.qdrant {
            all.push(("QDRANT_URL", format!("http://127.0.0.1:{}", link.port)));
        }
        if let Some(link) = &self.links.redis {
            all.push(("REDIS_URL", format!("redis://127.0.0.1:{}", link.port)));
        }
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn launch(
        &self,
        name: &str,
        arguments: &[String],
        port: Option<u16>,
        clock: Option<&Path>,
    ) -> Result<Process, String> {
        let mut command = tied();
        command.arg(&self.bin).args(arguments).env_clear().envs(self.environment()).current_dir(&self.folder);
        if let Some(port) = port {
            command.env("PORT", port.to_string());
        }
        if let Some(clock) = clock {
            command.env("LD_PRELOAD", faketime());
            command.env("FAKETIME_TIMESTAMP_FILE", clock).env("FAKETIME_NO_CACHE", "1");
            // The wall clock is wrong; what measures durations is not.
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        }
        Process::start(command, &self.folder.join(format!("{name}.log")))
    }

    async fn service(&self, name: &str, arguments: &[&str], port: Option<u16>) -> Result<Service, String> {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let process = self.launch(name, &arguments, port, None)?;
        if let Some(port) = port {
            wait_for_port(port, START).await.map_err(|error| format!("{error}\n{}", process.tail(10)))?;
        }
        let clock = self.folder.join(format!("{name}.clock"));
        Ok(Service { name: name.to_owned(), arguments, port, process, clock, is_wanted: true })
    }

    pub fn urls(&self) -> Vec<String> {
        let ports = self.apis.iter().filter_map(|api| api.try_lock().ok()?.port);
        ports.map(|port| format!("http://127.0.0.1:{port}")).collect()
    }

    pub async fn store(&self) -> Store {
        match &self.postgres {
            Some(postgres) => Store::Postgres(postgres.lock().await.url()),
            None => Store::Sqlite(self.folder.join("data/rapport.db")),
        }
    }

    pub fn violation(&self, violation: Violation) {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(violation);
    }

    /// All of ours: APIs, then workers.
    pub fn services(&self) -> impl Iterator<Item = &Mutex<Service>> {
        self.apis.iter().chain(&self.workers)
    }

    /// Starts a process that was ended, on the same port; with a clock of its own that is this many seconds off.
    pub fn launch_again(
        &self,
        service: &mut MutexGuard<'_, Service>,
        off: Option<i64>,
    ) -> Result<(), String> {
        let clock = match off {
            Some(off) => {
                set_clock(service, off)?;
                Some(service.clock.clone())
            }
            None => None,
        };
        service.process = self.launch(&service.name, &service.arguments, service.port, clock.as_deref())?;
        service.is_wanted = true;
        Ok(())
    }

    /// SIGTERM, and waits; what does not end in time, or badly, is a violation.
    pub async fn stop(&self, service: &mut MutexGuard<'_, Service>) {
        service.is_wanted = false;
        service.process.signal("TERM");
        let asked = Instant::now();
        let status = service.process.wait(STOP).await;
        self.stops.lock().unwrap_or_else(PoisonError::into_inner).push(asked.elapsed());
        if !status.is_some_and(|status| status.success()) {
            let what = match status {
                Some(status) => format!("{} ended on SIGTERM with {status}", service.name),
                None => format!("{} did not end within {STOP:?} of SIGTERM", service.name),
            };
            let tail = service.process.tail(8);
            self.violation(Violation::new("stop", what).with(tail.lines().map(str::to_owned)));
            service.process.kill();
        }
    }

    pub async fn kill(&self, service: &mut MutexGuard<'_, Service>) {
        service.is_wanted = false;
        service.process.kill();
    }

    /// Copies what is stored out of the file system that goes away with us.
    pub async fn keep(&self) -> Result<(), String> {
        if let Some(postgres) = &self.postgres {
            return postgres.lock().await.dump(&self.folder.join("database.sql"));
        }
        for name in ["rapport.db", "rapport.db-wal"] {
            // Without a file of its own when all of it is in the database.
            let _absent = std::fs::copy(self.folder.join("data").join(name), self.folder.join(name));
        }
        Ok(())
    }

    /// As a person would who is at a loss: what wedged in one fault shall not be blamed on the next.
    pub async fn restart_all(&self) -> Result<(), String> {
        for service in self.services() {
            let mut service = service.lock().await;
            self.kill(&mut service).await;
            self.launch_again(&mut service, None)?;
        }
        Ok(())
    }

    /// Whatever ended by itself is told, and started again.
    pub async fn supervise(&self) -> Result<(), String> {
        for service in self.services() {
            let mut service = service.lock().await;
            let Some(status) = service.process.exited() else { continue };
            if service.is_wanted {
                let tail = service.process.tail(8);
                let what = format!("{} ended by itself: {status}", service.name);
                self.violation(Violation::new("exit", what).with(tail.lines().map(str::to_owned)));
            }
            self.launch_again(&mut service, None)?;
        }
        Ok(())
    }
}

/// Changes the clock of a process that was started with one of its own, also while it runs.
pub fn set_clock(service: &Service, off: i64) -> Result<(), String> {
    let next = service.clock.with_extension("next");
    std::fs::write(&next, format!("{off:+}s\n")).map_err(|error| error.to_string())?;
    std::fs::rename(&next, &service.clock).map_err(|error| error.to_string())
}
