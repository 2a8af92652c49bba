//! Files that users send: where they are kept, how much of them, and how they are read.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;

use super::Env;
use crate::secret::Secret;

#[derive(Debug, Clone)]
pub struct Files {
    /// Of one file; 0: files are not taken.
    pub max_bytes: u64,
    /// Of all files of a user.
    pub user_bytes: u64,
    pub user_files: u64,
    /// Requests of a process that send files at once: each holds up to 8 MiB.
    pub at_once: usize,
    /// `None`: a folder below the data folder.
    pub store_url: Option<String>,
    /// What that store's client is told, keys among it.
    pub store_options: BTreeMap<String, Secret>,
    /// How long an upload that nobody goes on with is kept.
    pub upload_kept: TimeDelta,
    /// A larger file is kept, and not read.
    pub read_bytes: u64,
    /// What the process that reads a file may use.
    pub read_memory: u64,
    pub read_time: Duration,
    /// Tokens of passages in a prompt at most.
    pub context_tokens: usize,
}

const MIB: u64 = 1_048_576;

pub fn files(env: &mut Env) -> Files {
    let store_url = env.optional("FILES__STORE_URL");
    let known = ["file://", "s3://", "gs://", "az://", "azure://", "abfss://", "http://", "https://"];
    if let Some(url) = &store_url
        && !known.iter().any(|scheme| url.starts_with(scheme))
    {
        env.problem("FILES__STORE_URL must begin with file://, s3://, gs://, az:// or https://");
    }
    let options = env.optional("FILES__STORE_OPTIONS");
    let options: BTreeMap<String, String> = match options.as_deref().map(serde_json::from_str) {
        None => BTreeMap::new(),
        Some(Ok(options)) => options,
        Some(Err(_)) => {
            env.problem("FILES__STORE_OPTIONS must be a JSON object of texts");
            BTreeMap::new()
        }
    };
    Files {
        max_bytes: env.number("FILES__MAX_MB", 1_024, 0..=1_048_576) * MIB,
        user_bytes: env.number("FILES__USER_MB", 5_120, 1..=1_000_000_000) * MIB,
        at_once: env.number("FILES__AT_ONCE", 64, 1..=10_000) as usize,
        user_files: env.number("FILES__USER_FILES", 1_000, 1..=1_000_000),
        store_url,
        store_options: options.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        upload_kept: TimeDelta::from_std(env.seconds("FILES__UPLOAD_SECONDS", 86_400.0, 1.0..=2_592_000.0))
            .unwrap_or(TimeDelta::days(1)),
        read_bytes: env.number("FILES__READ_MB", 64, 1..=1_024) * MIB,
        read_memory: env.number("FILES__READ_MEMORY_MB", 1_024, 128..=65_536) * MIB,
        read_time: env.seconds("FILES__READ_SECONDS", 60.0, 1.0..=3_600.0),
        context_tokens: env.number("FILES__CONTEXT_TOKENS", 1_500, 0..=100_000) as usize,
    }
}
