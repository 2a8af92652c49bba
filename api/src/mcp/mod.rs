//! `/mcp`: an MCP server over streamable HTTP, for programs that work with their user's memory.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports>
//!
//! It keeps no sessions, and answers each request with one JSON body, or with events where a client wants to hear how far an answer is:
//! there is nothing else that it would say by itself.

mod prompts;
mod resources;
mod send;
mod tasks;
mod tools;

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use rapport_common::{auth, error::Code};
use serde_json::{Value, json};

use tools::Tool;

use crate::{
    error::Result,
    extract::{Caller, Json, Trace},
    state::AppState,
};

/// The versions that are spoken, the newest first: what is used of them is the same in all.
const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
const ABOUT: &str = "What Rapport remembers of its user. Search before you ask the user again; what you add is confirmed at once, so \
                     add only what the user said. send_message asks the user's assistant, which knows the conversations.";

const NOT_A_REQUEST: i64 = -32_600;
const NO_METHOD: i64 = -32_601;
const WRONG_PARAMETERS: i64 = -32_602;
const NO_RESOURCE: i64 = -32_002;
const NO_PROMPT: &str = "there is no such prompt, or not with these arguments";
/// There was no result in time, or the process stops.
const ENDED_EARLY: i64 = -32_603;

/// Speak MCP
///
/// JSON-RPC over streamable HTTP: `initialize`, `ping`, `tools/list`, `tools/call`, `resources/list`, `resources/templates/list`,
/// `resources/read` (memories and conversations), `prompts/list`, `prompts/get` (`about_me`). Tools: `add_memory`, `search_memory`,
/// `list_memories`, `verify_memory`, `forget_memory`, `memory_history` (a key needs the scope `memory`) and `send_message` (the scope
/// `chat`), which can be a task (`tasks/get`, `tasks/result`, `tasks/cancel`), and tells its progress as server-sent events to a request
/// with a `progressToken`. There are no sessions and no events of the server's own: `GET` is 405.
#[utoipa::path(post, path = "/mcp", tag = "service", request_body(content = Object, content_type = "application/json"),
    responses((status = 200, description = "A JSON-RPC response", body = Object),
              (status = 202, description = "A notification was taken"),
              (status = 422, description = "A field's value is not allowed", body = crate::problem::Problem)))]
pub async fn mcp(
    State(state): State<AppState>,
    Caller(caller): Caller,
    trace: Trace,
    headers: HeaderMap,
    Json(message): Json<Value>,
) -> Result<Response> {
    let id = message.get("id").filter(|id| id.is_string() || id.is_i64() || id.is_u64());
    let method = message["method"].as_str().filter(|_| message["jsonrpc"] == "2.0");
    let (Some(method), Some(id)) = (method, id) else {
        // Notifications and answers want no answer.
        if method.is_some() || message.get("result").is_some() || message.get("error").is_some() {
            return Ok(StatusCode::ACCEPTED.into_response());
        }
        return Ok(refusal(&Value::Null, NOT_A_REQUEST, "not a JSON-RPC 2.0 request"));
    };
    let parameters = message.get("params").cloned().unwrap_or_else(|| json!({}));
    let result = match method {
        "initialize" => initialized(&parameters),
        "ping" => json!({}),
        "resources/list" => resources::listed(&state, &caller, &parameters["cursor"]).await?,
        "resources/templates/list" => resources::templates(&caller),
        "resources/read" => {
            match resources::read(&state, &caller, parameters["uri"].as_str().unwrap_or_default()).await {
                Ok(contents) => contents,
                Err(failure) if failure.0.code == Code::NotFound => {
                    return Ok(refusal(id, NO_RESOURCE, "there is no such resource"));
                }
                Err(failure) => return Err(failure),
            }
        }
        "prompts/list" => prompts::listed(&caller),
        "prompts/get" => match prompts::filled(&state, &caller, &parameters).await? {
            Some(prompt) => prompt,
            None => return Ok(refusal(id, WRONG_PARAMETERS, NO_PROMPT)),
        },
        "tools/list" => json!({"tools": tools::offered(&caller)}),
        "tools/call" => return Ok(called(&state, caller, trace, Call::of(id, parameters, &headers)).await),
        "tasks/get" => return tasks::get(&state, &caller, id, &parameters).await,
        "tasks/cancel" => return tasks::cancel(&state, &caller, id, &parameters).await,
        "tasks/result" => {
            let progress = progress(&parameters, &headers);
            return tasks::result(&state, &caller, id, &parameters, progress).await;
        }
        _ => return Ok(refusal(id, NO_METHOD, "there is no such method")),
    };
    Ok(Answer(result_of(id, result)).into_response())
}

fn result_of(id: &Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

fn refused(id: &Value, code: i64, why: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": why}})
}

fn refusal(id: &Value, code: i64, why: &str) -> Response {
    Answer(refused(id, code, why)).into_response()
}

fn initialized(parameters: &Value) -> Value {
    let asked = parameters["protocolVersion"].as_str();
    let version = VERSIONS.into_iter().find(|version| Some(*version) == asked).unwrap_or(VERSIONS[0]);
    json!({
        "protocolVersion": version,
        "capabilities": {
            "tools": {"listChanged": false},
            "resources": {"subscribe": false, "listChanged": false},
            "prompts": {"listChanged": false},
            "tasks": {"cancel": {}, "requests": {"tools": {"call": {}}}},
        },
        "serverInfo": {"name": "rapport", "version": env!("CARGO_PKG_VERSION")},
        "instructions": ABOUT,
    })
}

/// The client's word for the progress of a request, if it wants to hear of it and can.
fn progress(parameters: &Value, headers: &HeaderMap) -> Option<Value> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let token = &parameters["_meta"]["progressToken"];
    let given = token.is_string() || token.is_i64() || token.is_u64();
    (given && accept.contains("text/event-stream")).then(|| token.clone())
}

/// A call of a tool, as it was asked for.
struct Call {
    id: Value,
    name: String,
    arguments: Value,
    /// It is to be a task: the client does not wait for it.
    is_task: bool,
    progress: Option<Value>,
}

impl Call {
    fn of(id: &Value, mut parameters: Value, headers: &HeaderMap) -> Self {
        let progress = progress(&parameters, headers);
        let arguments = parameters.get_mut("arguments").map(Value::take).unwrap_or_default();
        Self {
            id: id.clone(),
            name: parameters["name"].as_str().unwrap_or_default().to_owned(),
            arguments: if arguments.is_null() { json!({}) } else { arguments },
            is_task: parameters["task"].is_object(),
            progress,
        }
    }
}

async fn called(state: &AppState, caller: auth::Caller, trace: Trace, call: Call) -> Response {
    let Some(tool) = tools::find(&caller, &call.name) else {
        let why = "there is no such tool, or the key's scopes do not include it";
        return refusal(&call.id, WRONG_PARAMETERS, why);
    };
    if tool == Tool::Send && (call.is_task || call.progress.is_some()) {
        return sent(state, &caller, trace, call).await;
    }
    if call.is_task {
        return refusal(&call.id, NO_METHOD, "this tool is no task");
    }
    let result = tools::call(state, caller, trace, tool, call.arguments).await;
    Answer(result_of(&call.id, said(result))).into_response()
}

/// A message that is not just waited for: a task, or one whose progress is told.
async fn sent(state: &AppState, caller: &auth::Caller, trace: Trace, call: Call) -> Response {
    let Call { id, arguments, is_task, progress, .. } = call;
    let accepted = async {
        // Taken before anything is sent. A task is told of when its result is asked for.
        let slot = match progress.filter(|_| !is_task) {
            Some(token) => Some((token, state.slots.take(caller.user, "sse")?)),
            None => None,
        };
        let accepted = send::accept(state, caller, trace, tools::message(arguments)?).await?;
        Ok((accepted, slot))
    };
    match accepted.await {
        Ok((accepted, Some((token, slot)))) => {
            send::tell(state, caller, &accepted, send::Heard { id, token, task: None, slot }).await
        }
        Ok((accepted, None)) => {
            Answer(result_of(&id, tasks::created(state, &accepted).await)).into_response()
        }
        Err(failure) => Answer(result_of(&id, said(Err(failure)))).into_response(),
    }
}

/// What a tool says, or that it failed: both are results.
fn said(said: Result<Value>) -> Value {
    let (said, is_error) = match said {
        Ok(said) => (said, false),
        // Made for people outside: a cause is not told.
        Err(failure) => (json!({"error": failure.0.detail, "code": failure.0.code.as_str()}), true),
    };
    json!({
        "content": [{"type": "text", "text": said.to_string()}],
        "structuredContent": said,
        "isError": is_error,
    })
}
