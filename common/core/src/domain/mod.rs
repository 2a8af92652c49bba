//! Plain types, no IO.

pub mod event;
pub mod file;
pub mod idempotency;
pub mod ids;
pub mod job;
pub mod memory;
pub mod message;
pub mod normal;
pub mod patch;
pub mod prompt;
pub mod request;
pub mod session;
pub mod texts;
pub mod user;
mod words;
