//! How MCP clients sign in: what they discover, how they register, where their users' browsers are sent, and their tokens. The paths
//! are those that clients try without having read the metadata (MCP 2025-03-26).
//! `common/src/usecase/oauth` has the rules, docs/mcp.md the whole way.

mod authorize;
mod metadata;
mod register;
mod token;

pub use authorize::*;
pub use metadata::{authorization_server, challenge, protected_resource};
pub use register::*;
pub use token::*;
