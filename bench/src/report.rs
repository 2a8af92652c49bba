//! Figures as a table for people and as JSON for files.

use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::Path,
    time::Duration,
};

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::cluster;

/// Latencies in microseconds, to three digits.
pub struct Latencies(Histogram<u64>);

impl Latencies {
    pub fn new() -> Result<Self, String> {
        // One microsecond to an hour.
        Histogram::new_with_bounds(1, 3_600_000_000, 3).map(Self).map_err(|error| error.to_string())
    }

    pub fn add(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_micros() as u64);
    }

    pub fn merge(&mut self, other: &Self) -> Result<(), String> {
        self.0.add(&other.0).map_err(|error| error.to_string())
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Milliseconds at a quantile.
    pub fn ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

pub struct Report {
    figures: Map<String, Value>,
}

impl Report {
    /// Opens with the machine, the build and what one durable commit costs on this disk.
    pub async fn new() -> Result<Self, String> {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let mut report = Self { figures: Map::new() };
        report.text("machine", &format!("{cores} cores,{}", cpu.trim_start_matches([' ', '\t', ':'])))?;
        report.text("build", &cluster::build().await?)?;
        report.text("command", &std::env::args().skip(1).collect::<Vec<_>>().join(" "))?;
        let commits = commit_times(60)?;
        report.latencies("durable commit (write + fdatasync)", &commits)?;
        Ok(report)
    }

    pub fn text(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.figures.insert(name.to_owned(), json!(value));
        print(&format!("{name:<52}{value}\n"))
    }

    pub fn number(&mut self, name: &str, value: f64, unit: &str) -> Result<(), String> {
        self.figures.insert(format!("{name} [{unit}]"), json!(value));
        print(&format!("{name:<52}{value:.2} {unit}\n"))
    }

    pub fn latencies(&mut self, name: &str, of: &Latencies) -> Result<(), String> {
        let (p50, p90, p99) = (of.ms(0.5), of.ms(0.9), of.ms(0.99));
        let value = json!({"count": of.count(), "p50_ms": p50, "p90_ms": p90, "p99_ms": p99});
        self.figures.insert(name.to_owned(), value);
        print(&format!("{name:<52}p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2} ms  (n={})\n", of.count()))
    }

    pub fn finish(self, path: Option<&Path>) -> Result<(), String> {
        let Some(path) = path else { return Ok(()) };
        let text = serde_json::to_string_pretty(&self.figures).map_err(|error| error.to_string())?;
        std::fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// What a database pays to make a commit durable: a page appended and synced.
fn commit_times(count: usize) -> Result<Latencies, String> {
    let path = Path::new("rapport-bench-fsync.tmp");
    let mut latencies = Latencies::new()?;
    let mut measure = || -> std::io::Result<()> {
        let mut file = File::create(path)?;
        for _ in 0..count {
            let started = Instant::now();
            file.write_all(&[7u8; 8_192])?;
            file.sync_data()?;
            latencies.add(started.elapsed());
        }
        Ok(())
    };
    let measured = measure().map_err(|error| error.to_string());
    let _temporary = std::fs::remove_file(path);
    measured.map(|()| latencies)
}

/// One who has read enough (`head`) misses nothing.
fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(()),
    }
}
