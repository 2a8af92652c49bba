//! The API alone.

use rapport_common::{presence, settings::Settings, wiring};

use crate::commands;

pub async fn run(settings: Settings) -> Result<(), String> {
    wiring::require_shared_stores(&settings, "api")?;
    let listener = commands::listen(&settings).await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let db = wiring::database(&settings).await?;
    wiring::wait_for_database(&db).await?;
    wiring::check_schema(&db).await?;
    let ctx = wiring::context(settings, db)?;
    presence::start(ctx.db.clone(), "api");
    let stopping = commands::stop_signal(ctx.settings.shutdown_grace, ctx.stopping.clone())?;
    rapport_api::serve_metrics(&ctx.settings, stopping.clone()).await?;
    commands::print(&format!("rapport api listens on {}\n", commands::reachable(address)))?;
    let unready = ctx.settings.shutdown_unready;
    commands::on_runtime(rapport_api::serve(ctx.clone(), listener, stopping, unready)).await?;
    ctx.db.close().await;
    Ok(())
}
