//! The tool `mcp`: servers that a request names, and the items that tell of them.

mod items;
mod tool;

pub use items::{asked, call_item, fields, heard, keep_unheard, list_item, lists, message, parts, unknown};
pub use tool::{Given, choice, complete, is_tool, read, shown};
