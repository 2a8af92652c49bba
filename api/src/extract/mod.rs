//! What handlers take: checked before they run, refused as problems.

mod caller;
mod headers;
mod ids;
mod json;
mod query;

pub use caller::{Caller, Identity, authenticate};
pub use headers::{IdempotencyKey, Prefer, Trace, after_event};
pub use ids::{ConflictPath, JobPath, MemoryPath, SessionPath};
pub use json::{Json, JsonOrForm, Large, Raw};
pub use query::{Page, Query, decode_cursor, encode_cursor};
