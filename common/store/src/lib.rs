//! SQL and rows, one module an aggregate, nothing else.
//!
//! Every query of user data takes the user's id. All SQL is constants, listed in [`ALL_SQL`]; a test prepares each on
//! both databases, so a typo fails there and not in production.

pub(crate) use rapport_core::{Error, Result, clock, domain, error, files, telemetry};
pub(crate) use rapport_rules::{chat, memory};

pub mod admin;
pub mod analytics;
pub mod audit;
pub mod blobs;
pub mod branches;
pub mod chats;
pub mod codes;
pub mod db;
mod ended;
pub mod erase;
pub mod extraction;
pub mod idempotency;
pub mod jobs;
pub mod keys;
pub mod ledger;
pub mod memories;
pub mod memory_conflicts;
pub mod memory_links;
pub mod memory_log;
pub mod memory_stats;
pub mod messages;
pub mod model_pace;
pub mod payload;
pub mod presence;
pub mod projects;
pub mod sessions;
pub mod settings;
pub mod terms;
pub mod tool_calls;
pub mod usage;
pub mod users;
pub mod vectors;
pub mod webhooks;
pub mod workers;

pub use db::{Conn, Db, PoolSizes, Querier, Tx, violated};
pub use ended::Ended;

/// Every statement of the service, by module.
pub const ALL_SQL: &[(&str, &[&str])] = &[
    ("admin", admin::SQL),
    ("analytics", analytics::SQL),
    ("audit", audit::SQL),
    ("branches", branches::SQL),
    ("branches", branches::SCOPE_SQL),
    ("projects", projects::SQL),
    ("webhooks", webhooks::SQL),
    ("blobs", blobs::SQL),
    ("codes", codes::SQL),
    ("erase", erase::SQL),
    ("keys", keys::SQL),
    ("extraction", extraction::SQL),
    ("idempotency", idempotency::SQL),
    ("jobs", jobs::SQL),
    ("ledger", ledger::SQL),
    ("memories", memories::change::SQL),
    ("memories", memories::evidence::SQL),
    ("memories", memories::find::SQL),
    ("memories", memories::forgotten::SQL),
    ("memories", memories::list::SQL),
    ("memories", memories::shares::SQL),
    ("memory_conflicts", memory_conflicts::SQL),
    ("memory_links", memory_links::SQL),
    ("memory_log", memory_log::SQL),
    ("memory_stats", memory_stats::SQL),
    ("messages", messages::SQL),
    ("model_pace", model_pace::SQL),
    ("presence", presence::BOTH),
    ("sessions", sessions::SQL),
    ("settings", settings::SQL),
    ("terms", terms::SQL),
    ("tool_calls", tool_calls::SQL),
    ("usage", usage::SQL),
    ("users", users::SQL),
    ("vectors", vectors::SQL),
    ("workers", workers::SQL),
];

/// The statements whose text differs between the databases.
pub const ALL_PAIRS: &[(&str, &[db::Pair])] = &[
    ("analytics", analytics::PAIRS),
    ("erase", erase::PAIRS),
    ("ledger", ledger::PAIRS),
    ("memories", memories::change::PAIRS),
    ("memories", memories::evidence::PAIRS),
    ("memories", memories::find::PAIRS),
    ("memories", memories::shares::PAIRS),
    ("memory_conflicts", memory_conflicts::PAIRS),
    ("memory_links", memory_links::PAIRS),
    ("memory_stats", memory_stats::PAIRS),
    ("messages", messages::PAIRS),
    ("sessions", sessions::PAIRS),
    ("terms", terms::PAIRS),
    ("vectors", vectors::PAIRS),
    ("workers", workers::PAIRS),
];

/// A `like` pattern that finds `text` anywhere, with the pattern's own signs taken literally (escape sign `\`).
pub fn contains_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}
