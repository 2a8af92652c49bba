//! What a request says of servers in its items, and what is said of them in an answer's.

use rapport_common::{
    domain::{ids::JobId, prompt::AllowedCall},
    error::Wrong,
    problems::Problems,
    providers::{ChatMessage, Role, ToolCall},
    tools::{ToolError, framed, named},
};
use serde_json::{Value, json};

use crate::v1::{
    answer::Said,
    responses::items::{Called, item_id},
};

/// What an item of one of these kinds has.
pub fn fields(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "mcp_list_tools" => Some(&["type", "id", "status", "server_label", "tools", "error"]),
        "mcp_call" => Some(&[
            "type",
            "id",
            "status",
            "server_label",
            "name",
            "arguments",
            "output",
            "error",
            "approval_request_id",
        ]),
        "mcp_approval_request" => Some(&["type", "id", "status", "server_label", "name", "arguments"]),
        "mcp_approval_response" => {
            Some(&["type", "id", "status", "approval_request_id", "approve", "reason"])
        }
        _ => None,
    }
}

/// Reads one of them. What a call gave is told to the model as it was; what is allowed is noted, for it to be made.
pub fn message(
    item: &Value,
    field: &str,
    called: &mut Called,
    problems: &mut Problems,
) -> Option<(ToolCall, ChatMessage)> {
    let mut text = |name: &str| match item[name].as_str() {
        Some(text) => text.to_owned(),
        None => {
            problems.add(format!("{field}.{name}"), Wrong::Required);
            String::new()
        }
    };
    match item["type"].as_str()? {
        "mcp_list_tools" => {
            let (label, tools) = (text("server_label"), item["tools"].as_array());
            let whole = |tool: &Value| tool["name"].is_string() && tool["input_schema"].is_object();
            let fits = tools.is_some_and(|tools| tools.len() <= named::TOOLS_MAX && tools.iter().all(whole));
            let rule = Wrong::Form("must be up to 128 tools, with their names and schemas");
            problems.unless(fits, &format!("{field}.tools"), rule);
            if let (Some(tools), true) = (tools, item["error"].is_null()) {
                called.listed.insert(label, tools.clone());
            }
            None
        }
        "mcp_approval_request" => {
            let (id, label, name, arguments) =
                (text("id"), text("server_label"), text("name"), text("arguments"));
            called.asked.insert(id.clone(), AllowedCall { id, label, name, arguments });
            None
        }
        "mcp_approval_response" => answer(item, field, called, problems),
        _ => {
            let (label, name, arguments) = (text("server_label"), text("name"), text("arguments"));
            if let Some(id) = item["approval_request_id"].as_str() {
                called.asked.remove(id);
            }
            let heard = match (item["output"].as_str(), &item["error"]) {
                (Some(output), Value::Null) => framed(&Ok(output.into())),
                (_, Value::Null) => refused("outcome unknown: it was cut off, and may have worked or not"),
                (_, error) => refused(&why(error)),
            };
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            Some(pair((id, &label, &name), arguments, heard))
        }
    }
}

/// Of the calls that a conversation allows, keeps those that its client allowed after the last answer: what was allowed before was
/// called then, or was to be and its response was cancelled.
pub fn keep_unheard(conversation: &[Value], called: &mut Called) {
    let is_consent = |item: &&Value| item["type"] == "mcp_approval_response";
    let is_clients = |item: &&Value| match item["type"].as_str() {
        Some("message") => item["role"] != "assistant",
        Some("function_call_output" | "mcp_approval_response") => true,
        _ => false,
    };
    let newest = conversation.iter().rev().take_while(is_clients).filter(is_consent);
    let heard: Vec<&Value> = newest.map(|item| &item["approval_request_id"]).collect();
    called.allowed.retain(|call| heard.iter().any(|id| **id == call.id));
}

/// Calls that are allowed, as a response keeps them that hears of them in its conversation.
pub fn heard(called: &Called) -> Vec<Value> {
    let call = |call: &AllowedCall| json!({"server_label": call.label, "name": call.name, "arguments": call.arguments, "approval_request_id": call.id});
    called.allowed.iter().map(call).collect()
}

/// The same once the response has failed: they were made or not, nobody knows, and are not made again by themselves.
pub fn unknown(job: JobId, heard: &Value) -> Vec<Value> {
    let calls = heard.as_array().into_iter().flatten().enumerate();
    calls.map(|(at, call)| call_item(job, at, call, &Value::Null)).collect()
}

fn answer(
    item: &Value,
    field: &str,
    called: &mut Called,
    problems: &mut Problems,
) -> Option<(ToolCall, ChatMessage)> {
    let asked = called.asked.remove(item["approval_request_id"].as_str().unwrap_or_default());
    let Some(asked) = asked else {
        let rule = Wrong::Unfit("must be the id of a request before it that was not answered");
        problems.add(format!("{field}.approval_request_id"), rule);
        return None;
    };
    match item["approve"].as_bool() {
        Some(true) => called.allowed.push(asked),
        Some(false) => {
            let reason = item["reason"].as_str().filter(|reason| !reason.is_empty());
            let why = "its user did not allow this call";
            let why = reason.map_or(why.to_owned(), |reason| format!("{why}: {reason}"));
            return Some(pair((asked.id, &asked.label, &asked.name), asked.arguments, refused(&why)));
        }
        None => problems.add(format!("{field}.approve"), Wrong::NotBoolean),
    }
    None
}

fn refused(why: &str) -> String {
    framed(&Err(ToolError(why.to_owned())))
}

/// Why a call failed, of the forms that OpenAI's items have.
fn why(error: &Value) -> String {
    let text = error.as_str().or(error["message"].as_str()).or(error["content"][0]["text"].as_str());
    text.map_or_else(|| error.to_string(), str::to_owned)
}

fn pair(
    (id, label, name): (String, &str, &str),
    arguments: String,
    heard: String,
) -> (ToolCall, ChatMessage) {
    let name = named::called(label, name);
    let mut turn = ChatMessage::new(Role::Tool, heard);
    turn.answers = Some((id.clone(), name.clone()));
    (ToolCall { id, name, arguments, signature: None }, turn)
}

/// A list as an item. `told`: as its answer has it.
pub fn list_item(job: JobId, number: usize, told: &Value) -> Value {
    json!({"type": "mcp_list_tools", "id": format!("{}_{number}", item_id("mcpl", job)),
           "server_label": told["server_label"], "tools": told["tools"], "error": told["error"]})
}

/// A call as an item. `ended`: what came of it; null if nobody knows.
pub fn call_item(job: JobId, number: usize, call: &Value, ended: &Value) -> Value {
    let status = match (ended.is_null(), ended["error"].is_null()) {
        (true, _) => "incomplete",
        (false, true) => "completed",
        (false, false) => "failed",
    };
    json!({"type": "mcp_call", "id": format!("{}_{number}", item_id("mcp", job)), "status": status,
           "server_label": call["server_label"], "name": call["name"], "arguments": call["arguments"],
           "approval_request_id": call["approval_request_id"], "output": ended["output"], "error": ended["error"]})
}

/// The requests for consent with which an answer ends, as items.
pub fn asked(said: &Said) -> Vec<Value> {
    let asks = said.0["mcp"]["approvals"].as_array().cloned().unwrap_or_default();
    let item = |mut ask: Value| {
        ask["type"] = json!("mcp_approval_request");
        ask
    };
    asks.into_iter().map(item).collect()
}

/// A list's items, in their order.
pub fn lists(said: &Said) -> impl Iterator<Item = &Value> {
    said.0["mcp"]["lists"].as_array().into_iter().flatten()
}

/// What was said before each call, with the call; and what was said after them all.
pub fn parts(said: &Said) -> (Vec<(&str, &Value)>, &str) {
    let (mut parts, mut rest, mut from) = (Vec::new(), said.text(), 0);
    for call in said.0["mcp"]["calls"].as_array().into_iter().flatten() {
        let at = call["call"]["at"].as_u64().unwrap_or(0) as usize;
        let end = rest.char_indices().nth(at.saturating_sub(from)).map_or(rest.len(), |(end, _)| end);
        let (before, after) = rest.split_at(end);
        parts.push((before, call));
        (rest, from) = (after, at.max(from));
    }
    (parts, rest)
}
