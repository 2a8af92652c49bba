//! What handlers take: checked before they run, refused as problems.

mod address;
mod caller;
mod fields;
mod headers;
mod here;
mod ids;
mod json;
mod late;
mod query;

pub use address::{Address, client, forwarded_https};
pub use caller::{Also, Asked, Caller, Identity, authenticate, is_versioned};
pub use headers::{KeyHeader, Prefer, Trace, after_event};
pub use here::{Here, address};
pub use ids::{
    BatchPath, ConflictPath, ConversationPath, DeliveryPath, FilePath, ItemPath, JobPath, KeyPath,
    MemberPath, MemoryPath, MessagePath, ModelPath, ProjectPath, PromptPath, ProviderPath, QueuePath,
    ResponsePath, SessionPath, ToolPath, UploadPath, UserPath, VectorStorePath, WebhookPath, response_id,
};
pub use json::{Json, JsonOrForm, Keyed, Wide, drain, parse_file, require_json, unreadable};
pub use late::Late;
pub use query::{
    CursorParams, CursorQuery, ListParams, ListQuery, NoPages, Query, SkipParams, SkipQuery, Start,
    encode_cursor,
};
