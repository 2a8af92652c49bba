//! HTTP in: routes, extractors, streams. Nothing slow, no SQL: slow work becomes a job.

mod content;
mod error;
mod examples;
mod extract;
mod handlers;
mod layers;
mod openapi;
pub mod policy;
mod routes;
mod server;
mod state;
mod stream;
mod table;
mod ui;

pub use openapi::document;
pub use routes::rule_of;
pub use server::{serve, serve_metrics};
