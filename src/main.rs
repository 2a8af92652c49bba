//! The command line of Rapport: one line a role.

mod commands;
mod wiring;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use rapport_common::settings::{self, Env};

/// A self-hosted chat backend that remembers its users. Without a command it starts everything in one process.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Start the API and every worker in one process (the default).
    Serve,
    /// Start the API alone. Needs PostgreSQL and Redis.
    Api,
    /// Start a worker alone. Needs PostgreSQL and Redis.
    Worker(commands::worker::Arguments),
    /// Bring the database's schema up to date.
    Migrate,
    /// Make an admin, set a password, activate and deactivate accounts.
    Admin(commands::admin::Arguments),
    /// Show what is in force, without secrets, and try each dependency.
    Doctor,
    /// Rebuild the vector index from the database.
    Reindex(commands::reindex::Arguments),
    /// Measure this build on this machine.
    Bench(commands::bench::Arguments),
    /// Serve the mock model over HTTP, in OpenAI's form, with faults on demand.
    MockProvider(commands::mock_provider::Arguments),
    /// Print the API's OpenAPI description.
    Openapi,
}

fn main() -> ExitCode {
    // A missing .env is normal; an unreadable one is not.
    if let Err(error) = dotenvy::dotenv()
        && !error.not_found()
    {
        return fail(&format!(".env: {error}"));
    }
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return fail("the TLS provider was installed twice");
    }
    // Every open stream is a descriptor; the usual soft limit of 1024 is for shells.
    if let Err(error) = rlimit::increase_nofile_limit(1 << 17) {
        return fail(&format!("the limit of open files: {error}"));
    }
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    match runtime.block_on(run(cli.command.unwrap_or(Command::Serve))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

async fn run(command: Command) -> Result<(), String> {
    // These two need no configuration of the service.
    let command = match command {
        Command::MockProvider(arguments) => return commands::mock_provider::run(arguments).await,
        Command::Bench(arguments) => return commands::bench::run(arguments).await,
        Command::Openapi => return commands::print_openapi(),
        other => other,
    };
    let settings = settings::load(&mut Env::from_process()).map_err(|problems| {
        format!("The configuration has problems:\n  {}", problems.replace('\n', "\n  "))
    })?;
    rapport_common::telemetry::log::init(&settings.log)?;
    match command {
        Command::Serve => commands::serve::run(settings).await,
        Command::Api => commands::api::run(settings).await,
        Command::Worker(arguments) => commands::worker::run(settings, arguments).await,
        Command::Admin(arguments) => commands::admin::run(settings, arguments).await,
        Command::Migrate => commands::migrate::run(settings).await,
        Command::Reindex(arguments) => commands::reindex::run(settings, arguments).await,
        Command::Doctor => commands::doctor::run(settings).await,
        Command::Bench(_) | Command::MockProvider(_) | Command::Openapi => Ok(()),
    }
}

fn fail(message: &str) -> ExitCode {
    // Nothing can be done if even this cannot be written.
    let _closed = writeln!(std::io::stderr(), "rapport: {message}");
    ExitCode::FAILURE
}
