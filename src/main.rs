//! The command line of Rapport: one line a role.

mod commands;
mod dotenv;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, Parser, Subcommand};
use rapport_common::settings::{self, Env, Settings};

/// The C library's keeps what bursts took, and costs more (docs/decisions/0038-allocator.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    /// Take the text out of a file for a worker, within limits; a worker starts this by itself.
    #[command(name = rapport_worker::reading::COMMAND, hide = true)]
    ReadFile(commands::read_file::Arguments),
    /// Bring the database's schema up to date.
    Migrate,
    /// Make an admin, set a password, activate and deactivate accounts.
    Admin(commands::admin::Arguments),
    /// Show what is configured, without secrets, and try each dependency. Changes nothing.
    Doctor,
    /// Speak MCP over standard input and output, for programs that start their servers: passes all to a running service.
    ///
    /// RAPPORT_API_KEY holds the API key.
    Mcp(commands::mcp::Arguments),
    /// Take conversations into a running service: an export of ChatGPT, Claude, Open WebUI or LibreChat, or of Rapport.
    ///
    /// RAPPORT_API_KEY holds an API key with the scope chat.
    Import(commands::import::Arguments),
    /// Fetch models that run in this process.
    Model(commands::model::Arguments),
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
        // Before anything else is read or opened: the file may be hostile.
        Command::ReadFile(arguments) => commands::read_file::run(&arguments),
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
        Command::Doctor => {
            return commands::doctor::run(configured(Env::from_process(), flags, settings::inspect)?).await;
        }
        Command::Mcp(arguments) => {
            let settings = configured(Env::from_process(), flags, settings::inspect)?;
            return commands::mcp::run(&settings, arguments).await;
        }
        Command::Import(arguments) => {
            let settings = configured(Env::from_process(), flags, settings::inspect)?;
            return commands::import::run(&settings, arguments).await;
        }
        Command::Model(arguments) => {
            let settings = configured(Env::from_process(), flags, settings::inspect)?;
            return commands::model::run(&settings, arguments).await;
        }
        other => other,
    };
    let settings = configured(Env::from_process(), flags, settings::load)?;
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
        Command::Completions { .. }
        | Command::Doctor
        | Command::Import(_)
        | Command::Mcp(_)
        | Command::MockProvider(_)
        | Command::Model(_)
        | Command::Openapi
        | Command::ReadFile(_) => Ok(()),
    }
}

fn configured(
    mut env: Env,
    flags: Flags,
    read: fn(&mut Env) -> Result<Settings, String>,
) -> Result<Settings, String> {
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

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;
    use rapport_common::domain::job::Queue;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    fn refused(line: &str) -> (ErrorKind, String) {
        let error = parse(line).err().expect("it is refused");
        (error.kind(), error.to_string())
    }

    fn worker(line: &str) -> (Vec<Queue>, u16) {
        match parse(line).unwrap().command {
            Some(Command::Worker(arguments)) => (arguments.queues(), arguments.concurrency),
            _ => panic!("{line} starts no worker"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_everything_starts() {
        assert!(parse("rapport").unwrap().command.is_none());
    }

    #[test]
    fn flags_stand_before_and_behind_the_command() {
        for line in
            ["rapport --host ::1 --port 0 --data-dir /d api", "rapport api --host ::1 --port 0 --data-dir /d"]
        {
            let Cli { flags, command } = parse(line).unwrap();
            assert!(matches!(command, Some(Command::Api)), "{line}");
            assert_eq!((flags.host.as_deref(), flags.port), (Some("::1"), Some(0)), "{line}");
            assert_eq!(flags.data_dir, Some(PathBuf::from("/d")), "{line}");
        }
    }

    #[test]
    fn a_worker_takes_all_queues_or_those_that_are_named_each_once() {
        assert_eq!(worker("rapport worker"), (Queue::ALL.to_vec(), 64));
        let named = worker("rapport worker --queues memory,chat --queues chat --concurrency 2");
        assert_eq!(named, (vec![Queue::Chat, Queue::Memory], 2));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_what_is_allowed() {
        let (kind, text) = refused("rapport worker --queues chat,nope");
        assert_eq!(kind, ErrorKind::ValueValidation);
        assert!(text.contains("nope") && text.contains("--queues"), "{text}");
        for (line, allowed) in [
            ("rapport worker --concurrency 0", "1..=10000"),
            ("rapport --port 65536", "0..=65535"),
            ("rapport completions tcsh", "bash"),
        ] {
            let (_, text) = refused(line);
            assert!(text.contains(allowed), "{line}: {text}");
        }
        assert_eq!(refused("rapport serv").0, ErrorKind::InvalidSubcommand);
        assert_eq!(refused("rapport --verbose").0, ErrorKind::UnknownArgument);
    }

    #[test]
    fn help_names_each_command_but_the_one_that_is_not_for_people() {
        let help = Cli::command().render_long_help().to_string();
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let shown = help.lines().any(|line| line.trim_start().split(' ').next() == Some(name));
            let hidden = [rapport_worker::isolated::COMMAND, rapport_worker::reading::COMMAND];
            assert_eq!(shown, !hidden.contains(&name), "{name}: {help}");
            assert!(command.get_about().is_some(), "{name} does not say what it does");
        }
        for default in
            ["[default: HOST, or 127.0.0.1]", "[default: PORT, or 8000]", "[default: DATA_DIR, or ./data]"]
        {
            assert!(help.contains(default), "{default}: {help}");
        }
    }

    fn inspected(pairs: &[(&str, &str)], line: &str) -> Result<Settings, String> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        configured(Env::from_pairs(pairs), parse(line).unwrap().flags, settings::inspect)
    }

    #[test]
    fn a_flag_counts_more_than_the_variable_of_the_same_name() {
        let variables = [("HOST", "10.0.0.1"), ("PORT", "1"), ("DATA_DIR", "/variable")];
        let settings = inspected(&variables, "rapport").unwrap();
        assert_eq!((settings.host.as_str(), settings.port), ("10.0.0.1", 1));
        let settings = inspected(&variables, "rapport --port 2 --data-dir /flag").unwrap();
        assert_eq!((settings.host.as_str(), settings.port), ("10.0.0.1", 2));
        assert_eq!(settings.data_dir, PathBuf::from("/flag"));
    }

    #[test]
    fn every_wrong_setting_is_told_of_at_once_a_line_each() {
        let wrong = [("PORT", "http"), ("SHUTDOWN_GRACE", "soon"), ("DATA_DIR", "/none")];
        let told = inspected(&wrong, "rapport").expect_err("it is refused");
        let mut lines = told.lines();
        assert_eq!(lines.next(), Some("The configuration has problems:"));
        let problems: Vec<&str> = lines.collect();
        assert_eq!(problems.len(), 2, "{told}");
        for name in ["PORT", "SHUTDOWN_GRACE"] {
            assert!(problems.iter().any(|line| line.starts_with(&format!("  {name} must be"))), "{told}");
        }
    }

    #[test]
    fn separate_processes_are_told_which_stores_they_lack() {
        let without = inspected(&[("DATA_DIR", "/none")], "rapport").unwrap();
        let told = rapport_common::wiring::require_shared_stores(&without, "worker").err().unwrap();
        assert!(
            told.starts_with("`rapport worker` needs DATABASE_URL (postgres://…) and REDIS_URL:"),
            "{told}"
        );
        let database = [
            ("DATABASE_URL", "postgres://u@h/d"),
            ("SECRET_KEY", "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"),
        ];
        let told =
            rapport_common::wiring::require_shared_stores(&inspected(&database, "rapport").unwrap(), "api")
                .err()
                .unwrap();
        assert!(told.starts_with("`rapport api` needs REDIS_URL:"), "{told}");
    }
}
