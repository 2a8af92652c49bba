//! What goes wrong with a provider, reduced to classes: whoever decides what to do looks at the class only.

use std::time::Duration;

use rapport_core::error::{Code, Error, Wrong};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// 429: this key has used up its rate.
    RateLimited,
    /// 5xx: the provider's own trouble.
    Overloaded,
    /// Nothing came in time.
    Timeout,
    /// The connection broke, or the answer was cut off.
    Network,
    /// What came cannot be read.
    Malformed,
    /// The key is not accepted, or there is no such model for it.
    Auth,
    /// The request is wrong: it would be everywhere.
    BadRequest,
    /// The provider will not answer this.
    Refused,
    /// The model cannot call functions.
    NoTools,
    /// Our adapter has no words for something the caller asks for, and the provider was not asked; or its model takes no images.
    Unsupported,
    /// We do not ask: its circuit breaker is open.
    Unavailable,
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
            ErrorClass::NoTools => "no_tools",
            ErrorClass::Unsupported => "unsupported",
            ErrorClass::Unavailable => "unavailable",
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(self) -> bool {
        match self {
            ErrorClass::RateLimited
            | ErrorClass::Overloaded
            | ErrorClass::Timeout
            | ErrorClass::Network
            | ErrorClass::Malformed
            | ErrorClass::Unavailable => true,
            ErrorClass::Auth
            | ErrorClass::BadRequest
            | ErrorClass::Refused
            | ErrorClass::NoTools
            | ErrorClass::Unsupported => false,
        }
    }

    /// Whether it speaks against the provider as a whole, not against a key or the request.
    pub fn is_outage(self) -> bool {
        matches!(
            self,
            ErrorClass::Overloaded | ErrorClass::Timeout | ErrorClass::Network | ErrorClass::Malformed
        )
    }

    /// Whether another provider may still answer.
    pub fn may_go_elsewhere(self) -> bool {
        self.is_transient() || matches!(self, ErrorClass::Auth | ErrorClass::Unsupported)
    }

    /// The class of an HTTP status that is no success.
    pub fn of_status(status: u16) -> Self {
        match status {
            401..=404 => ErrorClass::Auth,
            408 | 504 => ErrorClass::Timeout,
            429 => ErrorClass::RateLimited,
            // Groq: no capacity for this tier.
            498 => ErrorClass::Overloaded,
            400..=499 => ErrorClass::BadRequest,
            _ => ErrorClass::Overloaded,
        }
    }
}

/// Where images stand in a request.
pub const IMAGES: &str = "messages.content";

#[derive(Debug, Clone, thiserror::Error)]
#[error("{provider}: {}: {message}", class.as_str())]
pub struct ProviderError {
    pub provider: String,
    pub class: ErrorClass,
    /// For our logs, and never what a provider wrote: that is data, and may repeat a key.
    pub message: String,
    pub retry_after: Option<Duration>,
    /// Nobody was there: no connection, one that broke before a byte of an answer, or a provider that we leave alone
    /// because it fails everyone. It says nothing about this request, and waiting may help.
    pub away: bool,
    /// What of the request the provider does not take.
    pub field: Option<String>,
}

impl ProviderError {
    pub fn new(provider: &str, class: ErrorClass, message: impl Into<String>) -> Self {
        let provider = provider.to_owned();
        Self { provider, class, message: message.into(), retry_after: None, away: false, field: None }
    }

    /// The provider has nothing like this field of the request.
    pub fn unsupported(provider: &str, field: &str) -> Self {
        let message = format!("it has no `{field}`");
        Self { field: Some(field.to_owned()), ..Self::new(provider, ErrorClass::Unsupported, message) }
    }

    /// What the user is told.
    pub fn public(&self) -> Error {
        let provider = &self.provider;
        if let Some(field) = &self.field {
            let wrong = Wrong::Unfit("is not taken, in this form, by the provider that would answer");
            return Error::field(field, wrong).because(self.clone());
        }
        let (code, detail) = match self.class {
            ErrorClass::RateLimited => {
                (Code::ProviderRateLimited, format!("{provider} limits our requests. Try again shortly."))
            }
            ErrorClass::Overloaded => {
                (Code::ProviderFailed, format!("{provider} failed. Try again shortly."))
            }
            ErrorClass::Unavailable => (
                Code::ProviderUnavailable,
                format!("{provider} has been failing, and is left alone for a moment. Try again shortly."),
            ),
            ErrorClass::Timeout => (Code::ProviderTimeout, format!("{provider} did not answer in time.")),
            ErrorClass::Network => (Code::ProviderFailed, format!("The connection to {provider} broke.")),
            ErrorClass::Malformed => (Code::ProviderFailed, format!("{provider} sent something unreadable.")),
            ErrorClass::Auth => {
                (Code::ProviderMisconfigured, format!("{provider} refused our key, or has no such model."))
            }
            ErrorClass::BadRequest => (Code::ProviderRefused, format!("{provider} rejected the request.")),
            ErrorClass::NoTools | ErrorClass::Unsupported => {
                (Code::ProviderRefused, format!("This model of {provider} cannot use tools."))
            }
            ErrorClass::Refused => (Code::ProviderRefused, format!("{provider} refused to answer this.")),
        };
        Error::new(code, detail).because(self.clone())
    }
}
