//! A whole answer at once, for jobs that read it as data.

use std::time::Duration;

use futures::StreamExt;

use super::{ChatEvent, ChatRequest, ErrorClass, ProviderError, Providers, ToolCall, router::Said};
use crate::{chat::tokens, domain::message::Usage};

impl Providers {
    /// Asks and waits for the whole answer, for at most `within`.
    pub async fn complete(
        &self,
        choice: &str,
        mut request: ChatRequest,
        within: Duration,
    ) -> Result<Completion, ProviderError> {
        request.within = Some(within);
        // A stream shows that somebody is at work on it; a whole answer is silence until it is there.
        request.stream = true;
        let prompt = request.prompt_tokens();
        let mut whole = Completion::default();
        let asking = async {
            let mut said = self.ask(choice, request);
            let mut usage = None;
            while let Some(said) = said.next().await {
                match said? {
                    Said::Started { provider, model } => (whole.provider, whole.model) = (provider, model),
                    Said::Event(ChatEvent::Delta(delta)) => whole.text.push_str(&delta),
                    Said::Event(ChatEvent::Logprobs(_)) => {}
                    Said::Event(ChatEvent::Usage(counted)) => usage = Some(counted),
                    Said::Event(ChatEvent::ToolCall(call)) => whole.calls.push(call),
                    Said::Event(ChatEvent::Finish(_)) | Said::Failed(_) => {}
                    Said::Restart(_) => whole = Completion::default(),
                }
            }
            let estimated = || Usage::new(prompt as i64, tokens::estimate(&whole.text) as i64);
            whole.usage = usage.unwrap_or_else(estimated);
            Ok(whole)
        };
        let late = || ProviderError::new(choice, ErrorClass::Timeout, "no whole answer in time");
        tokio::time::timeout(within, asking).await.map_err(|_| late())?
    }
}

/// A whole answer.
#[derive(Debug, Clone, Default)]
pub struct Completion {
    pub text: String,
    pub calls: Vec<ToolCall>,
    pub usage: Usage,
    pub provider: String,
    pub model: String,
}
