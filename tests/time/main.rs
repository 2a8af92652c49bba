//! What takes minutes, hours or days, without waiting: leases, expiry, budgets and pauses between attempts, with the settings
//! of a user who sets none. `cargo test` runs it with the unit tests.

#![expect(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod app;
mod scenes;
