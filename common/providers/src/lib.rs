//! Model providers: one trait over their ways of speaking, and a router above it.
//!
//! An adapter (`openai`, `gemini`, `anthropic`, `mock`) opens one answer with one key and turns what the provider says
//! into [`ChatEvent`]s. Which provider and key is asked, and what follows when it fails, is the [`router`]'s.

pub mod egress;
pub mod embeddings;

pub use rapport_core::domain::prompt::{ChatMessage, Options, Role, ToolCall, ToolSpec};
pub(crate) use rapport_core::{clock, domain, secret, settings, telemetry};
pub(crate) use rapport_redis as redis_link;
pub(crate) use rapport_rules::{chat, memory, passages};

pub mod anthropic;
mod breaker;
mod complete;
pub mod error;
mod failures;
pub mod gemini;
pub mod health;
pub mod http;
pub mod hub;
pub mod logprobs;
pub mod meter;
pub mod mock;
pub mod models;
pub mod openai;
mod rates;
mod registry;
pub mod router;
pub mod sse;
mod usual;
mod wanted;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::{domain::message::Usage, secret::Secret};

pub use complete::Completion;
pub use error::{ErrorClass, IMAGES, ProviderError};
pub use meter::{Call, Meter};
pub use rates::RateHeaders;
pub use registry::{Offered, Providers};
pub use router::{Said, Try};
pub use usual::Pace;

#[derive(Debug, Clone, Default)]
pub struct ChatRequest {
    /// `None`: the provider's default.
    pub model: Option<String>,
    /// Shared by all who ask and are asked: images in them have megabytes.
    pub messages: Arc<Vec<ChatMessage>>,
    pub tools: Vec<ToolSpec>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
    /// The JSON schema of the wanted answer, for providers that can be bound to one.
    pub schema: Option<Value>,
    /// What else the caller wants of the answer.
    pub options: Options,
    /// Whether a model that cannot call functions is no use: the tools are the caller's, who waits for their calls.
    pub needs_tools: bool,
    /// Word by word, or the whole answer at once.
    pub stream: bool,
    /// Keys of the caller's own by provider, instead of the deployment's.
    pub own_keys: Vec<(String, Secret)>,
    /// W3C `traceparent`, sent along.
    pub trace: Option<String>,
    /// The provider that `auto` asks first: the one that answered the rounds before.
    pub prefer: Option<String>,
    /// Whether `auto`'s order follows a provider that was named.
    pub fallback: bool,
    /// No further try is begun after so long.
    pub within: Option<Duration>,
    /// Where the calls made for it are noted.
    pub meter: Meter,
}

impl ChatRequest {
    pub fn own_key(&self, provider: &str) -> Option<&Secret> {
        self.own_keys.iter().find(|(name, _)| name == provider).map(|(_, key)| key)
    }

    /// Tokens of the prompt, estimated; images as most models count them ([`models::Models::more_for_an_image`]).
    pub fn prompt_tokens(&self) -> usize {
        self.messages.iter().map(crate::chat::tokens::of_message).sum()
    }

    pub fn images(&self) -> usize {
        self.messages.iter().map(ChatMessage::images).sum()
    }
}

/// What a provider says, in order. A stream that ends without `Finish` was cut off.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    Delta(String),
    /// How likely the tokens were that came last, in OpenAI's form: one value a token.
    Logprobs(Vec<Value>),
    /// A call, whole.
    ToolCall(ToolCall),
    Usage(Usage),
    /// Why it stopped: `stop`, `length`, `tool_calls` or `content_filter`.
    Finish(&'static str),
}

pub type ChatStream = BoxStream<'static, Result<ChatEvent, ProviderError>>;

/// An answer that has begun.
pub struct Opened {
    pub events: ChatStream,
    /// What the provider said of our rate.
    pub limits: RateHeaders,
}

#[async_trait]
pub trait Provider: Send + Sync {
    fn name(&self) -> &str;
    fn default_model(&self) -> &str;
    /// Whether what is sent to it stays inside the deployment.
    fn is_inside(&self) -> bool;
    /// How many keys it may be asked with; 1 when it needs none.
    fn keys(&self) -> usize;
    /// Whether failures count: the built-in mock fails only when told to.
    fn can_break(&self) -> bool {
        true
    }
    /// Opens an answer with one of the keys. Dropping the stream closes the provider's connection.
    async fn chat(&self, request: &ChatRequest, key: usize) -> Result<Opened, ProviderError>;
}
