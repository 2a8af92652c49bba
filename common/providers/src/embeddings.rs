//! Texts to vectors: the built-in embedder, a model in the process, or any OpenAI-compatible endpoint.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rapport_model::{Model, ModelError, Pool, Purpose};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::{ErrorClass, ProviderError, http, memory::builtin_embedder, settings};

/// Texts sent in one call at most.
pub const BATCH: usize = 96;
/// Queries whose vectors are kept.
const QUERIES: usize = 4_096;
/// Characters of a text that are embedded; models cut longer ones themselves, or refuse them.
const CHARS: usize = 8_000;
const TIMEOUT: Duration = Duration::from_secs(60);

/// The vector of one question: computed once, by whoever comes first.
type Question = Arc<OnceCell<Arc<[f32]>>>;

#[derive(Clone)]
pub struct Embedder {
    backend: Arc<Backend>,
    queries: Arc<Mutex<HashMap<String, Question>>>,
}

enum Backend {
    Local,
    Model(Pool),
    Http { pool: http::Pool, settings: settings::Embedding },
}

/// Why there is no embedder of the kind that is configured.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    #[error("EMBEDDING__MODEL_DIR: {0}")]
    Model(#[from] ModelError),
}

impl Embedder {
    /// A model's folder is read and checked, its weights are not: they come with the first text, or by [`Embedder::load`].
    pub fn from_settings(settings: &settings::Settings) -> Result<Self, SetupError> {
        let embedding = settings.embedding.clone();
        let backend = match (embedding.provider.as_str(), &embedding.model_dir) {
            ("local", _) => Backend::Local,
            ("model", Some(folder)) => {
                let model = Model::open(folder, embedding.model_max_bytes)?;
                Backend::Model(Pool::start(model, embedding.threads)?)
            }
            _ => Backend::Http { pool: http::Pool::new(&settings.ai)?, settings: embedding },
        };
        Ok(Self { backend: Arc::new(backend), queries: Arc::default() })
    }

    /// Has all that it needs in memory, so that a broken model shows at the start, and no question waits for it.
    pub fn load(&self) -> Result<(), SetupError> {
        match &*self.backend {
            Backend::Model(pool) => Ok(pool.model().load()?),
            Backend::Local | Backend::Http { .. } => Ok(()),
        }
    }

    /// For people: which embedder this is, and how to get a better one.
    pub fn describe(&self) -> String {
        match &*self.backend {
            Backend::Local => {
                "built in, by words only (by meaning: rapport model pull all-MiniLM-L6-v2)".to_owned()
            }
            Backend::Model(pool) => {
                let model = pool.model();
                let (name, dimensions, tokens) = (model.name(), model.dimensions(), model.max_tokens());
                format!("{name} in this process, {dimensions} dimensions, texts of up to {tokens} tokens")
            }
            Backend::Http { settings, .. } => format!("{} over HTTP", settings.model),
        }
    }

    /// The built-in one.
    pub fn local() -> Self {
        Self { backend: Arc::new(Backend::Local), queries: Arc::default() }
    }

    /// What vectors are tagged with: only those of one model can be compared.
    pub fn model(&self) -> String {
        match &*self.backend {
            Backend::Local => format!("{}:{}", builtin_embedder::MODEL, builtin_embedder::DIMENSIONS),
            Backend::Model(pool) => format!("{}:{}", pool.model().name(), pool.model().dimensions()),
            Backend::Http { settings, .. } => format!("{}:{}", settings.model, settings.dimensions),
        }
    }

    pub fn dimensions(&self) -> usize {
        match &*self.backend {
            Backend::Local => builtin_embedder::DIMENSIONS,
            Backend::Model(pool) => pool.model().dimensions(),
            Backend::Http { settings, .. } => settings.dimensions,
        }
    }

    /// Whether it is the built-in one.
    pub fn is_local(&self) -> bool {
        matches!(&*self.backend, Backend::Local)
    }

    /// Whether vectors of this text say what it means. A model in the process may never have learned its script; of a service nobody
    /// knows.
    pub fn reads(&self, text: &str) -> bool {
        match &*self.backend {
            Backend::Model(pool) => pool.model().reads(text),
            Backend::Local | Backend::Http { .. } => true,
        }
    }

    /// Cosine below which a text that shares no word with the question is not about it. Lexical vectors are sparser than
    /// a language model's.
    pub fn floor(&self) -> f64 {
        if self.is_local() { 0.18 } else { 0.30 }
    }

    /// How much meaning counts beside words in hybrid search. The built-in vectors know words only, and less of them than
    /// BM25 does: they are there for other forms and spellings of a word, and at equal weight cost five points of recall
    /// on LoCoMo (docs/benchmarks.md).
    pub fn weight(&self) -> f64 {
        if self.is_local() { 0.1 } else { 0.5 }
    }

    /// Vectors of length 1, one a text, in order; several texts a call.
    pub async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ProviderError> {
        match &*self.backend {
            Backend::Local => Ok(texts.iter().map(|text| builtin_embedder::embed(text)).collect()),
            Backend::Model(pool) => computed(pool, texts.to_vec(), Purpose::Text).await,
            Backend::Http { pool, settings } => {
                let mut all = Vec::with_capacity(texts.len());
                for batch in texts.chunks(BATCH) {
                    let vectors = call(pool, settings, batch).await;
                    if vectors.as_ref().is_err_and(|error| error.class == ErrorClass::Timeout) {
                        pool.renew(); // its other connections may be as silent
                    }
                    all.extend(vectors?);
                }
                Ok(all)
            }
        }
    }

    /// The vector of a question; those asked lately are remembered.
    pub async fn query(&self, text: &str) -> Result<Arc<[f32]>, ProviderError> {
        let cell = {
            let mut queries = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
            if queries.len() >= QUERIES && !queries.contains_key(text) {
                queries.clear();
            }
            Arc::clone(queries.entry(text.to_owned()).or_default())
        };
        // Several searches of one prompt ask at once: one of them computes, or whoever still waits if it is given up.
        let vector = cell.get_or_try_init(|| async {
            let texts = vec![text.to_owned()];
            let mut vectors = match &*self.backend {
                Backend::Model(pool) => computed(pool, texts, Purpose::Question).await?,
                Backend::Local | Backend::Http { .. } => self.embed(&texts).await?,
            };
            Ok::<_, ProviderError>(vectors.pop().unwrap_or_default().into())
        });
        vector.await.cloned()
    }
}

const NAME: &str = "embedding";

async fn computed(pool: &Pool, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vec<f32>>, ProviderError> {
    let vectors = pool.embed(texts, purpose).await;
    vectors.map_err(|error| ProviderError::new(NAME, ErrorClass::Unavailable, error.to_string()))
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Vec<f32>,
}

async fn call(
    pool: &http::Pool,
    settings: &settings::Embedding,
    texts: &[String],
) -> Result<Vec<Vec<f32>>, ProviderError> {
    let clipped = |text: &String| -> String {
        let text: String = text.chars().take(CHARS).collect();
        if text.trim().is_empty() { "-".to_owned() } else { text }
    };
    let input: Vec<String> = texts.iter().map(clipped).collect();
    let mut body = json!({"model": settings.model, "input": input, "encoding_format": "float"});
    // Only these can shorten their vectors; others refuse the field.
    if settings.model.starts_with("text-embedding-3") {
        body["dimensions"] = settings.dimensions.into();
    }
    let mut request = pool.post(format!("{}/embeddings", settings.base_url)).timeout(TIMEOUT).json(&body);
    if let Some(key) = &settings.api_key {
        request = request.bearer_auth(key.expose());
    }
    let response = request.send().await.map_err(|error| http::connection_error(NAME, &error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.map_err(|error| http::connection_error(NAME, &error))?;
    if !status.is_success() {
        return Err(http::status_error(NAME, status.as_u16(), &headers));
    }
    let malformed = |message: String| ProviderError::new(NAME, ErrorClass::Malformed, message);
    let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    if answer.data.len() != texts.len() {
        return Err(malformed(format!("{} vectors for {} texts", answer.data.len(), texts.len())));
    }
    let mut vectors = vec![Vec::new(); texts.len()];
    for (position, item) in answer.data.into_iter().enumerate() {
        let index = item.index.unwrap_or(position);
        let slot = vectors.get_mut(index).ok_or_else(|| malformed(format!("index {index}")))?;
        *slot = item.embedding;
    }
    for vector in &mut vectors {
        if vector.len() != settings.dimensions {
            let message = format!("{} dimensions instead of {}", vector.len(), settings.dimensions);
            return Err(ProviderError::new(NAME, ErrorClass::BadRequest, message));
        }
        builtin_embedder::to_unit(vector);
    }
    Ok(vectors)
}
