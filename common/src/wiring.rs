//! The only place that chooses adapters: settings in, context out. Every process is made here, and so are those within tests.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    Context, Error,
    auth::Auth,
    bells::Bells,
    clock,
    context::Groups,
    depth::Depths,
    egress::{self, Egress},
    embeddings::Embedder,
    events::{EventLog, FinalWatch, LocalEvents, RedisEvents, SpreadEvents},
    files,
    isolated::Pipe,
    limits::{Limits, LocalLimits, RedisLimits},
    mail::Mailer,
    providers::Providers,
    redis_link::RedisLink,
    sealer::Sealer,
    secret::Secret,
    settings::Settings,
    storage::Storage,
    store::{
        self, Address, Db, PoolSizes,
        db::{DEADLINE, NEWER, within},
        words::{self, kept::Kept},
    },
    tools::Tools,
    usecase::memory::{Sizes, Touches, past_turns::Warming},
    vectors::{Exact, Qdrant, VectorIndex},
    wire::{LocalWire, RedisWire, SpreadWire, Wire},
};

/// How long a starting process waits for its database.
const DATABASE: Duration = Duration::from_secs(60);

/// PostgreSQL as the settings name it, itself or behind a pooler. `None`: everything is kept in SQLite.
pub fn postgres(settings: &Settings, sizes: PoolSizes) -> Result<Option<Db>, String> {
    let Some(url) = &settings.postgres_url else { return Ok(None) };
    let direct = settings.postgres_direct_url.as_ref().map(|url| url.expose());
    let db = Db::postgres(Address { url: url.expose(), direct }, sizes);
    db.map(Some).map_err(|error| format!("DATABASE_URL: {error}"))
}

pub async fn database(settings: &Settings) -> Result<Db, String> {
    let sizes = PoolSizes { durable: settings.database_pool, relaxed: settings.database_pool / 2 };
    match postgres(settings, sizes)? {
        Some(db) => Ok(db),
        None => {
            let path = &settings.sqlite_path;
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                files::folder(folder).map_err(|error| files::unusable(folder, &error))?;
            }
            for (path, error) in files::tighten(&settings.data_dir, path) {
                tracing::warn!(%error, path = %path.display(), "others may read this, and it cannot be changed");
            }
            Db::sqlite(path).await.map_err(|error| match error {
                sqlx::Error::Io(error) => files::unusable(path, &error),
                other => format!("the database {}: {other}", path.display()),
            })
        }
    }
}

/// Waits until the database answers, so that a whole deployment may start in any order, and a link that breaks while a
/// process starts does not end it.
pub async fn wait_for_database(db: &Db) -> Result<(), String> {
    patiently(async || {
        db.missing_migrations().await?;
        learn_the_time(db).await
    })
    .await
}

/// Brings the schema up to date, and then the data that an older version wrote in another form.
pub async fn migrate(db: &Db) -> Result<(), String> {
    db.migrate().await?;
    let moved = words::convert::convert(db).await;
    let moved =
        moved.map_err(|error| format!("the index of words could not be brought up to date: {error}"))?;
    if moved > 0 {
        tracing::info!(messages = moved, "the index of words was brought up to date");
    }
    Ok(())
}

/// Said when `DATABASE_URL` leads to a pooler and nothing says so.
const POOLER: &str = "DATABASE_URL leads to a connection pooler, which refuses a session's settings: let DATABASE_DIRECT_URL name \
                      PostgreSQL itself";

/// What is wrong with the database, for operators.
pub fn explained(error: &Error) -> String {
    let error = error.to_string();
    // PgBouncer's word.
    if error.contains("unsupported startup parameter") { POOLER.to_owned() } else { error }
}

async fn patiently<T>(ask: impl AsyncFn() -> Result<T, Error>) -> Result<T, String> {
    let deadline = tokio::time::Instant::now() + DATABASE;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if explained(&error) == POOLER => return Err(POOLER.to_owned()),
            Err(error) if tokio::time::Instant::now() > deadline => {
                return Err(format!("the database cannot be reached: {error}"));
            }
            Err(error) => {
                tracing::warn!(%error, "waiting for the database");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// From now on this process goes by the database's clock.
async fn learn_the_time(db: &Db) -> Result<(), Error> {
    let asked = tokio::time::Instant::now();
    let time = match db {
        Db::Pg(_) => {
            let read = async { store::presence::time(&mut db.separate().await?).await };
            within(DEADLINE, read).await?
        }
        Db::Lite(_) => clock::of_this_machine(),
    };
    clock::learn(asked, time);
    Ok(())
}

/// Refuses to work on a schema that is not this binary's.
pub async fn check_schema(db: &Db) -> Result<(), String> {
    match patiently(async || db.missing_migrations().await).await? {
        Some(0) => Ok(()),
        Some(missing) => Err(format!(
            "the database lacks {missing} migration(s) of this version: run `rapport migrate` first"
        )),
        None => Err(NEWER.to_owned()),
    }
}

pub fn context(settings: Settings, db: Db) -> Result<Context, String> {
    let context = context_of(settings, db, None)?;
    context.embedder.load().map_err(|error| error.to_string())?;
    Ok(context)
}

/// For a process that runs one job: what its worker keeps in memory is reached by `pipe`, and a model's weights are read only
/// if the job embeds.
pub fn isolated_context(settings: Settings, db: Db, pipe: Pipe) -> Result<Context, String> {
    context_of(settings, db, Some(pipe))
}

/// Servers that are named for one purpose; the shared one if none is.
fn links(name: &str, urls: &[Secret], shared: RedisLink) -> Result<(RedisLink, Vec<RedisLink>), String> {
    let link = |url: &Secret| RedisLink::new(url.expose()).map_err(|error| format!("{name}: {error}"));
    let Some((first, others)) = urls.split_first() else { return Ok((shared, Vec::new())) };
    Ok((link(first)?, others.iter().map(link).collect::<Result<_, _>>()?))
}

/// The wire: on the one Redis, or spread over those that are named for it.
fn wire_on_redis(settings: &Settings, shared: RedisLink) -> Result<Arc<dyn Wire>, String> {
    let (first, others) = links("QUEUE__REDIS_URLS", &settings.queue_redis_urls, shared)?;
    if others.is_empty() {
        return Ok(Arc::new(RedisWire::new(first)));
    }
    let wire = |link| -> Arc<dyn Wire> { Arc::new(RedisWire::new(link)) };
    Ok(Arc::new(SpreadWire::new(wire(first), others.into_iter().map(wire).collect())))
}

/// The log of events, likewise.
fn events_on_redis(settings: &Settings, shared: RedisLink) -> Result<Arc<dyn EventLog>, String> {
    let (first, others) = links("EVENTS__REDIS_URLS", &settings.events_redis_urls, shared)?;
    let log = |link| -> Arc<dyn EventLog> { Arc::new(RedisEvents::new(link, settings.events_retention)) };
    if others.is_empty() {
        return Ok(log(first));
    }
    Ok(Arc::new(SpreadEvents::new(log(first), others.into_iter().map(log).collect())))
}

fn context_of(settings: Settings, db: Db, pipe: Option<Pipe>) -> Result<Context, String> {
    let retention = settings.events_retention;
    let link = match &settings.redis_url {
        Some(url) => Some(RedisLink::new(url.expose()).map_err(|error| format!("REDIS_URL: {error}"))?),
        None => None,
    };
    type Shared = (Arc<dyn Wire>, Arc<dyn EventLog>, Arc<dyn Limits>);
    let (wire, events, limits): Shared = match (link.clone(), pipe) {
        (Some(link), _) => (
            wire_on_redis(&settings, link.clone())?,
            events_on_redis(&settings, link.clone())?,
            Arc::new(RedisLimits::new(link)),
        ),
        (None, Some(pipe)) => (Arc::new(pipe.clone()), Arc::new(pipe), Arc::new(LocalLimits::new())),
        (None, None) => (
            Arc::new(LocalWire::default()),
            Arc::new(LocalEvents::new(retention)),
            Arc::new(LocalLimits::new()),
        ),
    };
    let providers =
        Providers::from_settings(&settings.ai, link).map_err(|error| format!("the HTTP client: {error}"))?;
    let embedder = Embedder::from_settings(&settings).map_err(|error| error.to_string())?;
    let vectors: Arc<dyn VectorIndex> = match &settings.qdrant {
        Some(at) => {
            let qdrant = Qdrant::new(at, &embedder.model(), embedder.dimensions());
            Arc::new(qdrant.map_err(|error| format!("QDRANT_URL: {error}"))?)
        }
        None => Arc::new(Exact::new(db.clone(), embedder.model(), settings.memory.cache_bytes)),
    };
    let memory = &settings.memory;
    if let Some((field, message)) = providers.refusal(&memory.provider, memory.model.as_deref(), &[]) {
        return Err(format!("MEMORY__{}: {message}", field.to_uppercase()));
    }
    let egress = Egress::new(settings.egress_allow.clone(), Arc::new(egress::System))
        .map_err(|error| format!("the HTTP client: {error}"))?;
    Ok(Context {
        mailer: Mailer::new(&settings)?,
        sealer: Sealer::new(&settings),
        storage: Storage::from_settings(&settings)?,
        stopping: CancellationToken::new(),
        tools: Tools::new(&settings.tools, egress)?,
        embedder,
        vectors,
        touches: Touches::start(db.clone()),
        sizes: Sizes::default(),
        warming: Warming::default(),
        groups: Groups::default(),
        words: Kept::new(settings.memory.cache_bytes / 4),
        wire,
        bells: Bells::start(Arc::clone(&events)),
        events,
        limits,
        providers,
        finals: FinalWatch::start(db.clone()),
        auth: Arc::new(Auth::new(&settings.auth)),
        depths: Depths::start(db.clone()),
        db,
        settings: Arc::new(settings),
    })
}

/// The API and its workers can only be separate processes when what they share is outside both.
pub fn require_shared_stores(settings: &Settings, role: &str) -> Result<(), String> {
    let mut missing = Vec::new();
    if settings.postgres_url.is_none() {
        missing.push("DATABASE_URL (postgres://…)");
    }
    if settings.redis_url.is_none() {
        missing.push("REDIS_URL");
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "`rapport {role}` needs {}: separate processes share PostgreSQL and Redis. To run everything in one process, \
         with nothing installed, start `rapport` without a command.",
        missing.join(" and ")
    ))
}
