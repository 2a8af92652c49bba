//! A worker alone.

use rapport_common::{domain::job::Queue, presence, settings::Settings, usecase::memory::embed, wiring};
use rapport_worker::Options;

use crate::commands;

#[derive(clap::Args)]
pub struct Arguments {
    /// The queues to work on, separated by commas; all by default.
    #[arg(long, value_delimiter = ',')]
    queues: Vec<Queue>,
    /// Jobs that run at once, per queue.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub concurrency: u16,
}

impl Arguments {
    /// Each queue once.
    pub fn queues(&self) -> Vec<Queue> {
        let mut queues = if self.queues.is_empty() { Queue::ALL.to_vec() } else { self.queues.clone() };
        queues.sort_unstable();
        queues.dedup();
        queues
    }
}

pub async fn run(settings: Settings, arguments: Arguments) -> Result<(), String> {
    wiring::require_shared_stores(&settings, "worker")?;
    let queues = arguments.queues();
    let db = wiring::database(&settings).await?;
    wiring::wait_for_database(&db).await?;
    wiring::check_schema(&db).await?;
    let ctx = wiring::context(settings, db)?;
    presence::start(ctx.db.clone(), "worker");
    embed::tell_of_other_models(&ctx).await;
    let stopping = commands::stop_signal(ctx.settings.shutdown_grace, ctx.stopping.clone())?;
    // A worker has no API; Prometheus and probes still want to look at it.
    rapport_api::serve_metrics(&ctx.settings, stopping.clone()).await?;
    let names: Vec<&str> = queues.iter().map(|queue| queue.as_str()).collect();
    commands::print(&format!("rapport worker takes jobs from {}\n", names.join(", ")))?;
    let options = Options { queues, concurrency: arguments.concurrency.into() };
    commands::on_runtime(rapport_worker::run(ctx.clone(), options, stopping)).await?;
    ctx.db.close().await;
    Ok(())
}
