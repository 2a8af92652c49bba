//! `/mcp`: an MCP server over streamable HTTP, for programs that work with their user's memory.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports>
//!
//! It keeps no sessions, and answers each request with one JSON body: there is nothing that it would say by itself.

mod prompts;
mod resources;
mod tools;

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use rapport_common::{auth, error::Code};
use serde_json::{Value, json};

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

/// Speak MCP
///
/// JSON-RPC over streamable HTTP: `initialize`, `ping`, `tools/list`, `tools/call`, `resources/list`, `resources/templates/list`,
/// `resources/read` (memories and conversations), `prompts/list`, `prompts/get` (`about_me`). Tools: `add_memory`, `search_memory`,
/// `list_memories`, `verify_memory`, `forget_memory`, `memory_history` (a key needs the scope `memory`) and `send_message` (the scope
/// `chat`). There are no sessions and no events of the server's own: `GET` is 405.
#[utoipa::path(post, path = "/mcp", tag = "service", request_body(content = Object, content_type = "application/json"),
    responses((status = 200, description = "A JSON-RPC response", body = Object),
              (status = 202, description = "A notification was taken"),
              (status = 422, description = "A field's value is not allowed", body = crate::problem::Problem)))]
pub async fn mcp(
    State(state): State<AppState>,
    Caller(caller): Caller,
    trace: Trace,
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
            None => {
                return Ok(refusal(
                    id,
                    WRONG_PARAMETERS,
                    "there is no such prompt, or not with these arguments",
                ));
            }
        },
        "tools/list" => json!({"tools": tools::offered(&caller)}),
        "tools/call" => match called(&state, caller, trace, parameters).await {
            Ok(result) => result,
            Err(why) => return Ok(refusal(id, WRONG_PARAMETERS, why)),
        },
        _ => return Ok(refusal(id, NO_METHOD, "there is no such method")),
    };
    Ok(Answer(json!({"jsonrpc": "2.0", "id": id, "result": result})).into_response())
}

fn refusal(id: &Value, code: i64, why: &str) -> Response {
    Answer(json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": why}})).into_response()
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
        },
        "serverInfo": {"name": "rapport", "version": env!("CARGO_PKG_VERSION")},
        "instructions": ABOUT,
    })
}

/// What a tool says, or that it failed: both are results. `Err`: there is no such tool for this caller.
async fn called(
    state: &AppState,
    caller: auth::Caller,
    trace: Trace,
    parameters: Value,
) -> std::result::Result<Value, &'static str> {
    let name = parameters["name"].as_str().unwrap_or_default();
    let arguments = parameters.get("arguments").cloned().unwrap_or_else(|| json!({}));
    let tool =
        tools::find(&caller, name).ok_or("there is no such tool, or the key's scopes do not include it")?;
    let (said, is_error) = match tools::call(state, caller, trace, tool, arguments).await {
        Ok(said) => (said, false),
        // Made for people outside: a cause is not told.
        Err(failure) => (json!({"error": failure.0.detail, "code": failure.0.code.as_str()}), true),
    };
    Ok(json!({
        "content": [{"type": "text", "text": said.to_string()}],
        "structuredContent": said,
        "isError": is_error,
    }))
}
