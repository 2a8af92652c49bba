//! How memories are learned and found: who reads, what embeds, where vectors are.

use std::{path::PathBuf, thread, time::Duration};

use chrono::TimeDelta;

use super::Env;
use crate::secret::Secret;

#[derive(Debug, Clone)]
pub struct Memory {
    /// Who reads windows, judges and merges: a provider's name, or `auto`.
    pub provider: String,
    /// `None`: the provider's default.
    pub model: Option<String>,
    /// How long a quiet conversation waits before it is read.
    pub idle: TimeDelta,
    /// Tokens of memories in a prompt at most.
    pub context_tokens: usize,
    /// Tokens, besides those, of memories that stand in every prompt.
    pub essential_tokens: usize,
    /// Tokens, besides those, of turns of the user's other conversations.
    pub turn_tokens: usize,
    /// Cosine from which two memories are looked at together.
    pub similarity: f64,
    /// Changes after which a user's memories are looked through for merges.
    pub consolidate_after: i64,
    /// Vectors kept in memory by exact search.
    pub cache_bytes: usize,
}

#[derive(Debug, Clone)]
pub struct Embedding {
    /// `local`, `model` (in this process) or `openai` (any endpoint of its form).
    pub provider: String,
    /// Of a sentence-transformers model.
    pub model_dir: Option<PathBuf>,
    /// A larger model is refused.
    pub model_max_bytes: u64,
    /// Threads that embed many texts; questions have one besides.
    pub threads: usize,
    /// Where models are fetched from: Hugging Face, or what has its paths.
    pub mirror: String,
    pub base_url: String,
    pub api_key: Option<Secret>,
    pub model: String,
    pub dimensions: usize,
}

#[derive(Debug, Clone)]
pub struct QdrantAt {
    /// Of its gRPC port: `http://host:6334`.
    pub url: String,
    pub api_key: Option<Secret>,
    /// Begins the names of our collections: deployments that share a server need one each.
    pub prefix: String,
    /// How often drift between the database and it is looked for.
    pub reconcile: Duration,
    pub layout: QdrantLayout,
}

/// What new collections are like; `rapport reindex` makes one.
#[derive(Debug, Clone, Copy, Default)]
pub struct QdrantLayout {
    pub quantization: Quantization,
    /// Vectors as they came stay on disk; what is made smaller stays in memory.
    pub on_disk: bool,
    /// `None`: as the server has it.
    pub shards: Option<u32>,
    pub replicas: Option<u32>,
}

/// How vectors are made smaller for the first look. What it finds is weighed again by the vectors as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quantization {
    #[default]
    None,
    /// A byte for each number.
    Int8,
    /// A bit for each number.
    Binary,
}

impl Quantization {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Int8 => "int8",
            Self::Binary => "binary",
        }
    }
}

pub fn memory(env: &mut Env) -> Memory {
    Memory {
        provider: env.text("MEMORY__PROVIDER", "auto"),
        model: env.optional("MEMORY__MODEL"),
        idle: TimeDelta::from_std(env.seconds("MEMORY__IDLE_SECONDS", 60.0, 0.0..=3_600.0))
            .unwrap_or(TimeDelta::seconds(60)),
        context_tokens: env.number("MEMORY__CONTEXT_TOKENS", 600, 0..=100_000) as usize,
        essential_tokens: env.number("MEMORY__ESSENTIAL_TOKENS", 200, 0..=10_000) as usize,
        turn_tokens: env.number("MEMORY__TURN_TOKENS", 400, 0..=100_000) as usize,
        similarity: env.number("MEMORY__SIMILARITY_PERCENT", 85, 50..=100) as f64 / 100.0,
        consolidate_after: env.number("MEMORY__CONSOLIDATE_AFTER", 20, 1..=1_000_000) as i64,
        cache_bytes: env.number("MEMORY__CACHE_MB", 256, 1..=1_000_000) as usize * 1_048_576,
    }
}

pub fn embedding(env: &mut Env) -> Embedding {
    let (base_url, api_key) = (
        env.optional("AI_SERVICES__EMBEDDING_BASE_URL"),
        env.optional("AI_SERVICES__EMBEDDING_API_KEY").map(Secret::new),
    );
    let model_dir = env.optional("EMBEDDING__MODEL_DIR").map(PathBuf::from);
    let default = match (&model_dir, base_url.is_some() || api_key.is_some()) {
        (Some(_), _) => "model",
        (None, true) => "openai",
        (None, false) => "local",
    };
    let provider = env.text("AI_SERVICES__EMBEDDING_PROVIDER", default);
    match (provider.as_str(), &model_dir) {
        ("model", None) => {
            env.problem("AI_SERVICES__EMBEDDING_PROVIDER=model needs EMBEDDING__MODEL_DIR, a model's folder");
        }
        ("local" | "openai", Some(_)) => {
            env.warn("EMBEDDING__MODEL_DIR is ignored: AI_SERVICES__EMBEDDING_PROVIDER names another");
        }
        ("local" | "openai" | "model", _) => {}
        _ => env.problem(
            "AI_SERVICES__EMBEDDING_PROVIDER must be local, model or openai (any endpoint of that form)",
        ),
    }
    let url = |env: &mut Env, name: &str, url: Option<String>, default: &str| {
        let url = url.unwrap_or_else(|| default.to_owned()).trim_end_matches('/').to_owned();
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            env.problem(&format!("{name} must begin with http:// or https://"));
        }
        url
    };
    let half = thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
    let mirror = env.optional("EMBEDDING__MIRROR");
    Embedding {
        provider,
        model_dir,
        model_max_bytes: env.number("EMBEDDING__MAX_MODEL_MB", 512, 1..=16_384) * 1_048_576,
        threads: env.number("EMBEDDING__THREADS", half as u64, 1..=256) as usize,
        mirror: url(env, "EMBEDDING__MIRROR", mirror, "https://huggingface.co"),
        base_url: url(env, "AI_SERVICES__EMBEDDING_BASE_URL", base_url, "https://api.openai.com/v1"),
        api_key,
        model: env.text("AI_SERVICES__EMBEDDING_MODEL", "text-embedding-3-small"),
        dimensions: env.number("AI_SERVICES__EMBEDDING_DIMENSIONS", 1_536, 8..=8_192) as usize,
    }
}

pub fn qdrant(env: &mut Env) -> Option<QdrantAt> {
    let api_key = env.optional("QDRANT_API_KEY").map(Secret::new);
    let reconcile = env.seconds("QDRANT__RECONCILE_SECONDS", 300.0, 1.0..=86_400.0);
    let prefix = env.text("QDRANT__COLLECTION_PREFIX", "rapport");
    let layout = qdrant_layout(env);
    let url = env.optional("QDRANT_URL")?;
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        env.problem("QDRANT_URL must begin with http:// or https:// (its gRPC port, usually 6334)");
    }
    Some(QdrantAt { url, api_key, prefix, reconcile, layout })
}

fn qdrant_layout(env: &mut Env) -> QdrantLayout {
    let on_disk = env.flag("QDRANT__ON_DISK", false);
    let quantization = match env.optional("QDRANT__QUANTIZATION").map(|text| text.to_lowercase()).as_deref() {
        // Without small vectors in memory, each search would read from the disk what it compares.
        None if on_disk => Quantization::Int8,
        None | Some("none") => Quantization::None,
        Some("int8") => Quantization::Int8,
        Some("binary") => Quantization::Binary,
        Some(_) => {
            env.problem("QDRANT__QUANTIZATION must be none, int8 or binary");
            Quantization::None
        }
    };
    let mut some = |key: &str, most| match env.number(key, 0, 0..=most) {
        0 => None,
        number => Some(number as u32),
    };
    let (shards, replicas) = (some("QDRANT__SHARDS", 1_024), some("QDRANT__REPLICAS", 64));
    QdrantLayout { quantization, on_disk, shards, replicas }
}
