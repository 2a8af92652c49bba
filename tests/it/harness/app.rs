//! The service under test: one process embedded, or APIs and workers over PostgreSQL and Redis.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rapport_common::store::{Db, PoolSizes};
use reqwest::Method;
use serde_json::Value;

use super::{
    binary::binary,
    client::User,
    left,
    pgbouncer::PgBouncer,
    process::Process,
    servers::{Postgres, Redis, folder, free_port, migrated_file, unique},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    Embedded,
    Production,
}

pub const SECRET_KEY: &str = "4be7a1c95d8f36b20e1c7a94d5f8b3e6";
pub const READY: Duration = Duration::from_secs(60);

pub struct App {
    pub stack: Stack,
    pub folder: PathBuf,
    env: Vec<(String, String)>,
    pub apis: Vec<Process>,
    pub(super) ports: Vec<u16>,
    pub workers: Vec<Process>,
    pub mock: Option<(Process, String)>,
    mock_arguments: Vec<String>,
    pub redis: Option<Redis>,
    database: String,
    pooler: Option<Arc<PgBouncer>>,
    leaves_jobs: AtomicBool,
}

pub struct Builder {
    stack: Stack,
    apis: usize,
    workers: usize,
    env: Vec<(String, String)>,
    mock: Option<Vec<String>>,
    postgres: Option<String>,
    pooler: Option<Arc<PgBouncer>>,
    redis: Option<(Redis, u16)>,
}

impl Builder {
    pub fn apis(mut self, count: usize) -> Self {
        self.apis = count;
        self
    }
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }
    pub fn env(mut self, key: &str, value: impl ToString) -> Self {
        self.env.push((key.to_owned(), value.to_string()));
        self
    }
    /// Answers come from `rapport mock-provider` over HTTP, as `openai`.
    pub fn http_provider(mut self, arguments: &[&str]) -> Self {
        self.mock = Some(arguments.iter().map(|&argument| argument.to_owned()).collect());
        self
    }
    /// A PostgreSQL of the test's own.
    pub fn postgres(mut self, url: String) -> Self {
        self.postgres = Some(url);
        self
    }

    /// Through a PgBouncer of the test's own.
    pub fn pooler(mut self, pooler: PgBouncer) -> Self {
        self.pooler = Some(Arc::new(pooler));
        self
    }

    /// A Redis of the test's own, reached by another port.
    pub fn redis(mut self, redis: Redis, port: u16) -> Self {
        self.redis = Some((redis, port));
        self
    }

    pub async fn start(self) -> App {
        let folder = folder().join(unique("app"));
        std::fs::create_dir_all(&folder).unwrap();
        let mut app = App {
            stack: self.stack,
            folder,
            env: self.env,
            apis: Vec::new(),
            ports: Vec::new(),
            workers: Vec::new(),
            mock: None,
            mock_arguments: self.mock.clone().unwrap_or_default(),
            redis: None,
            database: String::new(),
            pooler: self.pooler,
            leaves_jobs: AtomicBool::new(false),
        };
        if self.mock.is_some() {
            app.start_mock(0);
        }
        if self.stack == Stack::Production {
            let is_bare = self.postgres.is_some();
            app.database = match self.postgres {
                Some(url) => url,
                None => {
                    let made =
                        tokio::task::spawn_blocking(|| (Postgres::migrated_database(), PgBouncer::shared()));
                    let (database, shared) = made.await.unwrap();
                    app.pooler = app.pooler.take().or(shared);
                    database
                }
            };
            app.redis = Some(match self.redis {
                Some((redis, port)) => {
                    app.env.push(("REDIS_URL".to_owned(), format!("redis://127.0.0.1:{port}")));
                    redis
                }
                None => tokio::task::spawn_blocking(Redis::start).await.unwrap(),
            });
            if is_bare {
                let migrated = app.command().arg("migrate").output().unwrap();
                assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
            }
        } else {
            std::fs::copy(migrated_file(), app.folder.join("rapport.db")).unwrap();
        }
        for _ in 0..self.apis {
            app.add_api();
        }
        if self.stack == Stack::Production {
            for _ in 0..self.workers {
                app.add_worker();
            }
        }
        app
    }
}

impl App {
    pub fn builder(stack: Stack) -> Builder {
        Builder {
            stack,
            apis: 1,
            workers: 1,
            env: Vec::new(),
            mock: None,
            postgres: None,
            pooler: None,
            redis: None,
        }
    }

    pub async fn start(stack: Stack) -> Self {
        Self::builder(stack).start().await
    }

    /// The environment of every process: nothing of ours, quick leases, no limits, a mock without pauses.
    fn environment(&self) -> Vec<(String, String)> {
        let mut env: Vec<(String, String)> = vec![
            ("PATH".to_owned(), std::env::var_os("PATH").unwrap_or_default().into_string().unwrap()),
            ("HOST".to_owned(), "127.0.0.1".to_owned()),
            ("DATA_DIR".to_owned(), self.folder.display().to_string()),
            ("SECRET_KEY".to_owned(), SECRET_KEY.to_owned()),
            ("LOG_FORMAT".to_owned(), "json".to_owned()),
            ("RUST_LOG".to_owned(), "info,rapport_worker=debug".to_owned()),
            ("RATE_LIMIT__REQUESTS_PER_MINUTE".to_owned(), "0".to_owned()),
            ("QUEUE__LEASE_SECONDS".to_owned(), "3".to_owned()),
            ("QUEUE__SWEEP_SECONDS".to_owned(), "0.5".to_owned()),
            ("AI_SERVICES__MOCK_TOKEN_DELAY_MS".to_owned(), "0".to_owned()),
            ("SHUTDOWN_GRACE".to_owned(), "10".to_owned()),
        ];
        if self.stack == Stack::Production {
            env.push(("DATABASE_URL".to_owned(), self.database.clone()));
            if let Some(pooler) = &self.pooler {
                env.push(("DATABASE_URL".to_owned(), pooler.url(&self.database)));
                env.push(("DATABASE_DIRECT_URL".to_owned(), self.database.clone()));
            }
        }
        if let Some(redis) = &self.redis {
            env.push(("REDIS_URL".to_owned(), redis.url()));
        }
        if let Some((_, url)) = &self.mock {
            env.push(("AI_SERVICES__OPENAI_BASE_URL".to_owned(), format!("{url}/v1")));
            env.push(("AI_SERVICES__OPENAI_API_KEY".to_owned(), "sk-test-canary".to_owned()));
        }
        env.extend(self.env.iter().cloned());
        env
    }

    /// Of the production stack.
    pub fn database_url(&self) -> &str {
        &self.database
    }

    /// At the test's end jobs may be open, or there is no database left to look into.
    pub fn leaves_jobs(&self) {
        self.leaves_jobs.store(true, Ordering::Relaxed);
    }

    /// For processes started from now on.
    pub fn set_env(&mut self, key: &str, value: &str) {
        self.env.push((key.to_owned(), value.to_owned()));
    }

    /// A command of the binary in this app's environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.env_clear().envs(self.environment()).current_dir(&self.folder);
        command
    }

    fn process(&self, name: &str, arguments: &[String], port: u16) -> Process {
        self.process_with(name, arguments, port, &[])
    }

    pub(super) fn process_with(
        &self,
        name: &str,
        arguments: &[String],
        port: u16,
        more: &[(String, String)],
    ) -> Process {
        let log = self.folder.join(format!("{name}.log"));
        let mut env = self.environment();
        env.extend(more.iter().cloned());
        env.push(("PORT".to_owned(), port.to_string()));
        Process::start(name, binary(), &log, |command| {
            command.args(arguments).env_clear().envs(env).current_dir(&self.folder);
        })
    }

    fn api_process(&self, name: &str, port: u16) -> Process {
        let arguments = if self.stack == Stack::Production { vec!["api".to_owned()] } else { Vec::new() };
        let process = self.process(name, &arguments, port);
        process.line_with(&format!("http://127.0.0.1:{port}"), READY);
        process
    }

    pub fn add_api(&mut self) {
        let port = free_port();
        let process = self.api_process(&unique("api"), port);
        self.apis.push(process);
        self.ports.push(port);
    }

    /// Starts an API that was killed, on the same port and data.
    pub fn restart_api(&mut self, index: usize) {
        self.apis[index].kill();
        self.apis[index] = self.api_process(&unique("api"), self.ports[index]);
    }

    pub fn add_worker(&mut self) {
        let process = self.process(&unique("worker"), &["worker".to_owned()], 0);
        process.line_with("rapport worker takes jobs", READY);
        self.workers.push(process);
    }

    /// Ends every connection of the service to its database, on the database's side.
    pub async fn cut_database_connections(&self) {
        let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity
            where datname = current_database() and application_name = 'rapport' and pid <> pg_backend_pid()";
        use sqlx::Connection;
        let mut connection = sqlx::PgConnection::connect(&self.database).await.unwrap();
        let (_cut,): (i64,) = sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap();
    }

    /// On port 0: on a free one.
    fn start_mock(&mut self, port: u16) {
        let mut all = vec!["mock-provider".to_owned(), "--port".to_owned(), port.to_string()];
        all.extend(self.mock_arguments.iter().cloned());
        let process = self.process(&unique("mock"), &all, 0);
        let line = process.line_with("listens on http://", READY);
        let url = line.split_whitespace().last().unwrap().trim_end_matches("/v1").to_owned();
        self.mock = Some((process, url));
    }

    /// The provider is gone: nobody listens at its address.
    pub fn kill_mock(&self) {
        self.mock.as_ref().unwrap().0.kill();
    }

    /// Starts a provider that was killed, at the same address.
    pub fn restart_mock(&mut self) {
        let port = self.mock.as_ref().unwrap().1.rsplit(':').next().unwrap().parse().unwrap();
        self.start_mock(port);
    }

    pub async fn mock_stats(&self) -> serde_json::Value {
        let url = format!("{}/stats", self.mock.as_ref().unwrap().1);
        client().get(url).send().await.unwrap().json().await.unwrap()
    }

    pub fn url(&self, api: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[api])
    }

    /// A new account, signed in, talking to the first API.
    pub async fn user(&self) -> User {
        User::register(client(), &self.url(0)).await
    }

    /// The store itself: for putting probes in and looking what is really there.
    pub async fn db(&self) -> Db {
        match self.stack {
            Stack::Embedded => Db::sqlite(&self.folder.join("rapport.db")).await.unwrap(),
            Stack::Production => {
                Db::postgres(self.database.as_str().into(), PoolSizes { durable: 4, relaxed: 2 }).unwrap()
            }
        }
    }

    /// Kills whatever runs jobs.
    pub fn kill_runner(&mut self) {
        match self.stack {
            Stack::Embedded => self.apis[0].kill(),
            Stack::Production => self.workers[0].kill(),
        }
    }

    /// Kills and restarts whatever runs jobs each time that a job has come so far, if it has not ended before.
    pub async fn kill_runner_at(&mut self, user: &User, job: &str, milestones: [i64; 2]) {
        for least in milestones {
            super::eventually("it is under way", Duration::from_secs(60), || async {
                let response = user.request(Method::GET, &format!("/jobs/{job}")).send().await.ok()?;
                let now: Value = response.json().await.ok()?;
                (now["progress"]["done"].as_i64().unwrap_or(0) >= least || now["finished_at"].is_string())
                    .then_some(())
            })
            .await;
            self.kill_runner();
            self.start_runner();
        }
    }

    pub fn start_runner(&mut self) {
        match self.stack {
            Stack::Embedded => self.restart_api(0),
            Stack::Production => {
                self.workers.remove(0);
                self.add_worker();
            }
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for process in self.apis.iter().chain(&self.workers) {
                let output = process.output();
                let tail: Vec<&str> = output.lines().rev().take(15).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                let tail: Vec<String> = tail.iter().map(|line| line.chars().take(400).collect()).collect();
                eprintln!("--- {} ---\n{}", process.name, tail.join("\n"));
            }
        } else if !self.leaves_jobs.load(Ordering::Relaxed) && !self.apis.is_empty() {
            let open = left::open_jobs(self);
            assert!(open.is_empty(), "the test leaves jobs open: {open:?}");
        }
    }
}

pub fn client() -> reqwest::Client {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(64)
        .timeout(Duration::from_secs(120))
        .build()
        .unwrap()
}
