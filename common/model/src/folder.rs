//! What a model's folder says of it: the shape of its network, how texts become one vector, and how long they may be.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::ModelError;

const SETTINGS_MAX: u64 = 1 << 20;
const TOKENIZER_MAX: u64 = 64 << 20;
const SUPPORTED: &str = "models of BERT's type are supported, such as all-MiniLM-L6-v2, bge-small-en-v1.5 and multilingual-e5-small";

/// config.json.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    model_type: String,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub max_position_embeddings: usize,
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    pub layer_norm_eps: f32,
    hidden_act: String,
    position_embedding_type: Option<String>,
}

fn two() -> usize {
    2
}

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pooling {
    Mean,
    First,
}

/// An entry of modules.json.
#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

pub struct Folder {
    pub config: Config,
    pub pooling: Pooling,
    /// Of a text, marks included; what is longer is cut.
    pub max_tokens: usize,
    /// Put before questions and before texts, for models that were trained so.
    pub query_prompt: String,
    pub text_prompt: String,
    pub weights: PathBuf,
    pub tokenizer: PathBuf,
    pub tokenizer_bytes: Vec<u8>,
}

impl Folder {
    /// Reads everything but the weights; `hash` then has seen what the vectors depend on.
    pub fn read(path: &Path, hash: &mut Sha256) -> Result<Self, ModelError> {
        let modules_path = path.join("modules.json");
        let modules: Vec<Module> = read_json(&modules_path, hash)?.unwrap_or_default();
        let mut base = path.to_owned();
        let mut pooling = Pooling::Mean;
        for module in &modules {
            let folder = below(path, &module.path).ok_or_else(|| ModelError::Broken {
                path: modules_path.clone(),
                problem: format!("{:?} is no folder of the model", module.path),
            })?;
            match module.kind.rsplit('.').next().unwrap_or_default() {
                "Transformer" => base = folder,
                "Pooling" => pooling = read_pooling(folder.join("config.json"), hash)?,
                // Vectors are made to have the length 1, whatever it says.
                "Normalize" => {}
                other => return Err(unsupported(modules_path, format!("a module of the type {other}"))),
            }
        }
        let config_path = base.join("config.json");
        let config: Option<Config> = read_json(&config_path, hash)?;
        let config = config.ok_or_else(|| ModelError::Missing(config_path.clone()))?;
        check(&config, &config_path)?;
        let limits: Option<Value> = read_json(&base.join("sentence_bert_config.json"), hash)?;
        let limit = limits.and_then(|limits| limits["max_seq_length"].as_u64()).unwrap_or(u64::MAX);
        let max_tokens = config.max_position_embeddings.min(usize::try_from(limit).unwrap_or(usize::MAX));
        let prompts: Option<Value> = read_json(&path.join("config_sentence_transformers.json"), hash)?;
        let prompts = prompts.unwrap_or_default();
        let tokenizer = base.join("tokenizer.json");
        let tokenizer_bytes = read_bytes(&tokenizer, TOKENIZER_MAX, hash)?;
        Ok(Self {
            pooling,
            max_tokens: max_tokens.max(3),
            query_prompt: prompt(&prompts, &["query"]),
            text_prompt: prompt(&prompts, &["document", "passage", "corpus"]),
            weights: base.join("model.safetensors"),
            tokenizer_bytes: tokenizer_bytes.ok_or_else(|| ModelError::Missing(tokenizer.clone()))?,
            tokenizer,
            config,
        })
    }
}

/// A prompt of one of these names, or the one that is the default.
fn prompt(settings: &Value, names: &[&str]) -> String {
    let default = settings["default_prompt_name"].as_str();
    let mut names = names.iter().copied().chain(default);
    let found = names.find_map(|name| settings["prompts"][name].as_str());
    found.unwrap_or_default().to_owned()
}

fn unsupported(path: PathBuf, what: String) -> ModelError {
    ModelError::Unsupported { path, what, supported: SUPPORTED }
}

/// A folder that stands in the model's own, or that itself.
fn below(path: &Path, name: &str) -> Option<PathBuf> {
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    inside.then(|| if name.is_empty() { path.to_owned() } else { path.join(name) })
}

fn read_pooling(path: PathBuf, hash: &mut Sha256) -> Result<Pooling, ModelError> {
    let settings: Option<Value> = read_json(&path, hash)?;
    let settings = settings.ok_or_else(|| ModelError::Missing(path.clone()))?;
    let mut modes: Vec<&str> = settings["pooling_mode"].as_str().into_iter().collect();
    for (key, value) in settings.as_object().into_iter().flatten() {
        modes.extend(key.strip_prefix("pooling_mode_").filter(|_| value == &Value::Bool(true)));
    }
    match modes[..] {
        ["mean" | "mean_tokens"] => Ok(Pooling::Mean),
        ["cls" | "cls_token"] => Ok(Pooling::First),
        _ => Err(ModelError::Unsupported {
            path,
            what: format!("the pooling {}", modes.join(" + ")),
            supported: "mean and cls are supported",
        }),
    }
}

fn check(config: &Config, path: &Path) -> Result<(), ModelError> {
    let fail = |what: String| Err(unsupported(path.to_owned(), what));
    if config.model_type != "bert" {
        return fail(format!("the model_type {:?}", config.model_type));
    }
    if config.hidden_act != "gelu" {
        return fail(format!("the hidden_act {:?}", config.hidden_act));
    }
    if config.position_embedding_type.as_deref().is_some_and(|kind| kind != "absolute") {
        return fail("positions that are not absolute".to_owned());
    }
    for (name, value, most) in [
        ("vocab_size", config.vocab_size, 2_000_000),
        ("hidden_size", config.hidden_size, 4_096),
        ("intermediate_size", config.intermediate_size, 32_768),
        ("num_hidden_layers", config.num_hidden_layers, 64),
        ("num_attention_heads", config.num_attention_heads, 128),
        ("type_vocab_size", config.type_vocab_size, 16),
    ] {
        if value == 0 || value > most {
            return fail(format!("{name} {value}, which is not from 1 to {most}"));
        }
    }
    if !(8..=8_192).contains(&config.max_position_embeddings) {
        return fail(format!(
            "max_position_embeddings {}, which is not from 8 to 8192",
            config.max_position_embeddings
        ));
    }
    if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
        return fail(format!(
            "{} heads, which do not share {} numbers",
            config.num_attention_heads, config.hidden_size
        ));
    }
    Ok(())
}

/// `None`: there is no such file.
fn read_json<T: DeserializeOwned>(path: &Path, hash: &mut Sha256) -> Result<Option<T>, ModelError> {
    let Some(bytes) = read_bytes(path, SETTINGS_MAX, hash)? else { return Ok(None) };
    let read = serde_json::from_slice(&bytes);
    read.map(Some).map_err(|error| ModelError::Broken { path: path.to_owned(), problem: error.to_string() })
}

fn read_bytes(path: &Path, most: u64, hash: &mut Sha256) -> Result<Option<Vec<u8>>, ModelError> {
    use std::io::Read;
    let reading = |error| ModelError::reading(path.to_owned(), error);
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(reading)?,
    };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(reading)?;
    if bytes.len() as u64 > most {
        let problem = format!("it is longer than {most} bytes");
        return Err(ModelError::Broken { path: path.to_owned(), problem });
    }
    hash.update(&bytes);
    Ok(Some(bytes))
}
