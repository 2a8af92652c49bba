//! Tools over HTTP: how they are described, what a call of one says, and how a document of OpenAPI describes them.

mod definition;
mod fill;
pub mod openapi;
mod schema;

pub use definition::{Definition, Described, METHODS, Place, TIMEOUT_MAX, TOOLS_MAX, header_names};
pub use fill::Filled;

#[cfg(test)]
mod tests;
