//! The domain of Rapport and its ports: everything `api` and `worker` share.
//!
//! Nothing here knows which stack it runs on. A *port* (`wire`, `events`, `limits`, `store::Db`) has an embedded
//! and a production adapter; `src/wiring.rs` of the binary alone chooses between them.

pub mod auth;
pub mod chat;
pub mod clock;
pub mod context;
pub mod depth;
pub mod domain;
pub mod egress;
pub mod embeddings;
pub mod error;
pub mod events;
pub mod files;
pub mod isolated;
pub mod jobs;
pub mod limits;
pub mod mail;
pub mod memory;
pub mod plain;
pub mod presence;
pub mod providers;
pub mod redis_link;
pub mod sealer;
pub mod secret;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod tools;
pub mod usecase;
pub mod vectors;
pub mod wire;

pub use context::Context;
pub use error::{Error, Result};
