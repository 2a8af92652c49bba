//! Why a model cannot be used: each says which file, what is wrong, and where it helps, what to do.

use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("{} is missing: a sentence-transformers model has config.json, tokenizer.json and model.safetensors", .0.display())]
    Missing(PathBuf),
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} is broken: {problem}", path.display())]
    Broken { path: PathBuf, problem: String },
    #[error("{} has {}: {supported}", path.display(), what)]
    Unsupported { path: PathBuf, what: String, supported: &'static str },
    #[error("{} is too large: {megabytes} MB, and EMBEDDING__MAX_MODEL_MB allows {allowed}", path.display())]
    TooLarge { path: PathBuf, megabytes: u64, allowed: u64 },
    #[error("{name} gives numbers that are none: its weights are broken")]
    NotANumber { name: String },
    #[error("no threads for the model: {0}")]
    NoThreads(io::Error),
}

pub const MEBIBYTE: u64 = 1 << 20;

impl ModelError {
    pub(crate) fn reading(path: PathBuf, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing(path),
            _ => Self::Unreadable { path, error },
        }
    }
}
