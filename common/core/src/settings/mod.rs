//! Configuration: environment variables (and an optional `.env`), read once into one struct a concern.
//!
//! `__` nests, lists are JSON. Every problem is reported, not only the first. `.env.example` documents every key, and
//! a test compares the two.

mod ai;
mod allowed;
mod database;
mod env;
mod log;
mod names;
mod secret_key;
mod server;
mod tools;

use std::{path::PathBuf, time::Duration};

use chrono::TimeDelta;

use crate::{domain::user::PasswordRules, secret::Secret};
pub use ai::{Ai, Endpoint, Model, Timeouts};
pub use allowed::Allowed;
use database::Database;
pub use env::Env;
pub use log::Log;
pub use server::Server;
pub use tools::{Budget, McpServer, Tools};

#[derive(Debug, Clone)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    pub data_dir: PathBuf,
    /// `postgres://…`, or `None` for the SQLite file at `sqlite_path`.
    pub postgres_url: Option<Secret>,
    pub sqlite_path: PathBuf,
    /// Connections to PostgreSQL that one process may open for durable work; half as many more for the rest.
    pub database_pool: u32,
    pub redis_url: Option<Secret>,
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
    /// Seals what must be read again: keys that users bring along, webhook secrets.
    pub encryption_key: Option<Secret>,
    pub encryption_key_previous: Option<Secret>,
    /// Where the web UI's files are read from while somebody works on them; `None`: those in the binary.
    pub ui_dir: Option<PathBuf>,
    /// What an operator should know of the environment: unknown names, and what stands in its own way.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Auth {
    pub secret_key: Secret,
    /// Where the key came from, for `doctor`.
    pub secret_key_origin: String,
    pub previous_key: Option<Secret>,
    pub password: PasswordRules,
    pub access_token: Duration,
    pub refresh_token: Duration,
}

#[derive(Debug, Clone)]
pub struct Cors {
    pub allowed_origins: Vec<String>,
    pub allow_credentials: bool,
    /// Of preflight answers; empty: the methods we have.
    pub allow_methods: Vec<String>,
    /// Of preflight answers; empty: what is asked for.
    pub allow_headers: Vec<String>,
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

#[derive(Debug, Clone)]
pub struct Memory {
    /// Who reads windows, judges and merges: a provider's name, or `auto`.
    pub provider: String,
    /// `None`: the provider's default.
    pub model: Option<String>,
    /// How long a quiet conversation waits before it is read.
    pub idle: TimeDelta,
    /// Tokens of memories in a prompt at most.
    pub context_tokens: usize,
    /// Tokens, besides those, of memories that stand in every prompt.
    pub essential_tokens: usize,
    /// Cosine from which two memories are looked at together.
    pub similarity: f64,
    /// Changes after which a user's memories are looked through for merges.
    pub consolidate_after: i64,
    /// Vectors kept in memory by exact search.
    pub cache_bytes: usize,
}

#[derive(Debug, Clone)]
pub struct Embedding {
    /// `local` or `openai` (any endpoint of its form).
    pub provider: String,
    pub base_url: String,
    pub api_key: Option<Secret>,
    pub model: String,
    pub dimensions: usize,
}

#[derive(Debug, Clone)]
pub struct QdrantAt {
    /// Of its gRPC port: `http://host:6334`.
    pub url: String,
    pub api_key: Option<Secret>,
    /// Begins the names of our collections: deployments that share a server need one each.
    pub prefix: String,
    /// How often drift between the database and it is looked for.
    pub reconcile: Duration,
}

fn memory(env: &mut Env) -> Memory {
    Memory {
        provider: env.text("MEMORY__PROVIDER", "auto"),
        model: env.optional("MEMORY__MODEL"),
        idle: TimeDelta::from_std(env.seconds("MEMORY__IDLE_SECONDS", 60.0, 0.0..=3_600.0))
            .unwrap_or(TimeDelta::seconds(60)),
        context_tokens: env.number("MEMORY__CONTEXT_TOKENS", 600, 0..=100_000) as usize,
        essential_tokens: env.number("MEMORY__ESSENTIAL_TOKENS", 200, 0..=10_000) as usize,
        similarity: env.number("MEMORY__SIMILARITY_PERCENT", 85, 50..=100) as f64 / 100.0,
        consolidate_after: env.number("MEMORY__CONSOLIDATE_AFTER", 20, 1..=1_000_000) as i64,
        cache_bytes: env.number("MEMORY__CACHE_MB", 256, 1..=1_000_000) as usize * 1_048_576,
    }
}

fn embedding(env: &mut Env) -> Embedding {
    let (base_url, api_key) = (
        env.optional("AI_SERVICES__EMBEDDING_BASE_URL"),
        env.optional("AI_SERVICES__EMBEDDING_API_KEY").map(Secret::new),
    );
    let default = if base_url.is_some() || api_key.is_some() { "openai" } else { "local" };
    let provider = env.text("AI_SERVICES__EMBEDDING_PROVIDER", default);
    if !["local", "openai"].contains(&provider.as_str()) {
        env.problem("AI_SERVICES__EMBEDDING_PROVIDER must be local or openai (any endpoint of that form)");
    }
    let base_url =
        base_url.unwrap_or_else(|| "https://api.openai.com/v1".to_owned()).trim_end_matches('/').to_owned();
    if !(base_url.starts_with("http://") || base_url.starts_with("https://")) {
        env.problem("AI_SERVICES__EMBEDDING_BASE_URL must begin with http:// or https://");
    }
    Embedding {
        provider,
        base_url,
        api_key,
        model: env.text("AI_SERVICES__EMBEDDING_MODEL", "text-embedding-3-small"),
        dimensions: env.number("AI_SERVICES__EMBEDDING_DIMENSIONS", 1_536, 8..=8_192) as usize,
    }
}

#[derive(Debug, Clone)]
pub struct Email {
    /// `None`: mail goes into files.
    pub smtp_server: Option<String>,
    pub smtp_port: u16,
    /// `starttls`, `tls` or `none`.
    pub tls: String,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub from: String,
}

fn email(env: &mut Env) -> Email {
    let port = env.number("EMAIL__SMTP_PORT", 587, 1..=65_535) as u16;
    let tls = env.text("EMAIL__TLS", if port == 465 { "tls" } else { "starttls" });
    if !["starttls", "tls", "none"].contains(&tls.as_str()) {
        env.problem("EMAIL__TLS must be starttls, tls or none");
    }
    // An address at Gmail says the server, the user and the sender at once.
    let gmail = env.elsewhere("EMAIL__GMAIL_FROM_EMAIL");
    let server = gmail.as_ref().map(|_| "smtp.gmail.com".to_owned());
    let from = gmail.clone().unwrap_or_else(|| "Rapport <rapport@localhost.localdomain>".to_owned());
    Email {
        smtp_server: env.optional("EMAIL__SMTP_SERVER").or(server),
        smtp_port: port,
        tls,
        username: env.optional("EMAIL__USERNAME").or(gmail),
        password: env.optional("EMAIL__PASSWORD").map(Secret::new),
        from: env.text("EMAIL__FROM", &from),
    }
}

fn encryption_key(env: &mut Env, name: &str) -> Option<Secret> {
    let key = env.optional(name)?;
    if key.len() < 32 {
        env.problem(&format!("{name} must have at least 32 characters"));
    }
    Some(Secret::new(key))
}

fn qdrant(env: &mut Env) -> Option<QdrantAt> {
    let api_key = env.optional("QDRANT_API_KEY").map(Secret::new);
    let reconcile = env.seconds("QDRANT__RECONCILE_SECONDS", 300.0, 1.0..=86_400.0);
    let prefix = env.text("QDRANT__COLLECTION_PREFIX", "rapport");
    let url = env.optional("QDRANT_URL")?;
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        env.problem("QDRANT_URL must begin with http:// or https:// (its gRPC port, usually 6334)");
    }
    Some(QdrantAt { url, api_key, prefix, reconcile })
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
    let redis_url = redis_url(env);
    let auth = auth(env, &data_dir, database_url.is_some(), makes_key);
    let trusted_proxies = env.number("TRUSTED_PROXIES", 0, 0..=16) as usize;
    let mut settings = Settings {
        host: env.text("HOST", "127.0.0.1"),
        port: env.number("PORT", 8000, 0..=65_535) as u16,
        postgres_url,
        sqlite_path,
        database_pool: env.number("DATABASE_POOL_SIZE", 12, 2..=1_000) as u32,
        redis_url,
        auth,
        cors: cors(env),
        rate_limit: rate_limit(env),
        server: server::server(env, trusted_proxies),
        trusted_proxies,
        log: log::log(env),
        queue: Queue {
            max_depth: env.number("QUEUE__MAX_DEPTH", 50_000, 1..=100_000_000),
            lease: env.seconds("QUEUE__LEASE_SECONDS", 15.0, 1.0..=3_600.0),
            sweep: env.seconds("QUEUE__SWEEP_SECONDS", 2.0, 0.1..=600.0),
            max_attempts: env.number("QUEUE__MAX_ATTEMPTS", 3, 1..=100) as u32,
            provider_patience: env.seconds("QUEUE__PROVIDER_PATIENCE", 50.0, 0.0..=3_600.0),
        },
        metrics_port: env.number("METRICS_PORT", 0, 0..=65_535) as u16,
        shutdown_grace: env.seconds("SHUTDOWN_GRACE", 30.0, 1.0..=3_600.0),
        shutdown_unready: env.seconds("SHUTDOWN_UNREADY", 2.0, 0.0..=600.0),
        chat: Chat {
            wait: env.seconds("CHAT__WAIT_SECONDS", 60.0, 0.0..=120.0),
            context_tokens: env.number("CHAT__CONTEXT_TOKENS", 8_000, 256..=2_000_000) as usize,
            system_prompt: env.text(
                "CHAT__SYSTEM_PROMPT",
                "You are a helpful, friendly assistant. Answer briefly and plainly.",
            ),
            app_info: env.text("CHAT__APP_INFO", ""),
            fallback_message: env.optional("CHAT__FALLBACK_MESSAGE"),
        },
        memory: memory(env),
        embedding: embedding(env),
        qdrant: qdrant(env),
        events_retention: env.seconds("EVENTS__RETENTION_SECONDS", 3_600.0, 1.0..=604_800.0),
        ai: ai::ai(env),
        tools: tools::tools(env),
        egress_allow: tools::egress(env),
        budget: tools::budget(env),
        email: email(env),
        encryption_key: encryption_key(env, "ENCRYPTION_KEY"),
        encryption_key_previous: encryption_key(env, "ENCRYPTION_KEY_PREVIOUS"),
        ui_dir: env.optional("UI_DIR").map(PathBuf::from),
        data_dir,
        warnings: Vec::new(),
    };
    settings.warnings = env.warnings();
    if settings.cors.allow_credentials && settings.cors.allowed_origins.iter().any(|origin| origin == "*") {
        env.problem("CORS__ALLOW_CREDENTIALS cannot be combined with the origin \"*\": name the origins");
    }
    match env.problems() {
        [] => Ok(settings),
        problems => Err(problems.join("\n")),
    }
}

fn cors(env: &mut Env) -> Cors {
    let mut names = |key: &str| -> Vec<String> {
        let given = env.list(key, &[]);
        let token = |name: &String| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        if !given.iter().all(token) {
            env.problem(&format!("{key} must be a JSON list of names, or [\"*\"]"));
        }
        given.into_iter().filter(|name| name != "*").collect()
    };
    Cors {
        allow_methods: names("CORS__ALLOW_METHODS").iter().map(|name| name.to_uppercase()).collect(),
        allow_headers: names("CORS__ALLOW_HEADERS"),
        allowed_origins: env.list("CORS__ALLOWED_ORIGINS", &[]),
        allow_credentials: env.flag("CORS__ALLOW_CREDENTIALS", false),
    }
}

fn redis_url(env: &mut Env) -> Option<Secret> {
    let url = env.optional("REDIS_URL")?;
    if !["redis://", "rediss://", "redis+unix://", "unix://"].iter().any(|scheme| url.starts_with(scheme)) {
        env.problem("REDIS_URL must begin with redis:// (or rediss://, for TLS)");
    }
    Some(Secret::new(url))
}

fn auth(env: &mut Env, data_dir: &std::path::Path, database_given: bool, makes_key: bool) -> Auth {
    let given = env.optional("SECRET_KEY");
    let (secret_key, secret_key_origin) =
        match secret_key::resolve(given.as_deref(), data_dir, database_given, makes_key) {
            Ok(found) => found,
            Err(problem) => {
                env.problem(&problem);
                (Secret::new(""), String::new())
            }
        };
    let previous_key = env.optional("SECRET_KEY_PREVIOUS").map(Secret::new);
    if let Some(problem) = previous_key.as_ref().and_then(|key| secret_key::problem(key.expose())) {
        env.problem(&format!("SECRET_KEY_PREVIOUS {problem}"));
    }
    Auth {
        secret_key,
        secret_key_origin,
        previous_key,
        password: PasswordRules {
            min_length: env.number("PASSWORD__MIN_LENGTH", 8, 6..=128) as usize,
            upper: env.flag("PASSWORD__REQUIRE_UPPER", true),
            lower: env.flag("PASSWORD__REQUIRE_LOWER", true),
            digit: env.flag("PASSWORD__REQUIRE_DIGIT", true),
        },
        access_token: Duration::from_secs(60 * env.number("ACCESS_TOKEN_EXPIRE_MINUTES", 30, 1..=10_080)),
        refresh_token: Duration::from_secs(86_400 * env.number("REFRESH_TOKEN_EXPIRE_DAYS", 30, 1..=3_650)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn load_from(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        load(&mut Env::from_pairs(pairs.iter().map(|(key, value)| (key.to_string(), value.to_string()))))
    }

    const KEY: (&str, &str) = ("SECRET_KEY", "0f2c8a5de91b7746a3c8d5e0f1b2937c");

    #[test]
    fn every_key_is_documented_in_the_example() {
        let mut env = Env::from_pairs([(KEY.0.to_owned(), KEY.1.to_owned())]);
        load(&mut env).unwrap();
        let example = include_str!("../../../../.env.example");
        let documented: std::collections::BTreeSet<&str> = example
            .lines()
            .filter_map(|line| line.trim_start_matches("# ").trim_start_matches('#').split_once('='))
            .map(|(key, _)| key)
            .filter(|key| key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
            .collect();
        let read: std::collections::BTreeSet<&str> = env.keys_read().collect();
        let numbered = |key: &&&str| !key.trim_end_matches(char::is_numeric).ends_with("_API_KEY_");
        let missing: Vec<_> = read.difference(&documented).filter(numbered).collect();
        let stale: Vec<_> = documented.difference(&read).filter(numbered).collect();
        assert!(missing.is_empty(), "not in .env.example: {missing:?}");
        assert!(stale.is_empty(), "in .env.example but never read: {stale:?}");
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let problems =
            load_from(&[("PORT", "x"), ("QUEUE__LEASE_SECONDS", "-1"), ("SECRET_KEY", "short")]).unwrap_err();
        for key in ["PORT", "QUEUE__LEASE_SECONDS", "SECRET_KEY"] {
            assert!(problems.contains(key), "{problems}");
        }
    }

    #[test]
    fn dangerous_combinations_are_refused() {
        let problems =
            load_from(&[KEY, ("CORS__ALLOWED_ORIGINS", r#"["*"]"#), ("CORS__ALLOW_CREDENTIALS", "true")])
                .unwrap_err();
        assert!(problems.contains("CORS__ALLOW_CREDENTIALS"));
        assert!(load_from(&[("DATABASE_URL", "postgres://x")]).unwrap_err().contains("SECRET_KEY"));
    }

    #[test]
    fn a_provider_needs_a_key_or_its_own_address() {
        let none = load_from(&[KEY]).unwrap();
        assert!(none.ai.endpoints.iter().all(|endpoint| !endpoint.is_configured));
        let two = load_from(&[
            KEY,
            ("AI_SERVICES__OPENAI_BASE_URL", "http://127.0.0.1:9/v1/"),
            ("AI_SERVICES__GROQ_API_KEY_1", "k"),
        ])
        .unwrap();
        let configured = two.ai.endpoints.iter().filter(|endpoint| endpoint.is_configured);
        let found: Vec<_> = configured.map(|e| (e.name, e.base_url.as_str())).collect();
        assert_eq!(found, [("openai", "http://127.0.0.1:9/v1"), ("groq", "https://api.groq.com/openai/v1")]);
    }
}
