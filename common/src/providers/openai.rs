//! OpenAI's chat completions, as OpenAI, OpenRouter, Groq, Ollama and many others speak them.
//! <https://platform.openai.com/docs/api-reference/chat>

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_stream::try_stream;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use rand::Rng;
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_retry::RetryIf;

use super::{
    ChatEvent, ChatRequest, ChatStream, ErrorClass, Provider, ProviderError,
    http::{connection_error, status_error},
    sse::SseParser,
};
use crate::{
    domain::message::Usage,
    settings::{Ai, Endpoint},
};

/// How often opening an answer is tried within one attempt of the job. The ledger's attempts come on top.
const OPENING_RETRIES: usize = 2;
/// A provider that asks for a longer rest gets it from the ledger, not from a waiting worker.
const LONGEST_REST: Duration = Duration::from_secs(2);

pub struct OpenAi {
    client: Client,
    endpoint: Endpoint,
    first_byte: Duration,
    idle: Duration,
    next_key: AtomicUsize,
}

impl OpenAi {
    pub fn new(client: Client, endpoint: Endpoint, settings: &Ai) -> Self {
        Self {
            client,
            endpoint,
            first_byte: settings.first_byte_timeout,
            idle: settings.idle_timeout,
            next_key: AtomicUsize::new(0),
        }
    }

    async fn open(&self, body: &Value, trace: Option<&str>) -> Result<reqwest::Response, ProviderError> {
        let name = self.endpoint.name;
        let mut request = self.client.post(format!("{}/chat/completions", self.endpoint.base_url)).json(body);
        if !self.endpoint.keys.is_empty() {
            let turn = self.next_key.fetch_add(1, Ordering::Relaxed) % self.endpoint.keys.len();
            request = request.bearer_auth(self.endpoint.keys[turn].expose());
        }
        if let Some(trace) = trace {
            request = request.header("traceparent", trace);
        }
        let timed_out =
            || ProviderError::new(name, ErrorClass::Timeout, "no answer within the first-byte timeout");
        let response = tokio::time::timeout(self.first_byte, request.send())
            .await
            .map_err(|_| timed_out())?
            .map_err(|error| connection_error(name, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = tokio::time::timeout(self.idle, response.text()).await.ok().and_then(Result::ok);
        Err(status_error(name, status, &headers, &body.unwrap_or_default()))
    }
}

/// Short pauses with full jitter, so that many workers do not come back at once.
fn pauses() -> impl Iterator<Item = Duration> {
    [200u64, 600]
        .into_iter()
        .take(OPENING_RETRIES)
        .map(|cap| Duration::from_millis(rand::rng().random_range(cap / 4..=cap)))
}

#[async_trait]
impl Provider for OpenAi {
    fn name(&self) -> &str {
        self.endpoint.name
    }

    fn default_model(&self) -> &str {
        &self.endpoint.model
    }

    fn is_inside(&self) -> bool {
        self.endpoint.name == "ollama"
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        let body = body(&request, &self.endpoint);
        let trace = request.trace.as_deref();
        let opening = || async {
            let opened = self.open(&body, trace).await;
            if let Err(error) = &opened
                && let Some(rest) = error.retry_after.filter(|rest| *rest <= LONGEST_REST)
            {
                tokio::time::sleep(rest).await;
            }
            opened
        };
        let worth_it = |error: &ProviderError| {
            error.class.is_transient() && error.retry_after.is_none_or(|rest| rest <= LONGEST_REST)
        };
        let response = RetryIf::start(pauses(), opening, worth_it).await?;
        Ok(read_stream(self.endpoint.name, response.bytes_stream().boxed(), self.idle))
    }
}

fn body(request: &ChatRequest, endpoint: &Endpoint) -> Value {
    let messages: Vec<Value> = request
        .messages
        .iter()
        .map(|message| json!({"role": message.role.as_str(), "content": message.content}))
        .collect();
    let mut body = json!({
        "model": request.model.as_deref().unwrap_or(&endpoint.model),
        "messages": messages,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    if let Some(temperature) = request.temperature {
        body["temperature"] = json!(temperature);
    }
    if let Some(max_tokens) = request.max_tokens {
        body["max_tokens"] = json!(max_tokens);
    }
    if let Some(schema) = &request.schema {
        // Not every server of this form can be bound to a schema; all of these know plain JSON mode.
        body["response_format"] = if ["openai", "openrouter"].contains(&endpoint.name) {
            json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}})
        } else {
            json!({"type": "json_object"})
        };
    }
    body
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<ChunkUsage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
struct Delta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct ChunkUsage {
    #[serde(default)]
    prompt_tokens: i64,
    #[serde(default)]
    completion_tokens: i64,
}

type ByteStream = futures::stream::BoxStream<'static, reqwest::Result<Bytes>>;

fn read_stream(name: &'static str, mut bytes: ByteStream, idle: Duration) -> ChatStream {
    let fail = move |class, message: &str| ProviderError::new(name, class, message);
    Box::pin(try_stream! {
        let mut parser = SseParser::default();
        let mut finished = false;
        'answer: loop {
            let read = tokio::time::timeout(idle, bytes.next()).await;
            let read = read.map_err(|_| fail(ErrorClass::Timeout, "silent for longer than the idle timeout"))?;
            let Some(chunk) = read else { break };
            let chunk = chunk.map_err(|error| connection_error(name, &error))?;
            let events = parser.push(&chunk).map_err(|_| fail(ErrorClass::Malformed, "an endless line"))?;
            for data in events {
                if data.trim_ascii() == b"[DONE]" {
                    break 'answer;
                }
                let chunk: Chunk = serde_json::from_slice(&data)
                    .map_err(|_| fail(ErrorClass::Malformed, "an event that is not a completion chunk"))?;
                if let Some(error) = chunk.error {
                    Err(in_stream_error(name, &error))?;
                }
                for choice in chunk.choices.into_iter().take(1) {
                    if let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) {
                        yield ChatEvent::Delta(text);
                    }
                    if let Some(reason) = choice.finish_reason {
                        finished = true;
                        yield ChatEvent::Finish(reason);
                    }
                }
                if let Some(usage) = chunk.usage {
                    yield ChatEvent::Usage(Usage::new(usage.prompt_tokens, usage.completion_tokens));
                }
            }
        }
        if !finished {
            Err(fail(ErrorClass::Network, "the answer was cut off"))?;
        }
    })
}

fn in_stream_error(name: &str, error: &Value) -> ProviderError {
    let status = error.get("code").and_then(Value::as_u64).unwrap_or(500) as u16;
    let message: String = error.to_string().chars().take(300).collect();
    ProviderError::new(name, ErrorClass::of_status(status), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &'static str) -> Vec<Result<ChatEvent, ErrorClass>> {
        let bytes = futures::stream::iter([Ok(Bytes::from_static(text.as_bytes()))]).boxed();
        let events = read_stream("x", bytes, Duration::from_secs(1));
        events.map(|event| event.map_err(|error| error.class)).collect().await
    }

    #[tokio::test]
    async fn a_documented_stream_gives_its_words_usage_and_reason() {
        let text = concat!(
            "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1,\"total_tokens\":6}}\n\n",
            "data: [DONE]\n\n",
        );
        let expected = vec![
            Ok(ChatEvent::Delta("Hi".to_owned())),
            Ok(ChatEvent::Finish("stop".to_owned())),
            Ok(ChatEvent::Usage(Usage::new(5, 1))),
        ];
        assert_eq!(read(text).await, expected);
    }

    #[tokio::test]
    async fn a_cut_garbage_and_an_error_inside_have_their_classes() {
        let cut = read("data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: {\"cho").await;
        assert_eq!(cut.last(), Some(&Err(ErrorClass::Network)));
        assert_eq!(read("data: <html>\n\n").await, [Err(ErrorClass::Malformed)]);
        let limited = read("data: {\"error\":{\"code\":429,\"message\":\"slow down\"}}\n\n").await;
        assert_eq!(limited, [Err(ErrorClass::RateLimited)]);
    }
}
