//! `/v1/messages`: Anthropic's API, over the same jobs.

mod answer;
mod body;
mod handlers;
mod stream;

pub use handlers::{__path_count_tokens, __path_messages, count_tokens, messages};
