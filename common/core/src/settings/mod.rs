//! Configuration: environment variables (and an optional `.env`), read once into one struct a concern.
//!
//! `__` nests, lists are JSON. Every problem is reported, not only the first. `.env.example` documents every key, and
//! a test compares the two.

mod ai;
mod allowed;
mod auth;
mod cors;
mod database;
mod email;
mod env;
mod files;
mod log;
mod memory;
mod names;
mod retention;
mod secret_key;
mod server;
#[cfg(test)]
mod tests;
mod tools;

use std::{path::PathBuf, time::Duration};

use crate::secret::Secret;
pub use ai::{Ai, Endpoint, Model, PROVIDERS, Timeouts};
pub use allowed::Allowed;
pub use auth::Auth;
pub use cors::Cors;
use database::Database;
pub use email::Email;
pub use env::Env;
pub use files::Files;
pub use log::Log;
pub use memory::{Embedding, Memory, QdrantAt, QdrantLayout, Quantization};
pub use retention::Retention;
pub use server::Server;
pub use tools::{Budget, HttpTools, McpServer, Tools, ToolsAs};

#[derive(Debug, Clone)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    /// Where clients find this service, when that is not what they name it by: without a `/` at its end.
    pub public_url: Option<String>,
    pub data_dir: PathBuf,
    /// `postgres://…`, or `None` for the SQLite file at `sqlite_path`.
    pub postgres_url: Option<Secret>,
    /// The server itself, when `postgres_url` is a pooler's that lends sessions by the transaction.
    pub postgres_direct_url: Option<Secret>,
    pub sqlite_path: PathBuf,
    /// Connections to PostgreSQL that one process may open for durable work; half as many more for the rest.
    pub database_pool: u32,
    pub redis_url: Option<Secret>,
    /// Where queues of ready jobs are, if not at `redis_url`: each queue's at one of these.
    pub queue_redis_urls: Vec<Secret>,
    /// Where events are, if not at `redis_url`: each job's at one of these.
    pub events_redis_urls: Vec<Secret>,
    pub auth: Auth,
    pub cors: Cors,
    pub rate_limit: RateLimit,
    pub server: Server,
    /// How many proxies in front of us may be believed about `X-Forwarded-For`.
    pub trusted_proxies: usize,
    pub log: Log,
    pub queue: Queue,
    /// Where `/metrics` and `/livez` are served alone, on `HOST`. 0: an API serves them with everything else, a worker not.
    pub metrics_port: u16,
    /// How long a stopping process lets running work finish.
    pub shutdown_grace: Duration,
    /// How long `rapport api` still accepts connections after it was told to stop and is not ready any more.
    pub shutdown_unready: Duration,
    pub chat: Chat,
    pub memory: Memory,
    pub embedding: Embedding,
    /// `None`: exact search in the database.
    pub qdrant: Option<QdrantAt>,
    pub events_retention: Duration,
    pub ai: Ai,
    pub tools: Tools,
    pub egress_allow: Vec<Allowed>,
    pub budget: Budget,
    pub email: Email,
    pub files: Files,
    pub retention: Retention,
    /// Seals what must be read again: keys that users bring along, webhook secrets.
    pub encryption_key: Option<Secret>,
    pub encryption_key_previous: Option<Secret>,
    /// Where the web UI's files are read from while somebody works on them; `None`: those in the binary.
    pub ui_dir: Option<PathBuf>,
    /// What an operator should know of the environment: unknown names, and what stands in its own way.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    /// Messages of a user or API key; 0 means no limit of any kind.
    pub requests_per_minute: u32,
    /// How many of them may come at once.
    pub burst: u32,
    /// Attempts to sign in or register, per address.
    pub sign_ins_per_minute: u32,
}

#[derive(Debug, Clone, Copy)]
pub struct Queue {
    /// Jobs that may wait in one queue before new ones are refused.
    pub max_depth: u64,
    pub lease: Duration,
    pub sweep: Duration,
    pub max_attempts: u32,
    /// How long a message waits while every provider that may answer it is away.
    pub provider_patience: Duration,
}

#[derive(Debug, Clone)]
pub struct Chat {
    /// How long `POST /chat` waits for the answer before it gives the job instead.
    pub wait: Duration,
    /// Tokens of history and system prompt sent to the model.
    pub context_tokens: usize,
    pub system_prompt: String,
    /// What the application is, appended to the system prompt.
    pub app_info: String,
    /// What is answered when no provider could: stored in the answer's place instead of an error.
    pub fallback_message: Option<String>,
}

/// Reads the settings, or says everything that is wrong with them, one problem a line. Makes a secret key where one is
/// needed and none is there.
pub fn load(env: &mut Env) -> Result<Settings, String> {
    read(env, true)
}

/// Reads the settings and makes nothing: the secret key may be missing.
pub fn inspect(env: &mut Env) -> Result<Settings, String> {
    read(env, false)
}

fn read(env: &mut Env, makes_key: bool) -> Result<Settings, String> {
    let data_dir = PathBuf::from(env.text("DATA_DIR", "./data"));
    let database_url = env.optional("DATABASE_URL");
    let embedded = data_dir.join("rapport.db");
    let (postgres_url, sqlite_path) = match database_url.as_deref().map(database::parse) {
        None => (None, embedded),
        Some(Ok(Database::Postgres(url))) => (Some(url), embedded),
        Some(Ok(Database::Sqlite(path))) => (None, path),
        Some(Err(problem)) => {
            env.problem(&problem);
            (None, embedded)
        }
    };
    let postgres_direct_url = database::direct(env, postgres_url.is_some());
    let redis_url = redis_url(env);
    let auth = auth::auth(env, &data_dir, database_url.is_some(), makes_key);
    let trusted_proxies = env.number("TRUSTED_PROXIES", 0, 0..=16) as usize;
    let mut settings = Settings {
        host: env.text("HOST", "127.0.0.1"),
        port: env.number("PORT", 8000, 0..=65_535) as u16,
        public_url: server::public_url(env),
        postgres_url,
        postgres_direct_url,
        sqlite_path,
        database_pool: env.number("DATABASE_POOL_SIZE", 4, 2..=1_000) as u32,
        queue_redis_urls: more_redis_urls(env, "QUEUE__REDIS_URLS", redis_url.is_some()),
        events_redis_urls: more_redis_urls(env, "EVENTS__REDIS_URLS", redis_url.is_some()),
        redis_url,
        auth,
        cors: cors::cors(env),
        rate_limit: rate_limit(env),
        server: server::server(env, trusted_proxies),
        trusted_proxies,
        log: log::log(env),
        queue: queue(env),
        metrics_port: env.number("METRICS_PORT", 0, 0..=65_535) as u16,
        shutdown_grace: env.seconds("SHUTDOWN_GRACE", 30.0, 1.0..=3_600.0),
        shutdown_unready: env.seconds("SHUTDOWN_UNREADY", 2.0, 0.0..=600.0),
        chat: chat(env),
        memory: memory::memory(env),
        embedding: memory::embedding(env),
        qdrant: memory::qdrant(env),
        events_retention: env.seconds("EVENTS__RETENTION_SECONDS", 3_600.0, 1.0..=604_800.0),
        ai: ai::ai(env),
        tools: tools::tools(env),
        egress_allow: tools::egress(env),
        budget: tools::budget(env),
        email: email::email(env),
        files: files::files(env),
        retention: retention::retention(env),
        encryption_key: encryption_key(env, "ENCRYPTION_KEY"),
        encryption_key_previous: encryption_key(env, "ENCRYPTION_KEY_PREVIOUS"),
        ui_dir: env.optional("UI_DIR").map(PathBuf::from),
        data_dir,
        warnings: Vec::new(),
    };
    settings.warnings = env.warnings();
    match env.problems() {
        [] => Ok(settings),
        problems => Err(problems.join("\n")),
    }
}

fn queue(env: &mut Env) -> Queue {
    Queue {
        max_depth: env.number("QUEUE__MAX_DEPTH", 50_000, 1..=100_000_000),
        lease: env.seconds("QUEUE__LEASE_SECONDS", 15.0, 1.0..=3_600.0),
        sweep: env.seconds("QUEUE__SWEEP_SECONDS", 2.0, 0.1..=600.0),
        max_attempts: env.number("QUEUE__MAX_ATTEMPTS", 3, 1..=100) as u32,
        provider_patience: env.seconds("QUEUE__PROVIDER_PATIENCE", 50.0, 0.0..=3_600.0),
    }
}

fn chat(env: &mut Env) -> Chat {
    Chat {
        wait: env.seconds("CHAT__WAIT_SECONDS", 60.0, 0.0..=120.0),
        context_tokens: env.number("CHAT__CONTEXT_TOKENS", 8_000, 256..=2_000_000) as usize,
        system_prompt: env.text(
            "CHAT__SYSTEM_PROMPT",
            "You are a helpful, friendly assistant. Answer briefly and plainly.",
        ),
        app_info: env.text("CHAT__APP_INFO", ""),
        fallback_message: env.optional("CHAT__FALLBACK_MESSAGE"),
    }
}

fn encryption_key(env: &mut Env, name: &str) -> Option<Secret> {
    let key = env.optional(name)?;
    if key.len() < 32 {
        env.problem(&format!("{name} must have at least 32 characters"));
    }
    Some(Secret::new(key))
}

/// How the address of a Redis may begin.
const REDIS: [&str; 6] =
    ["redis://", "rediss://", "redis-cluster://", "rediss-cluster://", "redis+unix://", "unix://"];

fn is_redis(url: &str) -> bool {
    REDIS.iter().any(|scheme| url.starts_with(scheme))
}

fn redis_url(env: &mut Env) -> Option<Secret> {
    let url = env.optional("REDIS_URL")?;
    if !is_redis(&url) {
        env.problem("REDIS_URL must begin with redis:// or redis-cluster:// (or rediss://, rediss-cluster://, for TLS)");
    }
    Some(Secret::new(url))
}

fn more_redis_urls(env: &mut Env, name: &str, has_redis: bool) -> Vec<Secret> {
    let mut urls: Vec<String> = Vec::new();
    for part in env.list(name, &[]) {
        match urls.last_mut() {
            // Another node of a cluster.
            Some(last) if last.contains("-cluster://") && !part.contains("://") => {
                *last += &format!(",{part}")
            }
            _ => urls.push(part),
        }
    }
    if !urls.is_empty() && !has_redis {
        env.problem(&format!("{name} is set and REDIS_URL is not: limits need a Redis too"));
    }
    if !urls.iter().all(|url| is_redis(url)) {
        env.problem(&format!("each of {name} must begin as REDIS_URL must"));
    }
    urls.into_iter().map(Secret::new).collect()
}

fn rate_limit(env: &mut Env) -> RateLimit {
    let requests_per_minute = env.number("RATE_LIMIT__REQUESTS_PER_MINUTE", 60, 0..=1_000_000);
    RateLimit {
        requests_per_minute: requests_per_minute as u32,
        // A minute's worth: a script that sends sixty messages as fast as it can is no abuse.
        burst: env.number("RATE_LIMIT__BURST_SIZE", requests_per_minute.max(1), 1..=1_000_000) as u32,
        sign_ins_per_minute: env.number("RATE_LIMIT__SIGN_INS_PER_MINUTE", 10, 1..=1_000_000) as u32,
    }
}
