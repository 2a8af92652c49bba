//! `/v1`: the APIs that programs speak already, over the same jobs as every chat (docs/openai.md).

mod answer;
mod anthropic;
mod body;
mod completions;
pub mod conversations;
mod embeddings;
pub mod files;
mod gone;
mod growing;
mod lists;
mod models;
mod ranking;
mod responses;
mod stream;
mod turns;
pub mod vector_stores;

pub use anthropic::{__path_count_tokens, __path_messages, count_tokens, messages};
pub use completions::{__path_completions, completions};
pub use embeddings::{__path_embeddings, embeddings};
pub use models::{__path_list, __path_one, list, one};
pub use responses::{
    __path_cancel, __path_create, __path_delete, __path_get, __path_input_items, cancel, create, delete, get,
    input_items,
};
