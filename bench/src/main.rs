//! Measures this build on this machine: ratios in one run, never absolute promises.
//!
//! The stack is what `DATABASE_URL` and `REDIS_URL` say: with both, an API and workers as processes of their own;
//! without, one embedded process on a temporary file. Each run prints a table and can write JSON.

mod beside;
mod chat;
mod cluster;
mod commits;
mod completions;
mod embedding;
mod memory;
mod peer;
mod providers;
mod queue;
mod report;
mod start;
mod streams;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Measures the `rapport` beside it (in `target/release`, or wherever RAPPORT_BIN says) on this machine.
#[derive(Parser)]
#[command(name = "rapport-bench", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
    /// Also write the figures here, as JSON.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum What {
    /// Chats from end to end, beside the same load on the provider directly.
    Chat(chat::Arguments),
    /// What `/v1/chat/completions` adds to the provider alone, and its rate, beside LiteLLM's proxy.
    Completions(completions::Arguments),
    /// The way of a job from its announcement to its handler, beside raw Redis; and a backlog.
    Queue(queue::Arguments),
    /// Many open event streams on one API process.
    Streams(streams::Arguments),
    /// What memory search finds, and how fast.
    Memory(memory::Arguments),
    /// The model in the process: milliseconds a question, texts a second, memory.
    Embedding(embedding::Arguments),
    /// What adapter and router add to a plain stream.
    Providers(providers::Arguments),
    /// Start-up time and idle memory.
    Start(start::Arguments),
}

fn main() -> ExitCode {
    match measure(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nothing can be done if even this cannot be written.
            let _closed = writeln!(std::io::stderr(), "rapport-bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: Cli) -> Result<(), String> {
    // What is measured reads `.env`, and both must have the same stack in mind. A missing one is normal.
    let _optional = dotenvy::dotenv();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return Err("the TLS provider was installed twice".to_owned());
    }
    // Every open stream is a descriptor; the usual soft limit of 1024 is for shells.
    rlimit::increase_nofile_limit(1 << 17).map_err(|error| format!("the limit of open files: {error}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| format!("no runtime: {error}"))?.block_on(run(cli))
}

async fn run(cli: Cli) -> Result<(), String> {
    let mut report = report::Report::new().await?;
    match cli.what {
        What::Chat(arguments) => chat::run(arguments, &mut report).await?,
        What::Completions(arguments) => completions::run(arguments, &mut report).await?,
        What::Queue(arguments) => queue::run(arguments, &mut report).await?,
        What::Streams(arguments) => streams::run(arguments, &mut report).await?,
        What::Memory(arguments) => memory::run(arguments, &mut report).await?,
        What::Embedding(arguments) => embedding::run(arguments, &mut report).await?,
        What::Providers(arguments) => providers::run(arguments, &mut report).await?,
        What::Start(arguments) => start::run(arguments, &mut report).await?,
    }
    report.finish(cli.json.as_deref())
}
