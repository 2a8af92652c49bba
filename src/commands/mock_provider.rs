//! The mock model over HTTP, in OpenAI's form: an upstream that fails, hangs, is cut off or talks nonsense when told to.
//!
//! Faults come by rate (`--error-rate`), or by the model's name: `mock-429`, `mock-500`, `mock-hang` (no byte ever),
//! `mock-hang-mid`, `mock-cut` (closed in mid-stream), `mock-garbage`. `GET /stats` tells how many requests came, are
//! open and ended, and how many tokens their prompts had.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_stream::stream;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use rand::Rng;
use rapport_common::{
    chat::tokens,
    providers::{
        ChatMessage, Role, ToolCall, ToolSpec,
        mock::{
            Calls,
            plan::{self, plan},
        },
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::commands;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// 0 takes a free one.
    #[arg(long, default_value_t = 9_099)]
    pub port: u16,
    /// Milliseconds before the first token.
    #[arg(long, default_value_t = 0)]
    pub first_token_ms: u64,
    /// Milliseconds between tokens.
    #[arg(long, default_value_t = 0)]
    pub token_ms: u64,
    /// The share of requests that fail, 0-1.
    #[arg(long, default_value_t = 0.0)]
    pub error_rate: f64,
    /// The status they fail with.
    #[arg(long, default_value_t = 503)]
    pub error_status: u16,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    open: AtomicI64,
    finished: AtomicU64,
    /// Of all prompts that came, whatever became of them.
    prompt_tokens: AtomicU64,
}

#[derive(Clone)]
struct Upstream {
    arguments: Arguments,
    counts: Arc<Counts>,
    calls: Calls,
}

pub async fn run(arguments: Arguments) -> Result<(), String> {
    let address = (arguments.host.clone(), arguments.port);
    let listener = TcpListener::bind(address).await.map_err(|error| format!("cannot listen: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    commands::print(&format!("mock provider listens on http://{address}/v1\n"))?;
    let upstream = Upstream { arguments, counts: Arc::default(), calls: Calls::default() };
    let app = Router::new()
        .route("/v1/chat/completions", post(completions))
        .route(
            "/v1/models",
            get(|| async { Json(json!({"object": "list", "data": [{"id": "mock-1", "object": "model"}]})) }),
        )
        .route("/stats", get(stats))
        .with_state(upstream);
    let stopping = commands::stop_signal(std::time::Duration::from_secs(5), CancellationToken::new())?;
    axum::serve(listener, app)
        .with_graceful_shutdown(async move { stopping.cancelled().await })
        .await
        .map_err(|error| error.to_string())
}

async fn stats(State(upstream): State<Upstream>) -> Json<Value> {
    let requests = upstream.counts.requests.load(Ordering::SeqCst);
    let finished = upstream.counts.finished.load(Ordering::SeqCst);
    let open = upstream.counts.open.load(Ordering::SeqCst);
    let prompt_tokens = upstream.counts.prompt_tokens.load(Ordering::SeqCst);
    Json(json!({"requests": requests, "open": open, "finished": finished, "prompt_tokens": prompt_tokens}))
}

#[derive(Deserialize)]
struct Request {
    model: String,
    messages: Vec<Turn>,
    #[serde(default)]
    stream: bool,
    max_tokens: Option<usize>,
    #[serde(default)]
    tools: Vec<Offered>,
    #[serde(default)]
    logprobs: bool,
    #[serde(default)]
    top_logprobs: i64,
}

#[derive(Deserialize)]
struct Offered {
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    /// A text, or parts.
    content: Option<Value>,
    #[serde(default)]
    tool_calls: Vec<Value>,
    tool_call_id: Option<String>,
}

/// A turn as the plan reads it; a tool's answer gets its name from the call it answers.
fn message(turn: &Turn, all: &[Turn]) -> ChatMessage {
    let role = match turn.role.as_str() {
        "system" => Role::System,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => Role::User,
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let parts = turn.content.as_ref().and_then(Value::as_array);
    let said = match parts {
        Some(parts) => {
            parts.iter().map(|part| text(&part["text"])).collect::<Vec<_>>().join("\n").trim().to_owned()
        }
        None => text(turn.content.as_ref().unwrap_or(&Value::Null)),
    };
    let mut message = ChatMessage::new(role, said);
    message.parts = parts.cloned();
    let call = |call: &Value| ToolCall {
        id: text(&call["id"]),
        name: text(&call["function"]["name"]),
        arguments: text(&call["function"]["arguments"]),
        signature: None,
    };
    message.tool_calls = turn.tool_calls.iter().map(call).collect();
    message.answers = turn.tool_call_id.as_ref().map(|id| {
        let asked = all.iter().flat_map(|turn| &turn.tool_calls).find(|call| call["id"] == *id);
        (id.clone(), asked.map_or_else(String::new, |call| text(&call["function"]["name"])))
    });
    message
}

/// Counts a request as open until its response is written or dropped.
struct Open(Arc<Counts>);

impl Open {
    fn new(counts: &Arc<Counts>) -> Self {
        counts.requests.fetch_add(1, Ordering::SeqCst);
        counts.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(counts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn error(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({"error": {"message": "the mock fails as told", "type": "mock_error", "code": null}});
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

async fn completions(
    State(upstream): State<Upstream>,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Response {
    let open = Open::new(&upstream.counts);
    let messages: Vec<ChatMessage> =
        request.messages.iter().map(|turn| message(turn, &request.messages)).collect();
    let prompt_tokens: usize = messages.iter().map(|message| tokens::estimate(&message.content)).sum();
    upstream.counts.prompt_tokens.fetch_add(prompt_tokens as u64, Ordering::SeqCst);
    let spec = |name: &str| ToolSpec { name: name.to_owned(), ..ToolSpec::default() };
    let tools: Vec<ToolSpec> = request.tools.iter().map(|tool| spec(&tool.function.name)).collect();
    let plan = plan(&messages, &tools, &request.model);
    let trace = headers.get("traceparent").and_then(|value| value.to_str().ok());
    if let Some(fail) = plan.fail
        && fail.times.is_none_or(|times| upstream.calls.before(trace) < times)
    {
        return error(fail.status);
    }
    if upstream.arguments.error_rate > 0.0 && rand::rng().random_bool(upstream.arguments.error_rate.min(1.0))
    {
        return error(upstream.arguments.error_status);
    }
    match request.model.as_str() {
        "mock-429" => return error(429),
        "mock-500" => return error(500),
        "mock-hang" => std::future::pending().await,
        _ => {}
    }
    let limit = request.max_tokens.unwrap_or(usize::MAX);
    let finish = match (plan.calls.is_empty(), plan.words.len() > limit) {
        (false, _) => "tool_calls",
        (true, true) => "length",
        (true, false) => "stop",
    };
    let calls = written(&plan.calls);
    let words: Vec<String> = plan.words.into_iter().take(limit).collect();
    let likely = |(number, word): (usize, &String)| {
        request.logprobs.then(|| plan::logprobs(word, number as i64, request.top_logprobs))
    };
    let logprobs: Vec<Value> = words.iter().enumerate().filter_map(likely).collect();
    let usage = json!({
        "prompt_tokens": prompt_tokens, "completion_tokens": words.len(), "total_tokens": prompt_tokens + words.len(),
    });
    tokio::time::sleep(Duration::from_millis(upstream.arguments.first_token_ms)).await;
    if !request.stream {
        upstream.counts.finished.fetch_add(1, Ordering::SeqCst);
        let choice = json!({
            "index": 0, "finish_reason": finish,
            "message": {"role": "assistant", "content": words.concat(), "tool_calls": calls},
            "logprobs": if logprobs.is_empty() { Value::Null } else { json!({"content": logprobs}) },
        });
        return Json(json!({
            "id": "chatcmpl-mock", "object": "chat.completion", "model": request.model, "choices": [choice], "usage": usage,
        }))
        .into_response();
    }
    let delay = plan.delay.unwrap_or(Duration::from_millis(upstream.arguments.token_ms));
    answer(open, upstream, Reply { model: request.model, words, logprobs, calls, finish, usage, delay })
}

/// Calls of functions, as OpenAI writes them.
fn written(calls: &[ToolCall]) -> Vec<Value> {
    let one = |(index, call): (usize, &ToolCall)| json!({"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}});
    calls.iter().enumerate().map(one).collect()
}

/// What is streamed.
struct Reply {
    model: String,
    words: Vec<String>,
    /// One a word, if they are wanted.
    logprobs: Vec<Value>,
    calls: Vec<Value>,
    finish: &'static str,
    usage: Value,
    /// Between two words.
    delay: Duration,
}

fn answer(open: Open, upstream: Upstream, reply: Reply) -> Response {
    let Reply { model, words, logprobs, calls, finish, usage, delay } = reply;
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 0, "model": "mock-1", "choices": choices,
            "usage": usage,
        });
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let body = stream! {
        let _open = open;
        let middle = words.len() / 2;
        let mut waiting: Vec<u8> = Vec::new();
        for (index, word) in words.into_iter().enumerate() {
            if index == middle {
                match model.as_str() {
                    "mock-hang-mid" => std::future::pending().await,
                    "mock-garbage" => {
                        yield Ok(Bytes::from_static(b"data: <html>502 Bad Gateway</html>\n\n"));
                        return;
                    }
                    // An error ends the connection without the last chunk: the client sees it break.
                    "mock-cut" => {
                        yield Err("cut off as told");
                        return;
                    }
                    _ => {}
                }
            }
            let mut choice = json!({"index": 0, "delta": {"content": word}, "finish_reason": null});
            if let Some(likely) = logprobs.get(index) {
                choice["logprobs"] = json!({"content": [likely]});
            }
            waiting.extend_from_slice(&chunk(json!([choice]), Value::Null));
            if !delay.is_zero() {
                yield Ok(Bytes::from(std::mem::take(&mut waiting)));
                tokio::time::sleep(delay).await;
            }
        }
        if !calls.is_empty() {
            waiting.extend_from_slice(&chunk(json!([{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": null}]), Value::Null));
        }
        waiting.extend_from_slice(&chunk(json!([{"index": 0, "delta": {}, "finish_reason": finish}]), Value::Null));
        waiting.extend_from_slice(&chunk(json!([]), usage));
        waiting.extend_from_slice(b"data: [DONE]\n\n");
        upstream.counts.finished.fetch_add(1, Ordering::SeqCst);
        yield Ok(Bytes::from(waiting));
    };
    let mut response = Response::new(Body::from_stream(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
    response
}
