//! Shows what is in force, without secrets, and tries each dependency.

use std::{fmt::Write, time::Duration};

use rapport_common::{
    embeddings::Embedder,
    providers::http,
    redis_link::RedisLink,
    secret::redact_url,
    settings::{QdrantAt, Settings},
    store::Db,
    vectors::{Qdrant, VectorIndex},
};

use crate::{commands, wiring};

const PATIENCE: Duration = Duration::from_secs(5);

pub async fn run(settings: Settings) -> Result<(), String> {
    commands::print(&in_force(&settings))?;
    let mut sick = 0;
    let mut report = |what: &str, result: Result<String, String>| {
        let (mark, text) = match result {
            Ok(text) => ("ok    ", text),
            Err(text) => {
                sick += 1;
                ("FAILED", text)
            }
        };
        commands::print(&format!("{mark}  {what}: {text}\n"))
    };
    report("database", database(&settings).await)?;
    if let Some(url) = &settings.redis_url {
        report("redis", redis(url.expose()).await)?;
    }
    if let Some(at) = &settings.qdrant {
        report("qdrant", qdrant(&settings, at).await)?;
    }
    if settings.embedding.provider != "local" {
        report("embedding", provider(&settings, &settings.embedding.base_url).await)?;
    }
    for endpoint in settings.ai.configured() {
        report(endpoint.name, provider(&settings, &endpoint.base_url).await)?;
    }
    if sick == 0 { Ok(()) } else { Err(format!("{sick} of the checks failed")) }
}

fn in_force(settings: &Settings) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{name:<16}{value}");
    };
    let database = match &settings.postgres_url {
        Some(url) => redact_url(url.expose()),
        None => format!("sqlite {}", settings.sqlite_path.display()),
    };
    line("listen", format!("{}:{}", settings.host, settings.port));
    line("data", settings.data_dir.display().to_string());
    line("database", database);
    line(
        "redis",
        settings.redis_url.as_ref().map_or("none: in process".to_owned(), |url| redact_url(url.expose())),
    );
    line("secret key", format!("from {}", settings.auth.secret_key_origin));
    let vectors =
        settings.qdrant.as_ref().map_or("exact, in the database".to_owned(), |at| redact_url(&at.url));
    line("vectors", vectors);
    let embedding = &settings.embedding;
    let model = match embedding.provider.as_str() {
        "local" => "local (built in, lexical)".to_owned(),
        _ => format!("{} of {} dimensions at {}", embedding.model, embedding.dimensions, embedding.base_url),
    };
    line("embedding", model);
    line("memory", format!("{:?}", settings.memory));
    line("previous key", if settings.auth.previous_key.is_some() { "set" } else { "none" }.to_owned());
    line(
        "tokens",
        format!("access {:?}, refresh {:?}", settings.auth.access_token, settings.auth.refresh_token),
    );
    line("queue", format!("{:?}", settings.queue));
    line("rate limit", format!("{:?}", settings.rate_limit));
    line("cors", format!("{:?}", settings.cors));
    line("providers", settings.ai.order.join(", "));
    for endpoint in settings.ai.configured() {
        let keys = endpoint.keys.len();
        line(
            "",
            format!("{}: {} with {keys} key(s), model {}", endpoint.name, endpoint.base_url, endpoint.model),
        );
    }
    let tools = &settings.tools;
    let set = |key: &Option<rapport_common::secret::Secret>| if key.is_some() { "on" } else { "off" };
    line("tools", format!("weather {}, web search {}", set(&tools.weather_key), set(&tools.tavily_key)));
    for server in &tools.mcp {
        line(
            "",
            format!("MCP server {} at {}", server.name, server.url.as_deref().unwrap_or(&server.command)),
        );
    }
    line("egress", format!("besides public addresses: {:?}", settings.egress_allow));
    line("budget", format!("{:?}", settings.budget));
    text.push('\n');
    text
}

async fn database(settings: &Settings) -> Result<String, String> {
    let db: Db = wiring::database(settings).await?;
    let missing = tokio::time::timeout(PATIENCE, db.missing_migrations()).await;
    let missing = missing.map_err(|_| "does not answer".to_owned())?.map_err(|error| error.to_string())?;
    match missing {
        Some(0) => Ok(format!("{} answers, its schema is current", db.name())),
        Some(missing) => {
            Ok(format!("{} answers and lacks {missing} migration(s): run `rapport migrate`", db.name()))
        }
        None => Err("its schema is newer than this binary".to_owned()),
    }
}

async fn redis(url: &str) -> Result<String, String> {
    let link = RedisLink::new(url).map_err(|error| error.to_string())?;
    let mut info = redis::pipe();
    info.cmd("INFO").arg("server");
    let (info,): (String,) = link.query(&info).await.map_err(|error| error.to_string())?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("?").trim();
    let major: u32 = version.split('.').next().and_then(|part| part.parse().ok()).unwrap_or(0);
    if major < 7 {
        Err(format!("version {version}: 7 or later is needed"))
    } else {
        Ok(format!("version {version} answers"))
    }
}

async fn qdrant(settings: &Settings, at: &QdrantAt) -> Result<String, String> {
    let embedder = Embedder::from_settings(settings).map_err(|error| error.to_string())?;
    let index =
        Qdrant::new(at, &embedder.model(), embedder.dimensions()).map_err(|error| error.to_string())?;
    match tokio::time::timeout(PATIENCE, index.count()).await {
        Err(_) => Err("does not answer".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(count)) => Ok(format!("answers, and holds {count} points of {}", embedder.model())),
    }
}

async fn provider(settings: &Settings, base_url: &str) -> Result<String, String> {
    let client = http::client(&settings.ai).map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(PATIENCE, client.get(format!("{base_url}/models")).send()).await;
    match answer {
        Err(_) => Err(format!("{base_url} does not answer")),
        Ok(Err(error)) => Err(http::connection_error("provider", &error).message),
        // Any status shows that something speaks HTTP there; whether the key is good shows in the first chat.
        Ok(Ok(response)) => Ok(format!("{base_url} answers ({})", response.status().as_u16())),
    }
}
