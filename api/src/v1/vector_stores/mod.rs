//! `/v1/vector_stores`: sets of files that are searched together, as OpenAI's clients keep them.

mod batches;
mod body;
mod files;
mod object;
mod search;
mod stores;

pub use batches::{
    __path_batch, __path_batch_files, __path_cancel_batch, __path_create_batch, batch, batch_files,
    cancel_batch, create_batch,
};
pub use files::{
    __path_add, __path_member, __path_members, __path_remove, __path_set_attributes, __path_text, add,
    member, members, remove, set_attributes, text,
};
pub use search::{__path_search, search};
pub use stores::{
    __path_change, __path_create, __path_delete, __path_get, __path_list, change, create, delete, get, list,
};
