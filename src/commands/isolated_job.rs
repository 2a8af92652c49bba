//! One job in a process of its own, for a worker whose process died with it before.

use rapport_common::{isolated::Pipe, settings::Settings, wiring};
use rapport_worker::isolated;
use tokio::signal::unix::{self, SignalKind};

pub async fn run(mut settings: Settings) -> Result<(), String> {
    // Its worker says when it must stop: who stops a whole group of processes means the worker.
    let ignore = |kind| unix::signal(kind).map_err(|error| format!("signals: {error}"));
    let _ignored = (ignore(SignalKind::terminate())?, ignore(SignalKind::interrupt())?);
    // When memory runs out, this process goes first. Where that cannot be set, the kernel chooses.
    let _unset = std::fs::write("/proc/self/oom_score_adj", "1000");
    settings.database_pool = 2;
    let db = wiring::database(&settings).await?;
    wiring::wait_for_database(&db).await?;
    let pipe = Pipe::default();
    let ctx = wiring::isolated_context(settings, db, pipe.clone())?;
    isolated::serve(ctx.clone(), pipe).await?;
    ctx.db.close().await;
    Ok(())
}
