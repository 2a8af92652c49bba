//! Real servers, real processes, real HTTP.

pub mod app;
pub mod binary;
pub mod client;
pub mod clocks;
pub mod documents;
pub mod dump;
pub mod files;
pub mod ledger;
pub mod left;
pub mod mail;
pub mod memory;
pub mod minilm;
pub mod node;
pub mod pgbouncer;
pub mod process;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod redis_cluster;
pub mod replay;
pub mod servers;
pub mod sse;

pub use app::{App, Stack};
pub use client::User;

use std::{future::Future, time::Duration};

/// Waits for a condition; panics after the deadline. Never sleep and hope.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    within: Duration,
    check: impl Fn() -> F,
) -> T {
    let deadline = tokio::time::Instant::now() + within;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
