//! Adapters against what their providers' documentation says, byte for byte; and the router above them.

mod adapters;
pub mod formats;
mod in_process;
mod router;
mod wanted;

use futures::StreamExt;
use rapport_common::{
    domain::message::Usage,
    providers::{
        ChatEvent, ChatMessage, ChatRequest, ErrorClass, Providers, Role, Said, ToolCall, ToolSpec, Try,
    },
    settings::{self, Env},
};
use serde_json::json;

use crate::harness::app::SECRET_KEY;

/// What asking came to, whoever answered.
#[derive(Debug, Default)]
pub struct Heard {
    pub logprobs: Vec<serde_json::Value>,
    pub text: String,
    pub calls: Vec<ToolCall>,
    pub usage: Option<Usage>,
    pub finish: Option<&'static str>,
    pub provider: String,
    pub error: Option<ErrorClass>,
    pub retry_after: Option<std::time::Duration>,
    pub tries: Vec<Try>,
    pub restarts: usize,
}

pub fn providers(env: &[(&str, &str)]) -> Providers {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let base = [
        ("SECRET_KEY", SECRET_KEY),
        ("AI_SERVICES__FIRST_BYTE_TIMEOUT", "2"),
        ("AI_SERVICES__IDLE_TIMEOUT", "0.4"),
    ];
    let pairs = base.iter().chain(env).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let settings = settings::load(&mut Env::from_pairs(pairs)).unwrap();
    Providers::from_settings(&settings.ai, None).unwrap()
}

pub fn question(stream: bool) -> ChatRequest {
    let tool = |name: &str, parameters| ToolSpec {
        name: name.to_owned(),
        description: "d".to_owned(),
        parameters,
        strict: None,
    };
    ChatRequest {
        messages: vec![
            ChatMessage::new(Role::System, "Be kind."),
            ChatMessage::new(Role::User, "What is the weather in London?"),
        ]
        .into(),
        tools: vec![
            tool(
                "get_weather",
                json!({"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"], "additionalProperties": false}),
            ),
            tool("current_time", json!({"type": "object", "properties": {}})),
        ],
        temperature: Some(0.5),
        max_tokens: Some(50),
        stream,
        ..ChatRequest::default()
    }
}

pub async fn ask(providers: &Providers, choice: &str, request: ChatRequest) -> Heard {
    let mut said = providers.ask(choice, request);
    let mut heard = Heard::default();
    while let Some(next) = said.next().await {
        match next {
            Ok(Said::Started { provider, .. }) => heard.provider = provider,
            Ok(Said::Event(ChatEvent::Delta(text))) => heard.text.push_str(&text),
            Ok(Said::Event(ChatEvent::Logprobs(more))) => heard.logprobs.extend(more),
            Ok(Said::Event(ChatEvent::ToolCall(call))) => heard.calls.push(call),
            Ok(Said::Event(ChatEvent::Usage(usage))) => heard.usage = Some(usage),
            Ok(Said::Event(ChatEvent::Finish(reason))) => heard.finish = Some(reason),
            Ok(Said::Failed(failed)) => heard.tries.push(failed),
            Ok(Said::Restart(_)) => {
                heard.restarts += 1;
                heard.text.clear();
                heard.calls.clear();
            }
            Err(error) => {
                heard.retry_after = error.retry_after;
                heard.error = Some(error.class);
            }
        }
    }
    heard
}
