//! What everything else is made of: the domain's types and ids, errors, settings, the clock, secrets, logs and metrics. Nothing
//! here talks to anybody.

pub mod attributes;
pub mod clock;
pub mod domain;
pub mod error;
pub mod files;
pub mod last_event;
pub mod plain;
pub mod problems;
pub mod row;
pub mod secret;
pub mod settings;
pub mod telemetry;
pub mod wrong;

pub use error::{Error, Result};
