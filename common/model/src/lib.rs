//! A sentence-transformers model in the process: texts to vectors by their meaning, in Rust alone, without a network.
//!
//! [`Model`] reads a folder as Hugging Face has them (`config.json`, `tokenizer.json`, `model.safetensors` and what says how
//! they are used) and computes BERT's encoder. [`Pool`] runs it on threads of its own, so that the server's never wait for
//! arithmetic. docs/decisions/0021 says why no inference library is used, with figures.

mod bert;
mod error;
mod folder;
mod math;
mod matrix;
mod pool;
mod safetensors;
mod tokens;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

use bert::Bert;
pub use error::{MEBIBYTE, ModelError};
use folder::{Config, Folder, Pooling};
pub use pool::{Busy, Pool};
use safetensors::Safetensors;
use tokens::Tokenizer;

/// Tokens that are computed at once: enough to use the weights many times for each time they come from memory, few enough
/// that a question behind them waits for 50 ms and no longer.
const TOKENS_AT_ONCE: usize = 128;

pub struct Model {
    name: String,
    config: Config,
    pooling: Pooling,
    max_tokens: usize,
    query_prompt: String,
    text_prompt: String,
    tokenizer: Tokenizer,
    file: Safetensors,
    /// The weights, once they are needed.
    bert: Mutex<Option<Arc<Bert>>>,
}

/// What a text is embedded for: some models are told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Purpose {
    Question,
    Text,
}

impl Model {
    /// Reads and checks all but the weights.
    pub fn open(path: &Path, max_bytes: u64) -> Result<Self, ModelError> {
        let mut hash = Sha256::new();
        let folder = Folder::read(path, &mut hash)?;
        let config = folder.config;
        let file = Safetensors::open(folder.weights, max_bytes)?;
        bert::check(&file, &config)?;
        file.fingerprint(&mut hash)?;
        let tokenizer = Tokenizer::read(folder.tokenizer, &folder.tokenizer_bytes, config.vocab_size)?;
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let called = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mark: String = hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            name: format!("{called}-{mark}"),
            config,
            pooling: folder.pooling,
            max_tokens: folder.max_tokens,
            query_prompt: folder.query_prompt,
            text_prompt: folder.text_prompt,
            tokenizer,
            file,
            bert: Mutex::default(),
        })
    }

    /// The folder's name, with a mark of what is in it: vectors of another model under the same name are told apart.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn dimensions(&self) -> usize {
        self.config.hidden_size
    }

    /// Of a text at most; what is longer is cut.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Whether it learned the words of a text's language, as far as its vocabulary tells.
    pub fn reads(&self, text: &str) -> bool {
        self.tokenizer.reads(text)
    }

    /// Reads the weights, unless they were read before, and tries them.
    pub fn load(&self) -> Result<(), ModelError> {
        self.embed(&["Does it answer?".to_owned()], Purpose::Question, || true).map(drop)
    }

    fn loaded(&self) -> Result<Arc<Bert>, ModelError> {
        let mut bert = self.bert.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bert) = &*bert {
            return Ok(Arc::clone(bert));
        }
        let loaded = Arc::new(Bert::load(&self.file, &self.config, self.pooling)?);
        *bert = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Vectors of length 1, one a text, in order. `between` is asked between two pieces of the work; at `false` it ends.
    pub fn embed(
        &self,
        texts: &[String],
        purpose: Purpose,
        mut between: impl FnMut() -> bool,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let bert = self.loaded()?;
        let mut vectors: Vec<Vec<f32>> = Vec::with_capacity(texts.len());
        let mut waiting: Vec<Vec<u32>> = Vec::new();
        let mut tokens = 0;
        for text in texts {
            let next = self.encode(text, purpose);
            if tokens + next.len() > TOKENS_AT_ONCE && !waiting.is_empty() {
                vectors.extend(bert.embed(&waiting));
                (tokens, waiting) = (0, Vec::new());
                if !between() {
                    return Ok(vectors);
                }
            }
            tokens += next.len();
            waiting.push(next);
        }
        vectors.extend(bert.embed(&waiting));
        if vectors.iter().flatten().all(|number| number.is_finite()) {
            Ok(vectors)
        } else {
            Err(ModelError::NotANumber { name: self.name.clone() })
        }
    }

    fn encode(&self, text: &str, purpose: Purpose) -> Vec<u32> {
        let prompt = if purpose == Purpose::Question { &self.query_prompt } else { &self.text_prompt };
        let encoded = if prompt.is_empty() {
            self.tokenizer.encode(text, self.max_tokens)
        } else {
            self.tokenizer.encode(&format!("{prompt}{text}"), self.max_tokens)
        };
        // A text of no tokens, where a model has no marks: the first word of the vocabulary, which is padding.
        if encoded.is_empty() { vec![0] } else { encoded }
    }
}
