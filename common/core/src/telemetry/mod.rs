//! What can be seen from outside: metrics, trace context, logs.
//!
//! Logs never hold a password, a token, a key or the text of a message.

pub mod log;
pub mod metrics;
#[cfg(target_os = "linux")]
mod process;
pub mod trace;
