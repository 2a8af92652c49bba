//! OpenAI's chat completions, as OpenAI, OpenRouter, Groq, Ollama and many others speak them.
//! <https://platform.openai.com/docs/api-reference/chat>, <https://openrouter.ai/docs/api-reference/errors>,
//! <https://console.groq.com/docs/errors>, <https://docs.ollama.com/api/openai-compatibility>

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ChatEvent, ChatMessage, ChatRequest, ErrorClass, Opened, Provider, ProviderError, RateHeaders, ToolCall,
    error::IMAGES,
    http::{self, Decoder, Upstream},
    logprobs,
};
use crate::{domain::message::Usage, settings::Endpoint};

pub struct OpenAi(pub Upstream);

#[async_trait]
impl Provider for OpenAi {
    fn name(&self) -> &str {
        self.0.endpoint.name
    }

    fn default_model(&self) -> &str {
        &self.0.endpoint.model
    }

    fn is_inside(&self) -> bool {
        self.0.endpoint.name == "ollama"
    }

    fn keys(&self) -> usize {
        self.0.endpoint.keys.len().max(1)
    }

    async fn chat(&self, request: &ChatRequest, key: usize) -> Result<Opened, ProviderError> {
        let name = self.0.endpoint.name;
        let shows = request.images() > 0;
        let url = format!("{}/chat/completions", self.0.endpoint.base_url);
        let mut call = self.0.pool.post(url).json(&body(request, &self.0.endpoint));
        if let Some(key) = self.0.key(request, key) {
            call = call.bearer_auth(key.expose());
        }
        if name == "openrouter" {
            // Who asks, for its rankings; it also shows in its dashboard which application spent what.
            call =
                call.header("X-Title", "Rapport").header("HTTP-Referer", "https://github.com/rapport-chat");
        }
        if let Some(trace) = &request.trace {
            call = call.header("traceparent", trace);
        }
        let judge = if shows { judge_of_images } else { judge };
        let sent = http::send(name, call, &request.meter, self.0.timeouts, judge).await;
        let response = sent.map_err(|error| match error.class {
            ErrorClass::Unsupported => ProviderError::unsupported(name, IMAGES),
            _ => error,
        })?;
        let limits = RateHeaders::openai(response.headers());
        let events = http::read(name, response, self.0.timeouts, Reader::new(name));
        Ok(Opened { events, limits })
    }
}

fn message(message: &ChatMessage) -> Value {
    let mut value = json!({"role": message.role.as_str(), "content": message.content});
    if let Some(parts) = &message.parts {
        value["content"] = json!(parts);
    }
    if let Some(name) = &message.name {
        value["name"] = json!(name);
    }
    if !message.tool_calls.is_empty() {
        let calls: Vec<Value> = message
            .tool_calls
            .iter()
            .map(|call| {
                json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
            })
            .collect();
        value["tool_calls"] = calls.into();
        if message.content.is_empty() {
            value["content"] = Value::Null;
        }
    }
    if let Some((id, _)) = &message.answers {
        value["tool_call_id"] = json!(id);
    }
    value
}

fn body(request: &ChatRequest, endpoint: &Endpoint) -> Value {
    let model = request.model.as_deref().unwrap_or(&endpoint.model);
    let messages: Vec<Value> = request.messages.iter().map(message).collect();
    let mut body = json!({"model": model, "messages": messages, "stream": request.stream});
    if request.stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    // OpenAI's reasoning models take no temperature, and its newer ones only the newer name of the limit.
    let at_openai = endpoint.base_url.contains("api.openai.com");
    let reasons = at_openai && ["o1", "o3", "o4", "gpt-5"].iter().any(|start| model.starts_with(start));
    if let Some(temperature) = request.temperature.filter(|_| !reasons) {
        body["temperature"] = json!(temperature);
    }
    if let Some(max_tokens) = request.max_tokens {
        body[if at_openai { "max_completion_tokens" } else { "max_tokens" }] = json!(max_tokens);
    }
    if !request.tools.is_empty() {
        let tools: Vec<Value> = request
            .tools
            .iter()
            .map(|tool| {
                let mut function = json!({
                    "name": tool.name, "description": tool.description, "parameters": tool.parameters,
                });
                if let Some(strict) = tool.strict {
                    function["strict"] = json!(strict);
                }
                json!({"type": "function", "function": function})
            })
            .collect();
        body["tools"] = tools.into();
    }
    // The names are OpenAI's: who speaks its way and lacks one says so.
    if let Ok(Value::Object(options)) = serde_json::to_value(&request.options) {
        for (name, value) in options {
            // What says how tools are used is refused where there are none.
            let of_tools = matches!(name.as_str(), "tool_choice" | "parallel_tool_calls");
            if !(of_tools && request.tools.is_empty()) {
                body[name] = value;
            }
        }
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

/// What a body says that a status does not.
fn judge(status: u16, body: &str) -> Option<ErrorClass> {
    let body = body.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| body.contains(word));
    if says(&["does not support tools", "support tool use", "tool use is not supported"]) {
        return Some(ErrorClass::NoTools);
    }
    match status {
        400 | 403 if says(&["content_policy", "content_filter", "moderation"]) => Some(ErrorClass::Refused),
        // Groq: the model wrote a call that cannot be read.
        400 if says(&["tool_use_failed"]) => Some(ErrorClass::Malformed),
        // OpenAI: no money left. Waiting does not help this key.
        429 if says(&["insufficient_quota"]) => Some(ErrorClass::Auth),
        _ => None,
    }
}

/// The same of a request with images: models that see nothing are told from images that are wrong by the words alone.
fn judge_of_images(status: u16, body: &str) -> Option<ErrorClass> {
    const BLIND: [&str; 9] = [
        "support image",                    // OpenRouter, Ollama
        "image input is not supported",     // llama.cpp
        "required for image input",         // Ollama
        "only supported by certain models", // OpenAI
        "content must be a string",         // Groq
        "unknown variant `image_url`",      // DeepSeek
        "not a multimodal model",           // vLLM
        "not support vision",
        "array into go struct field", // Ollama of 2024
    ];
    let lower = body.to_lowercase();
    let is_blind = status != 429 && BLIND.iter().any(|words| lower.contains(words));
    if is_blind { Some(ErrorClass::Unsupported) } else { judge(status, body) }
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<ChunkUsage>,
    x_groq: Option<Groq>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    /// Of a stream, or of a whole answer.
    #[serde(alias = "message")]
    delta: Option<Delta>,
    logprobs: Option<Value>,
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallPart>>,
}

#[derive(Deserialize)]
struct CallPart {
    index: Option<usize>,
    id: Option<String>,
    function: Option<FunctionPart>,
}

#[derive(Deserialize)]
struct FunctionPart {
    name: Option<String>,
    arguments: Option<Value>,
}

#[derive(Deserialize)]
struct ChunkUsage {
    #[serde(default)]
    prompt_tokens: i64,
    #[serde(default)]
    completion_tokens: i64,
}

/// Groq's own place for the usage of a stream.
#[derive(Deserialize)]
struct Groq {
    usage: Option<ChunkUsage>,
    error: Option<Value>,
}

struct Reader {
    name: &'static str,
    calls: Vec<ToolCall>,
    finished: bool,
    counted: bool,
    done: bool,
}

impl Reader {
    fn new(name: &'static str) -> Self {
        Self { name, calls: Vec::new(), finished: false, counted: false, done: false }
    }

    fn fail(&self, class: ErrorClass, message: &str) -> ProviderError {
        ProviderError::new(self.name, class, message)
    }

    fn take_call(&mut self, position: usize, part: CallPart) {
        let index = part.index.unwrap_or(position).min(127);
        while self.calls.len() <= index {
            self.calls.push(ToolCall {
                id: String::new(),
                name: String::new(),
                arguments: String::new(),
                signature: None,
            });
        }
        let call = &mut self.calls[index];
        if let Some(id) = part.id.filter(|id| !id.is_empty()) {
            call.id = id;
        }
        let Some(function) = part.function else { return };
        call.name.push_str(&function.name.unwrap_or_default());
        match function.arguments {
            Some(Value::String(text)) => call.arguments.push_str(&text),
            // Some servers write the object itself.
            Some(value) if !value.is_null() => call.arguments.push_str(&value.to_string()),
            _ => {}
        }
    }

    fn end_calls(&mut self, events: &mut Vec<ChatEvent>) {
        let whole = std::mem::take(&mut self.calls).into_iter().filter(|call| !call.name.is_empty());
        events.extend(whole.map(|mut call| {
            if call.id.is_empty() {
                call.id = super::router::new_call_id();
            }
            ChatEvent::ToolCall(call)
        }));
    }
}

impl Decoder for Reader {
    fn read(&mut self, data: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), ProviderError> {
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_slice(data)
            .map_err(|_| self.fail(ErrorClass::Malformed, "an event that is not a completion chunk"))?;
        let error = chunk.error.or(chunk.x_groq.as_ref().and_then(|groq| groq.error.clone()));
        if let Some(error) = error.filter(|error| !error.is_null()) {
            return Err(in_answer(self.name, &error));
        }
        // Only the first choice: we never ask for more.
        if let Some(choice) = chunk.choices.into_iter().next() {
            let delta = choice.delta.unwrap_or_default();
            if let Some(text) = delta.content.or(delta.refusal).filter(|text| !text.is_empty()) {
                events.push(ChatEvent::Delta(text));
            }
            let logprobs = choice.logprobs.as_ref().map(logprobs::read).unwrap_or_default();
            if !logprobs.is_empty() {
                events.push(ChatEvent::Logprobs(logprobs));
            }
            for (position, part) in delta.tool_calls.unwrap_or_default().into_iter().enumerate() {
                self.take_call(position, part);
            }
            if let Some(reason) = choice.finish_reason {
                let called = self.calls.iter().any(|call| !call.name.is_empty());
                let reason = match reason.as_str() {
                    "error" => return Err(self.fail(ErrorClass::Overloaded, "it stopped for an error")),
                    "length" | "max_tokens" => "length",
                    "content_filter" => "content_filter",
                    // Some say `stop` although they call.
                    _ if called => "tool_calls",
                    _ => "stop",
                };
                self.end_calls(events);
                self.finished = true;
                events.push(ChatEvent::Finish(reason));
            }
        }
        let usage = chunk.usage.or(chunk.x_groq.and_then(|groq| groq.usage));
        if let Some(usage) = usage.filter(|usage| usage.prompt_tokens + usage.completion_tokens > 0)
            && !std::mem::replace(&mut self.counted, true)
        {
            events.push(ChatEvent::Usage(Usage::new(usage.prompt_tokens, usage.completion_tokens)));
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn end(&mut self, _: &mut Vec<ChatEvent>) -> Result<(), ProviderError> {
        if self.finished { Ok(()) } else { Err(self.fail(ErrorClass::Network, "the answer was cut off")) }
    }
}

/// An error where an answer should be: OpenRouter's inside a 200, Groq's and OpenAI's inside a stream.
fn in_answer(name: &str, error: &Value) -> ProviderError {
    let code = error.get("code").or_else(|| error.get("status_code"));
    let status = code.and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
    let text = error.to_string();
    let class = match status {
        Some(status @ 400..600) => {
            judge(status as u16, &text).unwrap_or(ErrorClass::of_status(status as u16))
        }
        _ if text.contains("rate_limit") => ErrorClass::RateLimited,
        _ if text.contains("insufficient_quota") => ErrorClass::Auth,
        _ if text.contains("content_filter") || text.contains("content_policy") => ErrorClass::Refused,
        _ if text.contains("tool_use_failed") => ErrorClass::Malformed,
        _ => ErrorClass::Overloaded,
    };
    ProviderError::new(name, class, "an error where the answer should be")
}
