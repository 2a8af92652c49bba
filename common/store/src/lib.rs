//! SQL and rows, one module an aggregate, nothing else.
//!
//! Every query of user data takes the user's id. All SQL is constants made by `statements!`, which lists them in [`STATEMENTS`]; a
//! test prepares each on both databases, so a typo fails there and not in production.

#![deny(dead_code)]

pub(crate) use rapport_core::{Error, Result, clock, domain, error, telemetry};
pub(crate) use rapport_rules::{chat, memory};

pub mod admin;
pub mod analytics;
pub mod answers;
pub mod audit;
pub mod blobs;
pub mod branches;
pub mod chats;
pub mod chunks;
pub mod codes;
pub mod conversations;
pub mod db;
mod ended;
pub mod erase;
pub mod extraction;
pub mod files;
pub mod group;
pub mod http_tools;
pub mod idempotency;
pub mod imports;
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
pub mod oauth;
pub mod past_turns;
pub mod payload;
pub mod presence;
pub mod projects;
pub mod requests;
pub mod retention;
pub mod sessions;
pub mod settings;
pub mod terms;
pub mod tool_calls;
pub mod uploads;
pub mod usage;
pub mod users;
pub mod vector_index;
pub mod vector_stores;
pub mod vectors;
pub mod webhooks;
pub mod whole;
pub mod words;
pub mod workers;

pub use db::{Address, Conn, Db, PoolSizes, Querier, Tx, violated};
pub use ended::Ended;

/// Every statement of the service. The list of a module that is missing here is dead code, and does not compile.
pub const STATEMENTS: &[db::Listed] = &[
    admin::STATEMENTS,
    analytics::STATEMENTS,
    answers::STATEMENTS,
    audit::STATEMENTS,
    blobs::STATEMENTS,
    branches::STATEMENTS,
    chats::STATEMENTS,
    chunks::STATEMENTS,
    codes::STATEMENTS,
    conversations::STATEMENTS,
    db::STATEMENTS,
    db::indexes::STATEMENTS,
    erase::STATEMENTS,
    extraction::STATEMENTS,
    files::STATEMENTS,
    http_tools::STATEMENTS,
    imports::STATEMENTS,
    idempotency::STATEMENTS,
    jobs::STATEMENTS,
    keys::STATEMENTS,
    ledger::STATEMENTS,
    memories::change::STATEMENTS,
    memories::evidence::STATEMENTS,
    memories::find::STATEMENTS,
    memories::forgotten::STATEMENTS,
    memories::list::STATEMENTS,
    memories::shares::STATEMENTS,
    memory_conflicts::STATEMENTS,
    memory_links::STATEMENTS,
    memory_log::STATEMENTS,
    memory_stats::STATEMENTS,
    messages::STATEMENTS,
    model_pace::STATEMENTS,
    oauth::STATEMENTS,
    past_turns::STATEMENTS,
    presence::STATEMENTS,
    projects::STATEMENTS,
    retention::STATEMENTS,
    requests::STATEMENTS,
    sessions::STATEMENTS,
    settings::STATEMENTS,
    terms::STATEMENTS,
    tool_calls::STATEMENTS,
    uploads::STATEMENTS,
    usage::STATEMENTS,
    users::STATEMENTS,
    vector_index::STATEMENTS,
    vector_stores::STATEMENTS,
    vectors::STATEMENTS,
    vectors::of_chunks::STATEMENTS,
    vectors::of_memories::STATEMENTS,
    vectors::of_messages::STATEMENTS,
    webhooks::STATEMENTS,
    whole::STATEMENTS,
    words::STATEMENTS,
    words::convert::STATEMENTS,
    words::fold::STATEMENTS,
    words::search::STATEMENTS,
    words::fill::STATEMENTS,
    words::loose::STATEMENTS,
    words::postings::STATEMENTS,
    words::said::STATEMENTS,
    words::sheets::STATEMENTS,
    workers::STATEMENTS,
];

/// The smallest id (a UUID of version 7) of a moment.
pub(crate) fn first_id(moment: chrono::DateTime<chrono::Utc>) -> uuid::Uuid {
    uuid::Builder::from_unix_timestamp_millis(moment.timestamp_millis().max(0) as u64, &[0; 10]).into_uuid()
}

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
