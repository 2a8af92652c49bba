//! Everything in one process.

use std::{fs::File, net::SocketAddr, time::Duration};

use chrono::TimeDelta;
use rapport_common::{
    Context, clock,
    domain::job::Queue,
    presence,
    secret::redact_url,
    settings::Settings,
    store::{self, Conn},
    usecase::memory::embed,
    wiring,
};
use rapport_worker::Options;
use tokio::time::Instant;

use crate::commands;

/// Jobs that run at once, per queue.
const CONCURRENCY: usize = 64;

pub async fn run(settings: Settings) -> Result<(), String> {
    let listener = commands::listen(&settings).await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let _lock = lock(&settings)?;
    let db = wiring::database(&settings).await?;
    wiring::wait_for_database(&db).await?;
    wiring::migrate(&db).await?;
    let ctx = wiring::context(settings, db)?;
    let banner = banner(&ctx, address);
    presence::start(ctx.db.clone(), "serve");
    take_over(&ctx).await?;
    embed::tell_of_other_models(&ctx).await;
    let stopping = commands::stop_signal(ctx.settings.shutdown_grace, ctx.stopping.clone())?;
    rapport_api::serve_metrics(&ctx.settings, stopping.clone()).await?;
    let workers = rapport_worker::run(
        ctx.clone(),
        Options { queues: Queue::ALL.to_vec(), concurrency: CONCURRENCY },
        stopping.clone(),
    );
    let workers = tokio::spawn(workers);
    commands::print(&banner)?;
    // It is alone: there is no other that a load balancer could turn to.
    commands::on_runtime(rapport_api::serve(ctx.clone(), listener, stopping, Duration::ZERO)).await?;
    workers.await.map_err(|error| format!("the workers ended badly: {error}"))?;
    ctx.db.close().await;
    Ok(())
}

/// A clock that was set back by more than this is believed, and time runs backwards once.
const SET_BACK: TimeDelta = TimeDelta::days(1);

/// The lock on the data folder proves that no other process works with it: what one before was doing is nobody's now, and
/// its leases need not be waited for.
async fn take_over(ctx: &Context) -> Result<(), String> {
    if let store::Db::Lite(_) = ctx.db {
        let ended = async {
            let mut conn = ctx.db.relaxed().await?;
            go_on_from(&mut conn).await?;
            store::ledger::end_leases(&mut conn, clock::now()).await
        };
        let ended = ended.await.map_err(|error| format!("the database: {error}"))?;
        if ended > 0 {
            tracing::warn!(jobs = ended, "taken over from a process that died");
        }
    }
    Ok(())
}

/// Time goes on from where the process before left it, though this machine's clock was set back meanwhile: what was put in
/// by then would wait for as long as it was set back.
async fn go_on_from(conn: &mut Conn) -> Result<(), sqlx::Error> {
    let now = clock::now();
    let Some(last) = store::ledger::last_seen(conn).await?.filter(|last| *last > now) else { return Ok(()) };
    tracing::warn!(%last, %now, "this machine's clock was set back");
    if last - now <= SET_BACK {
        clock::learn(Instant::now(), last);
        // And how far that is ahead, so that it is lost again from now on, in the processes that are started too.
        clock::learn(Instant::now(), clock::of_this_machine());
    } else {
        store::ledger::run_none_later(conn, now).await?;
    }
    Ok(())
}

/// One embedded service a data folder: two would each think they are alone.
fn lock(settings: &Settings) -> Result<Option<File>, String> {
    if settings.postgres_url.is_some() {
        return Ok(None);
    }
    let folder = commands::database_folder(settings);
    commands::lock(folder, "rapport.lock")?.map(Some).ok_or_else(|| {
        format!("{}: another rapport uses this data folder (set DATA_DIR to use another)", folder.display())
    })
}

fn banner(ctx: &Context, address: SocketAddr) -> String {
    let settings = &ctx.settings;
    let url = commands::reachable(address);
    let everywhere =
        if address.ip().is_unspecified() { " and on every other address of this machine" } else { "" };
    let database = match &settings.postgres_url {
        Some(url) => redact_url(url.expose()),
        None => format!("SQLite, {}", settings.sqlite_path.display()),
    };
    let redis = settings.redis_url.as_ref().map_or("in process".to_owned(), |url| redact_url(url.expose()));
    let providers: Vec<&str> = settings.ai.configured().map(|endpoint| endpoint.name).collect();
    let provider = if providers.is_empty() {
        "mock (built in, offline; set an API key for a real one, see .env.example)".to_owned()
    } else {
        providers.join(", ") + ", mock"
    };
    format!(
        r#"
  Rapport {version} listens on {url}{everywhere}

  data        {data}
  database    {database}
  queue       {redis}
  provider    {provider}
  embeddings  {embeddings}
  mail        {mail}
  reference   {url}/docs/

  Try it:

curl -s {url}/api/v1/auth/register -H 'content-type: application/json' -d '{{"username":"ann","password":"Correct-horse-1"}}'
TOKEN=$(curl -s {url}/api/v1/auth/login -d 'username=ann&password=Correct-horse-1' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -s {url}/api/v1/chat -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{{"message":"Hello!"}}'

"#,
        version = env!("CARGO_PKG_VERSION"),
        data = settings.data_dir.display(),
        embeddings = ctx.embedder.describe(),
        mail = match &settings.email.smtp_server {
            Some(server) => format!("SMTP, {server}"),
            None => format!("files in {}", settings.data_dir.join("outbox").display()),
        },
    )
}
