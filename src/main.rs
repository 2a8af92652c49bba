//! The command line of Rapport: one line a role.

mod commands;
mod dotenv;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, Parser, Subcommand};
use rapport_common::settings::{self, Env, Settings};

/// The version, and the commit it was built from where that is known.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("RAPPORT_BUILT_FROM"));

/// A self-hosted chat backend that remembers its users. Without a command it starts everything in one process.
///
/// Settings come from the environment and from a `.env` file; .env.example has them all.
#[derive(Parser)]
#[command(version = VERSION, about)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What counts more than the variable of the same name.
#[derive(Args)]
struct Flags {
    /// The address to listen on [default: HOST, or 127.0.0.1]
    #[arg(long, global = true)]
    host: Option<String>,
    /// The port to listen on, 0 for a free one [default: PORT, or 8000]
    #[arg(long, global = true)]
    port: Option<u16>,
    /// The folder for what is kept in files [default: DATA_DIR, or ./data]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Start the API and every worker in one process (the default).
    Serve,
    /// Start the API alone. Needs PostgreSQL and Redis.
    Api,
    /// Start a worker alone. Needs PostgreSQL and Redis.
    Worker(commands::worker::Arguments),
    /// Run one job for a worker that does not trust it; a worker starts this by itself.
    #[command(name = rapport_worker::isolated::COMMAND, hide = true)]
    IsolatedJob,
    /// Bring the database's schema up to date.
    Migrate,
    /// Make an admin, set a password, activate and deactivate accounts.
    Admin(commands::admin::Arguments),
    /// Show what is configured, without secrets, and try each dependency. Changes nothing.
    Doctor,
    /// Rebuild the vector index from the database.
    Reindex(commands::reindex::Arguments),
    /// Serve the mock model over HTTP, in OpenAI's form, with faults on demand.
    MockProvider(commands::mock_provider::Arguments),
    /// Print the API's OpenAPI description.
    Openapi,
    /// Print a completion script for a shell.
    Completions {
        /// The shell that will read it.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    // First of all, so that `--help` and `--version` answer whatever is wrong with the configuration.
    let Cli { flags, command } = Cli::parse();
    let command = command.unwrap_or(Command::Serve);
    let done = match command {
        Command::Openapi => commands::print_openapi(),
        Command::Completions { shell } => commands::print_completions(shell, &mut Cli::command()),
        command => start(flags, command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

fn start(flags: Flags, command: Command) -> Result<(), String> {
    dotenv::load()?;
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return Err("the TLS provider was installed twice".to_owned());
    }
    // Every open stream is a descriptor; the usual soft limit of 1024 is for shells.
    rlimit::increase_nofile_limit(1 << 17).map_err(|error| format!("the limit of open files: {error}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| format!("no runtime: {error}"))?.block_on(run(flags, command))
}

async fn run(flags: Flags, command: Command) -> Result<(), String> {
    // These need no configuration of the service, and doctor must not make any.
    let command = match command {
        Command::MockProvider(arguments) => return commands::mock_provider::run(arguments).await,
        Command::Doctor => return commands::doctor::run(configured(flags, settings::inspect)?).await,
        other => other,
    };
    let settings = configured(flags, settings::load)?;
    rapport_common::telemetry::log::init(&settings.log)?;
    let is_service = matches!(command, Command::Serve | Command::Api | Command::Worker(_) | Command::Migrate);
    for warning in settings.warnings.iter().filter(|_| is_service) {
        tracing::warn!("{warning}");
    }
    match command {
        Command::Serve => commands::serve::run(settings).await,
        Command::Api => commands::api::run(settings).await,
        Command::Worker(arguments) => commands::worker::run(settings, arguments).await,
        Command::IsolatedJob => commands::isolated_job::run(settings).await,
        Command::Admin(arguments) => commands::admin::run(settings, arguments).await,
        Command::Migrate => commands::migrate::run(settings).await,
        Command::Reindex(arguments) => commands::reindex::run(settings, arguments).await,
        Command::Completions { .. } | Command::Doctor | Command::MockProvider(_) | Command::Openapi => Ok(()),
    }
}

fn configured(flags: Flags, read: fn(&mut Env) -> Result<Settings, String>) -> Result<Settings, String> {
    let mut env = Env::from_process();
    let port = flags.port.map(|port| port.to_string());
    let folder = flags.data_dir.map(|folder| folder.display().to_string());
    for (key, value) in [("HOST", flags.host), ("PORT", port), ("DATA_DIR", folder)] {
        if let Some(value) = value {
            env.set(key, value);
        }
    }
    read(&mut env)
        .map_err(|problems| format!("The configuration has problems:\n  {}", problems.replace('\n', "\n  ")))
}

fn fail(message: &str) -> ExitCode {
    // Nothing can be done if even this cannot be written.
    let _closed = writeln!(std::io::stderr(), "rapport: {message}");
    ExitCode::FAILURE
}
