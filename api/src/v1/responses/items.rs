//! Items of responses: what came in, read into messages, and what was said, as items.

use std::collections::HashMap;

use rapport_common::{
    domain::{ids::JobId, prompt::AllowedCall},
    error::Wrong,
    problems::Problems,
    providers::{ChatMessage, Role, ToolCall},
};
use serde_json::{Value, json};

use super::{file_search, images, mcp};
use crate::v1::{
    answer::Said,
    body::{NOT_HERE, only},
};

/// The fields of a message's parts.
const PARTS: [&str; 9] =
    ["type", "text", "annotations", "logprobs", "refusal", "image_url", "file_id", "detail", "input_audio"];

/// What the items so far have told.
#[derive(Debug, Default)]
pub struct Called {
    /// The names of functions by the ids of their calls.
    functions: HashMap<String, String>,
    /// What MCP servers have, by their labels.
    pub(super) listed: HashMap<String, Vec<Value>>,
    /// Calls that a client was asked about and has not answered, by the ids of the requests.
    pub(super) asked: HashMap<String, AllowedCall>,
    /// Those that it has allowed.
    pub(super) allowed: Vec<AllowedCall>,
}

/// What an input is, as items with ids: a text is one user's message.
pub fn of_input(input: Value, job: JobId) -> Result<Vec<Value>, Wrong> {
    let items = match input {
        Value::String(text) => {
            vec![json!({"role": "user", "content": [{"type": "input_text", "text": text}]})]
        }
        Value::Array(items) => items,
        _ => return Err(Wrong::Form("must be a text or a list of items")),
    };
    let whole = |(at, mut item): (usize, Value)| {
        if let Some(fields) = item.as_object_mut() {
            let kind =
                fields.entry("type").or_insert(json!("message")).as_str().unwrap_or_default().to_owned();
            fields.entry("id").or_insert(json!(format!("{}_in{at}", item_id("msg", job))));
            fields.entry("status").or_insert(json!("completed"));
            // Shown as all messages are: in parts.
            if let (true, Some(Value::String(text))) = (kind == "message", fields.get("content")) {
                let part = if fields.get("role") == Some(&json!("assistant")) {
                    "output_text"
                } else {
                    "input_text"
                };
                let mut part = json!({"type": part, "text": text});
                if part["type"] == "output_text" {
                    part["annotations"] = json!([]);
                }
                fields.insert("content".to_owned(), json!([part]));
            }
        }
        item
    };
    Ok(items.into_iter().enumerate().map(whole).collect())
}

/// `job_06…` as `msg_06…`, `fc_06…`, `resp_06…`.
pub fn item_id(prefix: &str, job: JobId) -> String {
    job.to_string().replacen("job", prefix, 1)
}

/// Reads items into messages; calls that stand one after the other are one turn's.
pub fn messages(items: &[Value], called: &mut Called, problems: &mut Problems) -> Vec<ChatMessage> {
    let mut messages: Vec<ChatMessage> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let field = format!("input[{at}]");
        let known: &[&str] = match item["type"].as_str() {
            Some("message") => &["type", "id", "status", "role", "content"],
            Some("function_call") => &["type", "id", "status", "call_id", "name", "arguments"],
            Some("file_search_call") => &["type", "id", "status", "queries", "results"],
            kind => kind.and_then(mcp::fields).unwrap_or(&["type", "id", "status", "call_id", "output"]),
        };
        only(item, known, &field, problems);
        match item["type"].as_str() {
            Some("message") => messages.extend(message(item, &field, problems)),
            Some("function_call") => {
                let Some(call) = call(item, &field, problems) else { continue };
                called.functions.insert(call.id.clone(), call.name.clone());
                add_call(&mut messages, call);
            }
            Some(kind) if mcp::fields(kind).is_some() => {
                if let Some((call, heard)) = mcp::message(item, &field, called, problems) {
                    add_call(&mut messages, call);
                    messages.push(heard);
                }
            }
            // What was found stood in the prompt of that answer. What is to be found now is asked for anew.
            Some("file_search_call") => {}
            Some("function_call_output") => messages.extend(output(item, &field, called, problems)),
            // Ours have none; those of others mean nothing here.
            _ => problems.add(
                format!("{field}.type"),
                Wrong::Unfit(
                    "must be `message`, `function_call`, `function_call_output`, `file_search_call`, or of MCP",
                ),
            ),
        }
    }
    messages
}

fn add_call(messages: &mut Vec<ChatMessage>, call: ToolCall) {
    match messages.last_mut() {
        Some(last) if last.role == Role::Assistant => last.tool_calls.push(call),
        _ => {
            let mut turn = ChatMessage::new(Role::Assistant, "");
            turn.tool_calls.push(call);
            messages.push(turn);
        }
    }
}

fn message(item: &Value, field: &str, problems: &mut Problems) -> Option<ChatMessage> {
    let role = match item["role"].as_str() {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => {
            let roles = "system, developer, user, assistant".to_owned();
            problems.add(format!("{field}.role"), Wrong::OneOf(roles));
            return None;
        }
    };
    let mut texts = Vec::new();
    let mut parts = Vec::new();
    let mut only_text = true;
    let content = item["content"].as_array();
    problems.unless(content.is_some(), &format!("{field}.content"), Wrong::Required);
    for (at, part) in content.into_iter().flatten().enumerate() {
        only(part, &PARTS, &format!("{field}.content[{at}]"), problems);
        match self::part(part) {
            Some((text, chat)) => {
                only_text &= text.is_some();
                texts.extend(text);
                parts.push(chat);
            }
            None => problems.add(format!("{field}.content[{at}]"), NOT_HERE),
        }
    }
    let mut message = ChatMessage::new(role, texts.join("\n"));
    message.parts = (!only_text).then_some(parts);
    Some(message)
}

/// A part of a message as chat completions have it, and its text if it is one.
fn part(part: &Value) -> Option<(Option<String>, Value)> {
    match part["type"].as_str()? {
        "input_text" | "output_text" | "text" => {
            let text = part["text"].as_str()?;
            Some((Some(text.to_owned()), json!({"type": "text", "text": text})))
        }
        "refusal" => {
            let text = part["refusal"].as_str()?;
            Some((Some(text.to_owned()), json!({"type": "text", "text": text})))
        }
        "input_image" => Some((None, images::part(part)?)),
        "input_audio" => Some((None, json!({"type": "input_audio", "input_audio": part["input_audio"]}))),
        _ => None,
    }
}

fn call(item: &Value, field: &str, problems: &mut Problems) -> Option<ToolCall> {
    let text = |name: &str| item[name].as_str().map(str::to_owned);
    let read = (text("call_id"), text("name"), text("arguments"));
    let (Some(id), Some(name), Some(arguments)) = read else {
        problems.add(field, Wrong::Form("must have `call_id`, `name` and `arguments`"));
        return None;
    };
    Some(ToolCall { id, name, arguments, signature: None })
}

fn output(item: &Value, field: &str, called: &Called, problems: &mut Problems) -> Option<ChatMessage> {
    let id = item["call_id"].as_str().unwrap_or_default();
    let Some(name) = called.functions.get(id) else {
        let rule = Wrong::Unfit("must be the id of a call before it");
        problems.add(format!("{field}.call_id"), rule);
        return None;
    };
    let text = match &item["output"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Option<Vec<&str>> = parts.iter().map(|part| part["text"].as_str()).collect();
            let Some(texts) = texts else {
                problems.add(format!("{field}.output"), NOT_HERE);
                return None;
            };
            texts.join("\n")
        }
        _ => {
            problems.add(format!("{field}.output"), Wrong::Required);
            return None;
        }
    };
    let mut message = ChatMessage::new(Role::Tool, text);
    message.answers = Some((id.to_owned(), name.clone()));
    Some(message)
}

/// What was said: what was searched and listed; what was said before each call of a server and what it gave; a message, unless
/// there is nothing to say beside what the client is to do; then that.
pub fn of_answer(job: JobId, said: &Said, status: &str) -> Vec<Value> {
    let calls = said.0["calls"].as_array().cloned().unwrap_or_default();
    let asked = mcp::asked(said);
    let mut items = Vec::new();
    if said.0["file_search"].is_object() {
        items.push(file_search::item(job, &said.0["file_search"]));
    }
    items.extend(mcp::lists(said).enumerate().map(|(at, told)| mcp::list_item(job, at, told)));
    let (parts, rest) = mcp::parts(said);
    let mut messages = 0;
    for (at, (before, made)) in parts.into_iter().enumerate() {
        if !before.is_empty() {
            items.push(message_item(&message_id(job, messages), text_part(before, &[]), "completed"));
            messages += 1;
        }
        items.push(mcp::call_item(job, at, &made["call"], &made["ended"]));
    }
    if !rest.is_empty() || calls.is_empty() && asked.is_empty() {
        let cited = file_search::citations(said);
        items.push(message_item(&message_id(job, messages), text_part(rest, &cited), status));
    }
    items.extend(calls.iter().enumerate().map(|(at, call)| call_item(job, at, call, status)));
    items.extend(asked);
    items
}

/// The id of an answer's message: it has several, if it says something before calls.
pub fn message_id(job: JobId, number: usize) -> String {
    let id = item_id("msg", job);
    if number == 0 { id } else { format!("{id}_{number}") }
}

pub fn message_item(id: &str, part: Value, status: &str) -> Value {
    json!({"type": "message", "id": id, "role": "assistant", "status": status, "content": [part]})
}

pub fn text_part(text: &str, annotations: &[Value]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": []})
}

pub fn call_item(job: JobId, at: usize, call: &Value, status: &str) -> Value {
    json!({"type": "function_call", "id": format!("{}_{at}", item_id("fc", job)), "call_id": call["id"],
           "name": call["name"], "arguments": call["arguments"], "status": status})
}
