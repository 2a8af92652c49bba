//! SQL and rows, one module an aggregate, nothing else.
//!
//! Every query of user data takes the user's id. All SQL is constants, listed in [`ALL_SQL`]; a test prepares each on
//! both databases, so a typo fails there and not in production.

pub mod accept;
pub mod db;
pub mod idempotency;
pub mod jobs;
pub mod ledger;
pub mod messages;
pub mod sessions;
pub mod users;
pub mod workers;

pub use db::{Conn, Db, PoolSizes, Querier, Tx, violated};

/// Every statement of the service, by module.
pub const ALL_SQL: &[(&str, &[&str])] = &[
    ("idempotency", idempotency::SQL),
    ("jobs", jobs::SQL),
    ("ledger", ledger::SQL),
    ("messages", messages::SQL),
    ("sessions", sessions::SQL),
    ("users", users::SQL),
    ("workers", workers::SQL),
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
