//! HTTP in: routes, extractors, streams. Nothing slow, no SQL: slow work becomes a job.

mod bodies;
mod content;
mod error;
mod examples;
mod extract;
mod handlers;
mod layers;
mod mcp;
mod oauth;
mod oauth_error;
mod openapi;
mod page;
pub mod policy;
mod problem;
mod receiving;
mod routes;
mod server;
mod slots;
mod state;
mod stream;
mod table;
mod ui;
mod v1;
mod v1_error;
mod writing;

pub use routes::{description as document, rule_of};
pub use server::{serve, serve_metrics};
