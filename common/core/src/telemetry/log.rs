//! Logs: JSON lines in production, readable ones on a terminal, both on standard error.

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::settings::Log;

/// Starts logging for the whole process. `Err` when the filter (`RUST_LOG`) can't be read.
pub fn init(settings: &Log) -> Result<(), String> {
    // The MCP SDK logs what servers say, word for word, and they may repeat a key: we log what matters of it ourselves.
    // apalis tells of every worker that it starts and stops.
    let filter = format!("{},rmcp=off,apalis_core=warn", settings.filter);
    let filter = EnvFilter::try_new(&filter).map_err(|error| format!("RUST_LOG: {error}"))?;
    let registry = tracing_subscriber::registry().with(filter);
    let done = if settings.json {
        let layer = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
        registry.with(layer.with_writer(std::io::stderr)).try_init()
    } else {
        registry.with(fmt::layer().compact().with_target(false).with_writer(std::io::stderr)).try_init()
    };
    done.map_err(|error| error.to_string())
}
