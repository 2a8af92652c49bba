//! What the service does: use cases, and the context they run in. `api` and `worker` share it.
//!
//! Nothing here knows which stack it runs on. A *port* (`wire`, `events`, `limits`, `store::Db`) has an embedded
//! and a production adapter; `wiring` alone chooses between them.
//!
//! The crates below stand in layers, and a lower one does not know those above: `core` and `model`; `rules` and `redis`; `store`
//! and `providers`; `queue` and `vectors`; this one.

pub mod auth;
pub mod context;
pub mod follow;
pub mod mail;
pub mod sealer;
pub mod signing;
pub mod storage;
pub mod tools;
pub mod usecase;
pub mod wiring;

pub use context::{Context, Groups};
pub use rapport_core::{
    Error, Result, attributes, clock, domain, error, files, last_event, plain, problems, row, secret,
    settings, telemetry,
};
pub use rapport_providers::{self as providers, egress, embeddings};
pub use rapport_queue::{bells, depth, events, isolated, limits, presence, wire};
pub use rapport_reader as reader;
pub use rapport_redis as redis_link;
pub use rapport_rules::{chat, memory, passages, tools as http_tools};
pub use rapport_store as store;
pub use rapport_vectors as vectors;

/// What jobs carry, and how they end.
pub mod jobs {
    pub use rapport_store::{Ended, payload};
}
