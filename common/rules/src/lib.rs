//! What is computed and nothing else: how memory reads, compares and ranks, how prompts and templates are put together. No
//! database, no network, no clock but the one that is given.

pub mod chat;
pub mod memory;
pub mod passages;
pub mod tools;

#[cfg(test)]
pub(crate) use rapport_core::clock;
pub(crate) use rapport_core::{domain, error, plain, problems};
