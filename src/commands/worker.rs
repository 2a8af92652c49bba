//! A worker alone.

use axum::{Router, routing::get};
use rapport_common::{domain::job::Queue, settings::Settings, telemetry::metrics::METRICS};
use rapport_worker::Options;
use tokio::net::TcpListener;

use crate::{commands, wiring};

#[derive(clap::Args)]
pub struct Arguments {
    /// The queues to work on, separated by commas; all by default.
    #[arg(long, value_delimiter = ',')]
    queues: Vec<Queue>,
    /// Jobs that run at once, per queue.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    concurrency: u16,
}

pub async fn run(settings: Settings, arguments: Arguments) -> Result<(), String> {
    wiring::require_shared_stores(&settings, "worker")?;
    let mut queues = arguments.queues;
    queues.sort_unstable();
    queues.dedup();
    if queues.is_empty() {
        queues = Queue::ALL.to_vec();
    }
    let db = wiring::database(&settings).await?;
    wiring::wait_for_database(&db).await?;
    wiring::check_schema(&db).await?;
    let ctx = wiring::context(settings, db)?;
    let stopping = commands::stop_signal()?;
    serve_metrics(&ctx.settings).await?;
    let names: Vec<&str> = queues.iter().map(|queue| queue.as_str()).collect();
    commands::print(&format!("rapport worker takes jobs from {}\n", names.join(", ")))?;
    rapport_worker::run(ctx.clone(), Options { queues, concurrency: arguments.concurrency.into() }, stopping)
        .await;
    ctx.db.close().await;
    Ok(())
}

/// A worker has no API; Prometheus and probes still want to look at it.
async fn serve_metrics(settings: &Settings) -> Result<(), String> {
    let port = settings.metrics_port;
    if port == 0 {
        return Ok(());
    }
    let listener = TcpListener::bind((settings.host.as_str(), port)).await;
    let listener = listener.map_err(|error| format!("METRICS_PORT {port}: {error}"))?;
    let app = Router::new()
        .route("/metrics", get(|| async { METRICS.render() }))
        .route("/livez", get(|| async { "ok" }));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the metrics listener ended");
        }
    });
    Ok(())
}
