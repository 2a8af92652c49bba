//! Model providers: one trait, errors reduced to classes.
//!
//! Whoever decides what to do about an error looks at its class only.

pub mod http;
pub mod mock;
pub mod openai;
pub mod prices;
mod registry;
pub mod sse;

use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};

use crate::{domain::message::Usage, error::Code, error::Error};

pub use registry::{NAMES, Providers, RESERVED};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

#[derive(Debug, Clone)]
pub struct ChatMessage {
    pub role: Role,
    pub content: String,
}

#[derive(Debug, Clone)]
pub struct ChatRequest {
    /// `None`: the provider's default.
    pub model: Option<String>,
    pub messages: Vec<ChatMessage>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
    /// The JSON schema of the wanted answer, for providers that can be bound to one.
    pub schema: Option<serde_json::Value>,
    /// W3C `traceparent`, sent along.
    pub trace: Option<String>,
}

/// What a provider says, in order. A stream that ends without `Finish` was cut off.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    Delta(String),
    Usage(Usage),
    /// Why it stopped: `stop`, `length`, `content_filter`, …
    Finish(String),
}

pub type ChatStream = BoxStream<'static, Result<ChatEvent, ProviderError>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    RateLimited,
    Overloaded,
    Timeout,
    Network,
    Malformed,
    Auth,
    BadRequest,
    Refused,
}

impl ErrorClass {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorClass::RateLimited => "rate_limited",
            ErrorClass::Overloaded => "overloaded",
            ErrorClass::Timeout => "timeout",
            ErrorClass::Network => "network",
            ErrorClass::Malformed => "malformed",
            ErrorClass::Auth => "auth",
            ErrorClass::BadRequest => "bad_request",
            ErrorClass::Refused => "refused",
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(self) -> bool {
        match self {
            ErrorClass::RateLimited
            | ErrorClass::Overloaded
            | ErrorClass::Timeout
            | ErrorClass::Network
            | ErrorClass::Malformed => true,
            ErrorClass::Auth | ErrorClass::BadRequest | ErrorClass::Refused => false,
        }
    }

    /// The class of an HTTP status that is no success.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 403 | 404 => ErrorClass::Auth,
            408 | 504 => ErrorClass::Timeout,
            429 => ErrorClass::RateLimited,
            400..=499 => ErrorClass::BadRequest,
            _ => ErrorClass::Overloaded,
        }
    }
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("{provider}: {}: {message}", class.as_str())]
pub struct ProviderError {
    pub provider: String,
    pub class: ErrorClass,
    /// For our logs. What a provider writes is data: it goes to no client.
    pub message: String,
    pub retry_after: Option<Duration>,
}

impl ProviderError {
    pub fn new(provider: &str, class: ErrorClass, message: impl Into<String>) -> Self {
        Self { provider: provider.to_owned(), class, message: message.into(), retry_after: None }
    }

    /// What the user is told.
    pub fn public(&self) -> Error {
        let provider = &self.provider;
        let (code, detail) = match self.class {
            ErrorClass::RateLimited => {
                (Code::ProviderRateLimited, format!("{provider} limits our requests. Try again shortly."))
            }
            ErrorClass::Overloaded => {
                (Code::ProviderFailed, format!("{provider} failed. Try again shortly."))
            }
            ErrorClass::Timeout => (Code::ProviderTimeout, format!("{provider} did not answer in time.")),
            ErrorClass::Network => (Code::ProviderFailed, format!("The connection to {provider} broke.")),
            ErrorClass::Malformed => (Code::ProviderFailed, format!("{provider} sent something unreadable.")),
            ErrorClass::Auth => {
                (Code::ProviderMisconfigured, format!("{provider} refused our key, or has no such model."))
            }
            ErrorClass::BadRequest => (Code::ProviderRefused, format!("{provider} rejected the request.")),
            ErrorClass::Refused => (Code::ProviderRefused, format!("{provider} refused to answer this.")),
        };
        Error::new(code, detail).because(self.clone())
    }
}

/// A whole answer, for jobs that read it as data.
#[derive(Debug, Clone)]
pub struct Completion {
    pub text: String,
    pub usage: Usage,
    pub provider: String,
    pub model: String,
}

/// Asks and waits for the whole answer, for at most `within`.
pub async fn complete(
    provider: &dyn Provider,
    request: ChatRequest,
    within: Duration,
) -> Result<Completion, ProviderError> {
    let model = request.model.clone().unwrap_or_else(|| provider.default_model().to_owned());
    let prompt: usize =
        request.messages.iter().map(|message| crate::chat::tokens::estimate(&message.content)).sum();
    let asking = async {
        let mut stream = provider.chat(request).await?;
        let (mut text, mut usage) = (String::new(), None);
        while let Some(event) = stream.next().await {
            match event? {
                ChatEvent::Delta(delta) => text.push_str(&delta),
                ChatEvent::Usage(counted) => usage = Some(counted),
                ChatEvent::Finish(_) => {}
            }
        }
        let usage =
            usage.unwrap_or_else(|| Usage::new(prompt as i64, crate::chat::tokens::estimate(&text) as i64));
        Ok(Completion { text, usage, provider: provider.name().to_owned(), model })
    };
    let late = || ProviderError::new(provider.name(), ErrorClass::Timeout, "no whole answer in time");
    tokio::time::timeout(within, asking).await.map_err(|_| late())?
}

#[async_trait]
pub trait Provider: Send + Sync {
    fn name(&self) -> &str;
    fn default_model(&self) -> &str;
    /// Whether what is sent to it stays inside the deployment.
    fn is_inside(&self) -> bool;
    /// Opens an answer. Dropping the stream closes the provider's connection.
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError>;
}
