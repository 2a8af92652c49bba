//! Memory: what users say about themselves, found again. Everything here is pure: text in, decisions out.
//! What it costs to store and to ask is in `store`, `usecase/memory` and the worker's jobs.

pub mod bengali;
pub mod builtin_embedder;
pub mod clash;
pub mod coarse;
pub mod concepts;
pub mod cue;
pub mod decide;
pub mod essential;
pub mod extract;
pub mod frame;
pub mod json_upload;
pub mod judge;
pub mod names;
pub mod past;
pub mod quote;
pub mod rank;
pub mod records;
pub mod slots;
pub mod text;
pub mod transfer;
pub mod turns;
pub mod when;
