//! `/v1/responses`: a response is a job, and its id the job's. What is stored of it goes on after its events are gone.

pub(super) mod body;
mod create;
mod file_search;
pub(super) mod images;
pub(super) mod items;
pub(super) mod mcp;
mod object;
mod past;
pub(super) mod stored;
mod stream;
mod weave;
mod window;

pub use create::{__path_create, create};
pub use stored::{
    __path_cancel, __path_delete, __path_get, __path_input_items, cancel, delete, get, input_items,
};
