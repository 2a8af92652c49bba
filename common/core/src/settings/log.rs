//! What is logged, and how.

use std::io::IsTerminal;

use super::Env;

#[derive(Debug, Clone)]
pub struct Log {
    pub json: bool,
    pub filter: String,
}

/// Ours in detail, libraries as usual: everything at `debug` is mostly the HTTP library's.
const DEBUG: &str = "info,rapport=debug";

pub fn log(env: &mut Env) -> Log {
    let format = env.text("LOG_FORMAT", if std::io::stderr().is_terminal() { "pretty" } else { "json" });
    if format != "json" && format != "pretty" {
        env.problem("LOG_FORMAT must be json or pretty");
    }
    Log { json: format == "json", filter: filter(env) }
}

/// `RUST_LOG`, or what other systems say: a level's name, or `DEBUG=true`.
fn filter(env: &mut Env) -> String {
    let ours = env.optional("RUST_LOG");
    let level = env.elsewhere("LOG_LEVEL").map(|level| level.to_lowercase());
    let of_level = match level.as_deref() {
        None => None,
        Some("trace" | "debug") => Some(DEBUG),
        Some("info") => Some("info"),
        Some("warn" | "warning") => Some("warn"),
        Some("error" | "critical" | "fatal") => Some("error"),
        Some(_) => {
            env.warn("LOG_LEVEL is none of debug, info, warning and error: the level stays as it is");
            None
        }
    };
    // Other programs give DEBUG other meanings: only a plain yes is ours.
    let debug =
        env.elsewhere("DEBUG").is_some_and(|text| ["true", "1"].contains(&text.to_lowercase().as_str()));
    match (ours, of_level) {
        (Some(ours), Some(_)) => {
            env.warn("LOG_LEVEL is ignored: RUST_LOG is set too");
            ours
        }
        (Some(ours), None) => ours,
        (None, Some(level)) => level.to_owned(),
        (None, None) => if debug { DEBUG } else { "info" }.to_owned(),
    }
}
