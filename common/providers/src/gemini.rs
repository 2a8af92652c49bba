//! Google's Gemini API: `generateContent` and `streamGenerateContent`. <https://ai.google.dev/api/generate-content>,
//! <https://ai.google.dev/gemini-api/docs/function-calling>, <https://ai.google.dev/gemini-api/docs/troubleshooting>

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ChatEvent, ChatMessage, ChatRequest, ErrorClass, IMAGES, Opened, Provider, ProviderError, RateHeaders,
    Role, ToolCall,
    http::{self, Decoder, Upstream},
    wanted::{self, Choice, Format, Wanted},
};
use crate::domain::message::Usage;

const NAME: &str = "gemini";
/// What it has of what callers may want.
const OPTIONS: [&str; 7] =
    ["top_p", "stop", "seed", "frequency_penalty", "presence_penalty", "tool_choice", "response_format"];

pub struct Gemini(pub Upstream);

#[async_trait]
impl Provider for Gemini {
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
        let model = request.model.as_deref().unwrap_or(&self.0.endpoint.model);
        // A model's name goes into the path: nothing in it may leave its place.
        if !model.chars().all(|c| c.is_ascii_alphanumeric() || "-._:/".contains(c)) || model.contains("..") {
            return Err(ProviderError::new(NAME, ErrorClass::Auth, "no such model"));
        }
        let model = model.strip_prefix("google/").unwrap_or(model);
        let place = if model.contains('/') { model.to_owned() } else { format!("models/{model}") };
        let method = if request.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        let url = format!("{}/{place}:{method}", self.0.endpoint.base_url);
        let mut call = self.0.pool.post(url).json(&body(request)?);
        if let Some(key) = self.0.key(request, key) {
            call = call.header("x-goog-api-key", key.expose());
        }
        let response = http::send(NAME, call, &request.meter, self.0.timeouts, judge).await?;
        let events = http::read(NAME, response, self.0.timeouts, Reader::default());
        Ok(Opened { events, limits: RateHeaders::default() })
    }
}

fn judge(status: u16, body: &str) -> Option<ErrorClass> {
    match status {
        400 if body.contains("API_KEY_INVALID") || body.contains("API key") => Some(ErrorClass::Auth),
        400 if body.contains("Function calling is not") || body.contains("function calling is not") => {
            Some(ErrorClass::NoTools)
        }
        _ => None,
    }
}

fn given(wanted: Wanted<'_>, part: &Value) -> Result<Value, ProviderError> {
    Ok(match wanted.part(part)? {
        wanted::Part::Text(text) => json!({"text": text}),
        // Of what we take for images, all but this: PNG, JPEG, WebP.
        wanted::Part::Data(kind, _) if kind == "image/gif" => return Err(wanted.refuse(IMAGES)),
        wanted::Part::Data(kind, data) => json!({"inlineData": {"mimeType": kind, "data": data}}),
        // It fetches only what was uploaded to it.
        wanted::Part::Image(_) => return Err(wanted.refuse(IMAGES)),
    })
}

fn parts(wanted: Wanted<'_>, message: &ChatMessage) -> Result<Vec<Value>, ProviderError> {
    if let Some((id, name)) = &message.answers {
        let result: Value = serde_json::from_str(&message.content).unwrap_or(Value::Null);
        let response = if result.is_object() { result } else { json!({"result": message.content}) };
        return Ok(vec![json!({"functionResponse": {"id": id, "name": name, "response": response}})]);
    }
    let mut parts = Vec::new();
    if let Some(all) = &message.parts {
        for one in all {
            parts.push(given(wanted, one)?);
        }
    } else if !message.content.is_empty() || message.tool_calls.is_empty() {
        parts.push(json!({"text": message.content}));
    }
    for call in &message.tool_calls {
        let args: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        let mut part = json!({"functionCall": {"id": call.id, "name": call.name, "args": args}});
        if let Some(signature) = &call.signature {
            part["thoughtSignature"] = json!(signature);
        }
        parts.push(part);
    }
    Ok(parts)
}

fn body(request: &ChatRequest) -> Result<Value, ProviderError> {
    let wanted = Wanted { provider: NAME, request };
    wanted.only(&OPTIONS)?;
    let mut contents: Vec<Value> = Vec::new();
    let mut system = Vec::new();
    for message in request.messages.iter() {
        let role = match message.role {
            Role::System => {
                system.push(json!({"text": message.content}));
                continue;
            }
            Role::Assistant => "model",
            Role::User | Role::Tool => "user",
        };
        // The answers to one turn's calls belong into one turn.
        match contents.last_mut() {
            Some(last) if last["role"] == role && message.answers.is_some() => {
                if let Some(already) = last["parts"].as_array_mut() {
                    already.extend(parts(wanted, message)?);
                }
            }
            _ => contents.push(json!({"role": role, "parts": parts(wanted, message)?})),
        }
    }
    let mut body = json!({"contents": contents});
    if !system.is_empty() {
        body["systemInstruction"] = json!({"parts": system});
    }
    if !request.tools.is_empty() {
        let declarations: Vec<Value> = request
            .tools
            .iter()
            .map(|tool| {
                let mut declaration = json!({"name": tool.name, "description": tool.description});
                // An object without properties is not accepted.
                if tool.parameters["properties"].as_object().is_some_and(|properties| !properties.is_empty())
                {
                    declaration["parameters"] = subset(&tool.parameters);
                }
                declaration
            })
            .collect();
        body["tools"] = json!([{"functionDeclarations": declarations}]);
        if let Some(choice) = wanted.choice()? {
            body["toolConfig"] = json!({"functionCallingConfig": calling(choice)});
        }
    }
    let config = config(wanted)?;
    if config.as_object().is_some_and(|config| !config.is_empty()) {
        body["generationConfig"] = config;
    }
    Ok(body)
}

fn calling(choice: Choice<'_>) -> Value {
    match choice {
        Choice::Auto => json!({"mode": "AUTO"}),
        Choice::None => json!({"mode": "NONE"}),
        Choice::Required => json!({"mode": "ANY"}),
        Choice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    }
}

fn config(wanted: Wanted<'_>) -> Result<Value, ProviderError> {
    let request = wanted.request;
    let mut config = json!({});
    let options = &request.options;
    let given = [
        ("topP", options.top_p.map(Value::from)),
        ("stopSequences", options.stop.clone().map(Value::from)),
        ("seed", options.seed.map(Value::from)),
        ("frequencyPenalty", options.frequency_penalty.map(Value::from)),
        ("presencePenalty", options.presence_penalty.map(Value::from)),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            config[name] = value;
        }
    }
    if let Some(temperature) = request.temperature {
        config["temperature"] = json!(temperature);
    }
    if let Some(max_tokens) = request.max_tokens {
        config["maxOutputTokens"] = json!(max_tokens);
    }
    match wanted.format()? {
        Format::Text => {}
        Format::Json => config["responseMimeType"] = json!("application/json"),
        Format::Schema(schema) => {
            config["responseMimeType"] = json!("application/json");
            config["responseSchema"] = subset(schema);
        }
    }
    Ok(config)
}

/// JSON Schema cut down to the part of OpenAPI's that Gemini takes. <https://ai.google.dev/api/caching#Schema>
fn subset(schema: &Value) -> Value {
    const KEPT: [&str; 13] = [
        "type",
        "format",
        "description",
        "nullable",
        "enum",
        "properties",
        "required",
        "items",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
    ];
    let Some(object) = schema.as_object() else { return schema.clone() };
    let mut kept = serde_json::Map::new();
    for (key, value) in object.iter().filter(|(key, _)| KEPT.contains(&key.as_str())) {
        let value = match key.as_str() {
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                Value::Object(properties.map(|(name, value)| (name.clone(), subset(value))).collect())
            }
            "items" => subset(value),
            "anyOf" => value.as_array().into_iter().flatten().map(subset).collect(),
            // `["string", "null"]` is `nullable` there.
            "type" if value.is_array() => {
                let types: Vec<&Value> = value.as_array().into_iter().flatten().collect();
                if types.iter().any(|kind| *kind == "null") {
                    kept.insert("nullable".to_owned(), json!(true));
                }
                types.into_iter().find(|kind| *kind != "null").cloned().unwrap_or(json!("string"))
            }
            "enum" => {
                value.as_array().into_iter().flatten().filter(|value| !value.is_null()).cloned().collect()
            }
            // It knows few formats.
            "format"
                if !["int32", "int64", "float", "double", "date-time"].iter().any(|known| value == known) =>
            {
                continue;
            }
            _ => value.clone(),
        };
        kept.insert(key.clone(), value);
    }
    Value::Object(kept)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    #[serde(default)]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<Feedback>,
    usage_metadata: Option<Counted>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    /// A part of the model's thinking, not of its answer.
    #[serde(default)]
    thought: bool,
    function_call: Option<Call>,
    thought_signature: Option<String>,
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    name: String,
    args: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Counted {
    prompt_token_count: i64,
    candidates_token_count: i64,
    thoughts_token_count: i64,
}

#[derive(Deserialize)]
struct Problem {
    code: Option<u16>,
}

#[derive(Default)]
struct Reader {
    usage: Counted,
    called: bool,
    finish: Option<&'static str>,
}

impl Decoder for Reader {
    fn read(&mut self, data: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), ProviderError> {
        let fail = |class, message: &str| ProviderError::new(NAME, class, message);
        let chunk: Chunk = serde_json::from_slice(data)
            .map_err(|_| fail(ErrorClass::Malformed, "an event that is not an answer"))?;
        if let Some(problem) = chunk.error {
            let class = ErrorClass::of_status(problem.code.unwrap_or(500));
            return Err(fail(class, "an error where the answer should be"));
        }
        if chunk.prompt_feedback.and_then(|feedback| feedback.block_reason).is_some() {
            return Err(fail(ErrorClass::Refused, "the prompt was blocked"));
        }
        self.usage = chunk.usage_metadata.unwrap_or(self.usage);
        let Some(candidate) = chunk.candidates.into_iter().next() else { return Ok(()) };
        for part in candidate.content.map(|content| content.parts).unwrap_or_default() {
            if let Some(call) = part.function_call {
                self.called = true;
                events.push(ChatEvent::ToolCall(ToolCall {
                    id: call.id.unwrap_or_else(super::router::new_call_id),
                    name: call.name,
                    arguments: call.args.unwrap_or_else(|| json!({})).to_string(),
                    signature: part.thought_signature,
                }));
            } else if let Some(text) = part.text.filter(|text| !part.thought && !text.is_empty()) {
                events.push(ChatEvent::Delta(text));
            }
        }
        match candidate.finish_reason.as_deref() {
            None | Some("FINISH_REASON_UNSPECIFIED") => {}
            Some("STOP") => self.finish = Some(if self.called { "tool_calls" } else { "stop" }),
            Some("MAX_TOKENS") => self.finish = Some("length"),
            Some("MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL") => {
                return Err(fail(ErrorClass::Malformed, "a call that cannot be read"));
            }
            Some("OTHER") => return Err(fail(ErrorClass::Overloaded, "it stopped for an unknown reason")),
            // SAFETY, RECITATION, LANGUAGE, BLOCKLIST, PROHIBITED_CONTENT, SPII, IMAGE_SAFETY, …
            Some(_) => self.finish = Some("content_filter"),
        }
        Ok(())
    }

    /// Usage may follow the reason: the stream's end is the end.
    fn is_done(&self) -> bool {
        false
    }

    fn end(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), ProviderError> {
        let cut = || ProviderError::new(NAME, ErrorClass::Network, "the answer was cut off");
        let finish = self.finish.ok_or_else(cut)?;
        let usage = self.usage;
        if usage.prompt_token_count + usage.candidates_token_count > 0 {
            let completion = usage.candidates_token_count + usage.thoughts_token_count;
            events.push(ChatEvent::Usage(Usage::new(usage.prompt_token_count, completion)));
        }
        events.push(ChatEvent::Finish(finish));
        Ok(())
    }
}
