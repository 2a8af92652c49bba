//! What jobs carry.

pub mod payload;
