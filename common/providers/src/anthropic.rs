//! Anthropic's Messages API. <https://docs.anthropic.com/en/api/messages>,
//! <https://docs.anthropic.com/en/docs/build-with-claude/streaming>, <https://docs.anthropic.com/en/api/errors>

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ChatEvent, ChatMessage, ChatRequest, ErrorClass, Opened, Provider, ProviderError, RateHeaders, Role,
    ToolCall,
    http::{self, Decoder, Upstream},
    wanted::{Choice, Format, Part, Wanted},
};
use crate::domain::message::Usage;

const NAME: &str = "anthropic";
/// What it has of what callers may want.
const OPTIONS: [&str; 6] = ["top_p", "stop", "tool_choice", "parallel_tool_calls", "response_format", "user"];
const VERSION: &str = "2023-06-01";
/// The API wants a limit; ours when nobody named one.
const MAX_TOKENS: u32 = 4_096;

pub struct Anthropic(pub Upstream);

#[async_trait]
impl Provider for Anthropic {
    fn name(&self) -> &str {
        NAME
    }

    fn default_model(&self) -> &str {
        &self.0.endpoint.model
    }

    fn is_inside(&self) -> bool {
        false
    }

    fn keys(&self) -> usize {
        self.0.endpoint.keys.len().max(1)
    }

    async fn chat(&self, request: &ChatRequest, key: usize) -> Result<Opened, ProviderError> {
        let url = format!("{}/messages", self.0.endpoint.base_url);
        let body = body(request, &self.0.endpoint.model)?;
        let mut call = self.0.pool.post(url).header("anthropic-version", VERSION).json(&body);
        if let Some(key) = self.0.key(request, key) {
            call = call.header("x-api-key", key.expose());
        }
        let response = http::send(NAME, call, &request.meter, self.0.timeouts, judge).await?;
        let limits = RateHeaders::anthropic(response.headers());
        let events = http::read(NAME, response, self.0.timeouts, Reader::default());
        Ok(Opened { events, limits })
    }
}

fn judge(status: u16, body: &str) -> Option<ErrorClass> {
    // No money left: not the request's fault, and waiting does not help this key.
    (status == 400 && body.contains("credit balance")).then_some(ErrorClass::Auth)
}

fn block(wanted: Wanted<'_>, part: &Value) -> Result<Value, ProviderError> {
    Ok(match wanted.part(part)? {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Data(kind, data) if kind.starts_with("image/") => {
            json!({"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}})
        }
        Part::Image(url) => json!({"type": "image", "source": {"type": "url", "url": url}}),
        Part::Data(..) => return Err(wanted.refuse("messages.content")),
    })
}

fn blocks(wanted: Wanted<'_>, message: &ChatMessage) -> Result<Vec<Value>, ProviderError> {
    if let Some((id, _)) = &message.answers {
        return Ok(vec![json!({"type": "tool_result", "tool_use_id": id, "content": message.content})]);
    }
    let mut blocks = Vec::new();
    if let Some(parts) = &message.parts {
        for part in parts {
            blocks.push(block(wanted, part)?);
        }
    // Empty and white text is not accepted.
    } else if !message.content.trim().is_empty() {
        blocks.push(json!({"type": "text", "text": message.content}));
    }
    for call in &message.tool_calls {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        let input = if input.is_object() { input } else { json!({}) };
        blocks.push(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}));
    }
    Ok(blocks)
}

fn body(request: &ChatRequest, default_model: &str) -> Result<Value, ProviderError> {
    let wanted = Wanted { provider: NAME, request };
    wanted.only(&OPTIONS)?;
    let mut messages: Vec<Value> = Vec::new();
    let mut system: Vec<&str> = Vec::new();
    for message in request.messages.iter() {
        let role = match message.role {
            Role::System => {
                system.push(&message.content);
                continue;
            }
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
        };
        let blocks = blocks(wanted, message)?;
        if blocks.is_empty() {
            continue;
        }
        // The answers to one turn's calls belong into one turn.
        match messages.last_mut() {
            Some(last) if last["role"] == role && message.answers.is_some() => {
                if let Some(already) = last["content"].as_array_mut() {
                    already.extend(blocks);
                }
            }
            _ => messages.push(json!({"role": role, "content": blocks})),
        }
    }
    let mut body = json!({
        "model": request.model.as_deref().unwrap_or(default_model),
        "max_tokens": request.max_tokens.unwrap_or(MAX_TOKENS),
        "messages": messages,
        "stream": request.stream,
    });
    let mut system = system.join("\n\n");
    match wanted.format()? {
        Format::Text => {}
        Format::Json => system.push_str("\n\nAnswer with one JSON object, and nothing else."),
        Format::Schema(schema) => system.push_str(&format!(
            "\n\nAnswer with one JSON object of this schema, and nothing else:\n{schema}"
        )),
    }
    if !system.trim().is_empty() {
        body["system"] = json!(system);
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = json!(temperature.min(1.0));
    }
    offer(wanted, &mut body)?;
    let options = &request.options;
    if let Some(top_p) = options.top_p {
        body["top_p"] = json!(top_p);
    }
    if let Some(stop) = &options.stop {
        body["stop_sequences"] = json!(stop);
    }
    if let Some(user) = &options.user {
        body["metadata"] = json!({"user_id": user});
    }
    Ok(body)
}

/// The functions, and which of them is to be called.
fn offer(wanted: Wanted<'_>, body: &mut Value) -> Result<(), ProviderError> {
    let request = wanted.request;
    if !request.tools.is_empty() {
        let tools: Vec<Value> = request
            .tools
            .iter()
            .map(|tool| {
                json!({"name": tool.name, "description": tool.description, "input_schema": tool.parameters})
            })
            .collect();
        body["tools"] = tools.into();
        if let Some(choice) = tool_choice(wanted)? {
            body["tool_choice"] = choice;
        }
    }
    Ok(())
}

fn tool_choice(wanted: Wanted<'_>) -> Result<Option<Value>, ProviderError> {
    let one_at_a_time = wanted.request.options.parallel_tool_calls == Some(false);
    let mut choice = match wanted.choice()? {
        None if !one_at_a_time => return Ok(None),
        None | Some(Choice::Auto) => json!({"type": "auto"}),
        Some(Choice::None) => return Ok(Some(json!({"type": "none"}))),
        Some(Choice::Required) => json!({"type": "any"}),
        Some(Choice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if one_at_a_time {
        choice["disable_parallel_tool_use"] = json!(true);
    }
    Ok(Some(choice))
}

/// An event of a stream; a whole answer is one of type `message`.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    Message(Message),
    MessageStart {
        message: Message,
    },
    ContentBlockStart {
        index: usize,
        content_block: Block,
    },
    ContentBlockDelta {
        index: usize,
        delta: BlockDelta,
    },
    ContentBlockStop {
        index: usize,
    },
    MessageDelta {
        delta: Ending,
        #[serde(default)]
        usage: Counted,
    },
    MessageStop,
    Error {
        error: Problem,
    },
    /// `ping`, and what is to come.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Vec<Block>,
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Counted,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BlockDelta {
    TextDelta {
        text: String,
    },
    InputJsonDelta {
        partial_json: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Ending {
    stop_reason: Option<String>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(default)]
struct Counted {
    input_tokens: i64,
    cache_creation_input_tokens: i64,
    cache_read_input_tokens: i64,
    output_tokens: i64,
}

impl Counted {
    fn prompt(self) -> i64 {
        self.input_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens
    }
}

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Default)]
struct Reader {
    prompt: i64,
    completion: i64,
    /// Calls whose arguments still come, by block.
    open: Vec<(usize, ToolCall)>,
    finish: Option<&'static str>,
    done: bool,
}

fn finish_of(reason: &str) -> &'static str {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        _ => "stop", // end_turn, stop_sequence, pause_turn
    }
}

impl Reader {
    fn take_block(&mut self, index: usize, block: Block, events: &mut Vec<ChatEvent>) {
        match block {
            Block::Text { text } if !text.is_empty() => events.push(ChatEvent::Delta(text)),
            Block::ToolUse { id, name, input } => {
                let given = input.as_object().is_some_and(|input| !input.is_empty());
                let arguments = if given { input.to_string() } else { String::new() };
                self.open.push((index, ToolCall { id, name, arguments, signature: None }));
            }
            Block::Text { .. } | Block::Other => {}
        }
    }

    fn end_block(&mut self, index: usize, events: &mut Vec<ChatEvent>) {
        if let Some(position) = self.open.iter().position(|(open, _)| *open == index) {
            let (_, mut call) = self.open.remove(position);
            if call.arguments.is_empty() {
                call.arguments = "{}".to_owned();
            }
            events.push(ChatEvent::ToolCall(call));
        }
    }
}

impl Decoder for Reader {
    fn read(&mut self, data: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), ProviderError> {
        let fail = |class, message: &str| ProviderError::new(NAME, class, message);
        let event: Event = serde_json::from_slice(data)
            .map_err(|_| fail(ErrorClass::Malformed, "an event that is not of the Messages API"))?;
        match event {
            Event::Message(message) => {
                for (index, block) in message.content.into_iter().enumerate() {
                    self.take_block(index, block, events);
                    self.end_block(index, events);
                }
                (self.prompt, self.completion) = (message.usage.prompt(), message.usage.output_tokens);
                self.finish = message.stop_reason.as_deref().map(finish_of);
                self.done = true;
            }
            Event::MessageStart { message } => self.prompt = message.usage.prompt(),
            Event::ContentBlockStart { index, content_block } => {
                self.take_block(index, content_block, events)
            }
            Event::ContentBlockDelta { delta: BlockDelta::TextDelta { text }, .. } if !text.is_empty() => {
                events.push(ChatEvent::Delta(text));
            }
            Event::ContentBlockDelta { index, delta: BlockDelta::InputJsonDelta { partial_json } } => {
                if let Some((_, call)) = self.open.iter_mut().find(|(open, _)| *open == index) {
                    call.arguments.push_str(&partial_json);
                }
            }
            Event::ContentBlockStop { index } => self.end_block(index, events),
            Event::MessageDelta { delta, usage } => {
                self.completion = usage.output_tokens.max(self.completion);
                self.finish = delta.stop_reason.as_deref().map(finish_of).or(self.finish);
            }
            Event::MessageStop => self.done = true,
            Event::Error { error } => {
                let class = match error.kind.as_str() {
                    "rate_limit_error" => ErrorClass::RateLimited,
                    "authentication_error" | "permission_error" | "not_found_error" | "billing_error" => {
                        ErrorClass::Auth
                    }
                    "invalid_request_error" | "request_too_large" => ErrorClass::BadRequest,
                    "timeout_error" => ErrorClass::Timeout,
                    _ => ErrorClass::Overloaded, // overloaded_error, api_error
                };
                return Err(fail(class, "an error where the answer should be"));
            }
            Event::ContentBlockDelta { .. } | Event::Other => {}
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn end(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), ProviderError> {
        let cut = || ProviderError::new(NAME, ErrorClass::Network, "the answer was cut off");
        let finish = self.finish.filter(|_| self.done).ok_or_else(cut)?;
        if self.prompt + self.completion > 0 {
            events.push(ChatEvent::Usage(Usage::new(self.prompt, self.completion)));
        }
        events.push(ChatEvent::Finish(finish));
        Ok(())
    }
}
