//! Measures this build on this machine: ratios in one run, never absolute promises.
//!
//! The stack is what `DATABASE_URL` and `REDIS_URL` say: with both, an API and workers as processes of their own;
//! without, one embedded process on a temporary file. Each run prints a table and can write JSON.

mod chat;
mod cluster;
mod memory;
mod providers;
mod queue;
mod report;
mod start;
mod streams;

use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Also write the figures here, as JSON.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum What {
    /// Chats from end to end, beside the same load on the provider directly.
    Chat(chat::Arguments),
    /// The way of a job from its announcement to its handler, beside raw Redis; and a backlog.
    Queue(queue::Arguments),
    /// Many open event streams on one API process.
    Streams(streams::Arguments),
    /// What memory search finds, and how fast.
    Memory(memory::Arguments),
    /// What adapter and router add to a plain stream.
    Providers(providers::Arguments),
    /// Start-up time and idle memory.
    Start(start::Arguments),
}

pub async fn run(arguments: Arguments) -> Result<(), String> {
    let mut report = report::Report::new()?;
    match arguments.what {
        What::Chat(arguments) => chat::run(arguments, &mut report).await?,
        What::Queue(arguments) => queue::run(arguments, &mut report).await?,
        What::Streams(arguments) => streams::run(arguments, &mut report).await?,
        What::Memory(arguments) => memory::run(arguments, &mut report).await?,
        What::Providers(arguments) => providers::run(arguments, &mut report).await?,
        What::Start(arguments) => start::run(arguments, &mut report).await?,
    }
    report.finish(arguments.json.as_deref())
}
