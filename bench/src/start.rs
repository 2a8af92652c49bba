//! Start-up time and idle memory of the embedded service.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    cluster::{client, command, resident_kib, start, until_ready},
    report::{Latencies, Report},
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Starts, each on a fresh data folder; then as many on the last one.
    #[arg(long, default_value_t = 10)]
    starts: usize,
}

pub async fn run(arguments: Arguments, report: &mut Report) -> Result<(), String> {
    let client = client()?;
    let base = std::env::temp_dir().join(format!("rapport-bench-start-{}", std::process::id()));
    let (mut fresh, mut again) = (Latencies::new()?, Latencies::new()?);
    let mut memory = 0;
    for number in 0..arguments.starts * 2 {
        let is_fresh = number < arguments.starts;
        let folder = base.join(if is_fresh { number } else { arguments.starts - 1 }.to_string());
        let mut serve = command(&[])?;
        serve.env_remove("DATABASE_URL").env_remove("REDIS_URL").env("PORT", "0").env("RUST_LOG", "error");
        serve.env("DATA_DIR", &folder);
        let started = Instant::now();
        let (mut child, line) = start(serve, "http://").await?;
        let url =
            line.split_whitespace().find(|word| word.starts_with("http://")).ok_or("no address")?.to_owned();
        until_ready(&client, &format!("{url}/readyz")).await?;
        if is_fresh {
            fresh.add(started.elapsed())
        } else {
            again.add(started.elapsed())
        }
        if number + 1 == arguments.starts * 2 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            memory = resident_kib(&child).unwrap_or(0);
        }
        child.kill().await.map_err(|error| error.to_string())?;
    }
    let _temporary = std::fs::remove_dir_all(&base);
    report.latencies("start to ready, fresh data folder", &fresh)?;
    report.latencies("start to ready, existing data", &again)?;
    report.number("idle memory", memory as f64 / 1_024.0, "MiB")
}
