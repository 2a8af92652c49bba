//! Shows what is configured, without secrets, and tries each dependency. It makes and changes nothing.

mod clocks;
mod configured;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rapport_common::{
    egress::{self, Egress},
    embeddings::Embedder,
    providers::http,
    redis_link::RedisLink,
    settings::{QdrantAt, Settings},
    store::{Db, PoolSizes},
    tools::Tools,
    vectors::Qdrant,
    wiring,
};

use crate::commands;

const CHECK_DEADLINE: Duration = Duration::from_secs(5);

pub async fn run(settings: Settings) -> Result<(), String> {
    commands::print(&configured::sheet(&settings))?;
    for warning in &settings.warnings {
        commands::print(&format!("warn    {warning}\n"))?;
    }
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
    let about_clocks = clocks::lines(&settings).await;
    if let Some(url) = &settings.redis_url {
        report("redis", redis(url.expose()).await)?;
    }
    for url in &settings.queue_redis_urls {
        report("redis of queues", redis(url.expose()).await)?;
    }
    for url in &settings.events_redis_urls {
        report("redis of events", redis(url.expose()).await)?;
    }
    if let Some(at) = &settings.qdrant {
        report("qdrant", qdrant(&settings, at).await)?;
    }
    match settings.embedding.provider.as_str() {
        "local" => {}
        "model" => report("embedding", model(&settings).await)?,
        _ => report("embedding", provider(&settings, &settings.embedding.base_url).await)?,
    }
    for endpoint in settings.ai.configured() {
        report(endpoint.name, provider(&settings, &endpoint.base_url).await)?;
    }
    if !settings.tools.http.is_empty() {
        report("tools", tools(&settings))?;
    }
    for line in about_clocks {
        commands::print(&format!("{line}\n"))?;
    }
    match sick {
        0 => Ok(()),
        1 => Err("one check failed".to_owned()),
        _ => Err(format!("{sick} checks failed")),
    }
}

/// Whether all that is described can be called, as far as that is told from here.
fn tools(settings: &Settings) -> Result<String, String> {
    let egress = Egress::new(settings.egress_allow.clone(), Arc::new(egress::System));
    let tools = Tools::new(&settings.tools, egress.map_err(|error| error.to_string())?)?;
    Ok(format!("all {} can be offered", tools.built_in().len()))
}

async fn database(settings: &Settings) -> Result<String, String> {
    let db = match wiring::postgres(settings, PoolSizes { durable: 1, relaxed: 1 })? {
        Some(db) => db,
        None if !settings.sqlite_path.exists() => return not_there_yet(&settings.sqlite_path),
        None => {
            let path = &settings.sqlite_path;
            Db::sqlite_to_look_at(path).await.map_err(|error| format!("{}: {error}", path.display()))?
        }
    };
    let missing = tokio::time::timeout(CHECK_DEADLINE, db.missing_migrations()).await;
    let missing = missing.map_err(|_| "does not answer".to_owned())?;
    let missing = missing.map_err(|error| wiring::explained(&error))?;
    match missing {
        Some(0) => Ok(format!("{} answers, its schema is current", db.name())),
        Some(missing) => {
            Ok(format!("{} answers and lacks {missing} migration(s): run `rapport migrate`", db.name()))
        }
        None => Err("its schema is newer than this binary".to_owned()),
    }
}

/// The first start makes the file, if the folder above it lets it.
fn not_there_yet(path: &Path) -> Result<String, String> {
    let absolute = std::path::absolute(path).map_err(|error| error.to_string())?;
    let above = absolute.ancestors().skip(1).find(|folder| folder.exists());
    match above {
        Some(folder) if folder.is_dir() => {
            Ok(format!("{} is not there yet: the first start makes it", path.display()))
        }
        Some(file) => Err(format!("{} cannot be made: {} is not a folder", path.display(), file.display())),
        None => Err(format!("{} cannot be made", path.display())),
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
    let look = match tokio::time::timeout(CHECK_DEADLINE, index.look()).await {
        Err(_) => return Err("does not answer".to_owned()),
        Ok(found) => found.map_err(|error| error.to_string())?,
    };
    let Some(collection) = look.collection else {
        return Ok("answers; the first write makes its collection".to_owned());
    };
    let mut told = format!("answers, {collection} holds {} points of {}", look.points, embedder.model());
    if !look.differences.is_empty() {
        told += &format!("; {}: `rapport reindex` makes it so", look.differences.join(", "));
    }
    if look.unfinished {
        told += "; a reindex is under way, or was broken off: `rapport reindex` begins anew";
    }
    if !look.left.is_empty() {
        told += &format!("; nobody uses {}: `rapport reindex` drops what is left over", look.left.join(", "));
    }
    Ok(told)
}

/// The whole model is read, and asked something.
async fn model(settings: &Settings) -> Result<String, String> {
    let embedder = Embedder::from_settings(settings).map_err(|error| error.to_string())?;
    embedder.load().map_err(|error| error.to_string())?;
    let asked = Instant::now();
    embedder.query("Does it answer?").await.map_err(|error| error.message)?;
    let millis = asked.elapsed().as_secs_f64() * 1_000.0;
    Ok(format!("{}, answers in {millis:.1} ms", embedder.describe()))
}

async fn provider(settings: &Settings, base_url: &str) -> Result<String, String> {
    let client = http::client(settings.ai.connect_timeout).map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(CHECK_DEADLINE, client.get(format!("{base_url}/models")).send()).await;
    match answer {
        Err(_) => Err(format!("{base_url} does not answer")),
        Ok(Err(error)) => Err(http::connection_error("provider", &error).message),
        // Any status shows that something speaks HTTP there; whether the key is good shows in the first chat.
        Ok(Ok(response)) => Ok(format!("{base_url} answers ({})", response.status().as_u16())),
    }
}
