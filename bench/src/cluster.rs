//! The processes under measurement.

use std::{path::PathBuf, process::Stdio, time::Duration};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::Instant,
};

pub struct Options {
    pub workers: usize,
    pub concurrency: usize,
    /// Arguments of the mock provider.
    pub mock: Vec<String>,
    pub env: Vec<(String, String)>,
}

pub struct Cluster {
    pub url: String,
    pub mock_url: String,
    pub api: Child,
    pub folder: PathBuf,
    options: Options,
    workers: Vec<Child>,
    _mock: Child,
}

/// PostgreSQL and Redis, if the environment names both.
pub fn production() -> Option<(String, String)> {
    let get = |key: &str| std::env::var_os(key).and_then(|value| value.into_string().ok());
    get("DATABASE_URL").zip(get("REDIS_URL"))
}

/// The `rapport` that is measured: the one cargo puts beside this program, or the one that RAPPORT_BIN names.
fn program() -> Result<PathBuf, String> {
    let beside = || std::env::current_exe().map(|bench| bench.with_file_name("rapport"));
    let named = std::env::var_os("RAPPORT_BIN").map(PathBuf::from);
    let program = named.map_or_else(beside, Ok).map_err(|error| error.to_string())?;
    if program.is_file() {
        return Ok(program);
    }
    Err(format!("there is no {}: `cargo build --release` makes it", program.display()))
}

pub fn command(arguments: &[&str]) -> Result<Command, String> {
    let program = program()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    Ok(command)
}

/// Which build is measured: its version, its commit, and where it is.
pub async fn build() -> Result<String, String> {
    let said = command(&["--version"])?.output().await.map_err(|error| error.to_string())?;
    Ok(format!("{}, {}", String::from_utf8_lossy(&said.stdout).trim(), program()?.display()))
}

/// Starts a process and waits for the first of its lines that contains `sign`.
pub async fn start(mut command: Command, sign: &str) -> Result<(Child, String), String> {
    let mut child = command.spawn().map_err(|error| format!("cannot start a process: {error}"))?;
    let out = child.stdout.take().ok_or("no output")?;
    let mut lines = BufReader::new(out).lines();
    let found = tokio::time::timeout(Duration::from_secs(60), async {
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains(sign) {
                return Some(line);
            }
        }
        None
    })
    .await;
    let line = found.ok().flatten().ok_or_else(|| format!("a process did not say {sign:?}"))?;
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, line))
}

fn address(line: &str) -> String {
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap_or_default();
    url.trim_end_matches("/v1").to_owned()
}

impl Cluster {
    pub async fn start(options: Options) -> Result<Self, String> {
        let mut arguments = vec!["mock-provider", "--port", "0"];
        arguments.extend(options.mock.iter().map(String::as_str));
        let (mock, line) = start(command(&arguments)?, "mock provider listens").await?;
        let mock_url = address(&line);
        let folder = std::env::temp_dir().join(format!("rapport-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let mut cluster = Self {
            url: String::new(),
            mock_url,
            // Replaced below; a harmless child until then.
            api: start(command(&["openapi"])?, "openapi").await?.0,
            folder,
            options,
            workers: Vec::new(),
            _mock: mock,
        };
        let role = if production().is_some() {
            let migrated = cluster
                .with_env(command(&["migrate"])?)
                .stdout(Stdio::null())
                .status()
                .await
                .map_err(|error| error.to_string())?;
            if !migrated.success() {
                return Err("migration failed".to_owned());
            }
            vec!["api"]
        } else {
            vec![]
        };
        let (api, line) = start(cluster.with_env(command(&role)?), "http://").await?;
        cluster.api = api;
        cluster.url = address(&line);
        for _ in 0..cluster.options.workers {
            cluster.add_worker().await?;
        }
        Ok(cluster)
    }

    fn with_env(&self, mut command: Command) -> Command {
        let fixed = [
            ("PORT", "0".to_owned()),
            ("DATA_DIR", self.folder.display().to_string()),
            ("SECRET_KEY", "b3f1c87e5d2a9460f7e8b1d3c5a79260".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("RUST_LOG", "error".to_owned()),
            ("RATE_LIMIT__REQUESTS_PER_MINUTE", "0".to_owned()),
            ("SERVER__STREAMS_PER_USER", "1000000".to_owned()),
            ("SERVER__CONNECTIONS_PER_ADDRESS", "0".to_owned()),
            ("AI_SERVICES__OPENAI_BASE_URL", format!("{}/v1", self.mock_url)),
        ];
        command.envs(fixed);
        command.envs(self.options.env.iter().cloned());
        command
    }

    /// Embedded, the workers are in the one process already.
    pub async fn add_worker(&mut self) -> Result<(), String> {
        if production().is_some() {
            let concurrency = self.options.concurrency.to_string();
            let worker = self.with_env(command(&["worker", "--concurrency", &concurrency])?);
            self.workers.push(start(worker, "takes jobs").await?.0);
        }
        Ok(())
    }

    /// Accounts to send as.
    pub async fn users(&self, client: &Client, count: usize) -> Result<Vec<String>, String> {
        accounts(client, &self.url, count).await
    }
}

/// Accounts of a service at this address.
pub async fn accounts(client: &Client, url: &str, count: usize) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let run = std::process::id();
    for number in 0..count {
        let nonce = rand::random::<u32>();
        let body =
            json!({"username": format!("bench-{run}-{number}-{nonce:x}"), "password": "Correct-horse-1"});
        let answer = client.post(format!("{}/api/v1/auth/register", url)).json(&body).send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        let body: Value = answer.json().await.map_err(|error| error.to_string())?;
        tokens.push(body["access_token"].as_str().ok_or("no account")?.to_owned());
    }
    Ok(tokens)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _temporary = std::fs::remove_dir_all(&self.folder);
    }
}

/// Resident memory of a process, in KiB.
pub fn resident_kib(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

pub fn client() -> Result<Client, String> {
    let builder = Client::builder().no_proxy().pool_max_idle_per_host(4_096).tcp_nodelay(true);
    builder.timeout(Duration::from_secs(300)).build().map_err(|error| error.to_string())
}

/// Waits until a URL answers 200; gives how long it took.
pub async fn until_ready(client: &Client, url: &str) -> Result<Duration, String> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        if client.get(url).send().await.is_ok_and(|answer| answer.status() == 200) {
            return Ok(started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Err(format!("{url} is not ready"))
}
