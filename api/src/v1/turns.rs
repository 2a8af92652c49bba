//! Messages as OpenAI's clients send them, read into what a model is given.

use std::collections::HashMap;

use rapport_common::{
    error::Wrong,
    problems::Problems,
    providers::{ChatMessage, Role, ToolCall},
};
use serde::Deserialize;
use serde_json::Value;

use super::body::NOT_HERE;

/// Messages of one request at most.
const MOST: usize = 4_096;

#[derive(Debug, Clone, Deserialize)]
pub struct TurnBody {
    role: String,
    content: Option<Value>,
    name: Option<String>,
    tool_calls: Option<Vec<CallBody>>,
    tool_call_id: Option<String>,
    refusal: Option<String>,
    annotations: Option<Vec<Value>>,
    audio: Option<Value>,
    function_call: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CallBody {
    id: String,
    #[serde(rename = "type", default = "function")]
    kind: String,
    function: CalledBody,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CalledBody {
    name: String,
    arguments: String,
}

fn function() -> String {
    "function".to_owned()
}

/// Everything that is wrong is noted; the rest is read.
pub fn read(turns: Vec<TurnBody>, problems: &mut Problems) -> Vec<ChatMessage> {
    problems.unless((1..=MOST).contains(&turns.len()), "messages", Wrong::Count { min: 1, max: MOST });
    // The names of functions by the ids of their calls.
    let mut called: HashMap<String, String> = HashMap::new();
    let mut messages = Vec::with_capacity(turns.len());
    for (at, turn) in turns.into_iter().enumerate() {
        let field = format!("messages[{at}]");
        if let Some(message) = one(turn, &field, &mut called, problems) {
            messages.push(message);
        }
    }
    messages
}

fn one(
    turn: TurnBody,
    field: &str,
    called: &mut HashMap<String, String>,
    problems: &mut Problems,
) -> Option<ChatMessage> {
    let role = match turn.role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => {
            let roles = "system, developer, user, assistant, tool".to_owned();
            problems.add(format!("{field}.role"), Wrong::OneOf(roles));
            return None;
        }
    };
    for (name, given) in [("audio", &turn.audio), ("function_call", &turn.function_call)] {
        let absent = given.as_ref().is_none_or(Value::is_null);
        problems.unless(absent, &format!("{field}.{name}"), NOT_HERE);
    }
    // What we answer ourselves has an empty list, and clients send it back.
    let none = turn.annotations.is_none_or(|annotations| annotations.is_empty());
    problems.unless(none, &format!("{field}.annotations"), NOT_HERE);
    let calls = turn.tool_calls.unwrap_or_default();
    let only = calls.is_empty() || role == Role::Assistant;
    problems.unless(
        only,
        &format!("{field}.tool_calls"),
        Wrong::Unfit("belongs into an assistant's message"),
    );
    let may_be_silent = role == Role::Assistant && (!calls.is_empty() || turn.refusal.is_some());
    let (text, parts) = content(turn.content, &format!("{field}.content"), may_be_silent, problems);
    let mut message = ChatMessage::new(role, turn.refusal.unwrap_or(text));
    message.parts = parts;
    message.name = turn.name;
    for (number, call) in calls.into_iter().enumerate() {
        let is_function = call.kind == "function";
        problems.unless(is_function, &format!("{field}.tool_calls[{number}].type"), NOT_HERE);
        called.insert(call.id.clone(), call.function.name.clone());
        let CalledBody { name, arguments } = call.function;
        message.tool_calls.push(ToolCall { id: call.id, name, arguments, signature: None });
    }
    if role == Role::Tool {
        let id = turn.tool_call_id.unwrap_or_default();
        let known = called.get(&id).cloned();
        let rule = Wrong::Unfit("must be the id of a call in an assistant's message before it");
        problems.unless(known.is_some(), &format!("{field}.tool_call_id"), rule);
        message.answers = known.map(|name| (id, name));
        message.name = None;
    }
    Some(message)
}

/// The text of a content, and all its parts if some are no text.
pub fn content(
    content: Option<Value>,
    field: &str,
    may_be_silent: bool,
    problems: &mut Problems,
) -> (String, Option<Vec<Value>>) {
    let parts = match content {
        None | Some(Value::Null) => {
            problems.unless(may_be_silent, field, Wrong::Required);
            return (String::new(), None);
        }
        Some(Value::String(text)) => return (text, None),
        Some(Value::Array(parts)) => parts,
        Some(_) => {
            problems.add(field, Wrong::Form("must be a text or a list of parts"));
            return (String::new(), None);
        }
    };
    let mut texts = Vec::new();
    let mut only_text = true;
    for (at, part) in parts.iter().enumerate() {
        let fits = match part["type"].as_str() {
            Some("text") => part["text"].as_str().map(|text| texts.push(text.to_owned())).is_some(),
            Some("refusal") => part["refusal"].as_str().map(|text| texts.push(text.to_owned())).is_some(),
            Some("image_url") => part["image_url"]["url"].is_string(),
            Some("input_audio") => {
                part["input_audio"]["data"].is_string() && part["input_audio"]["format"].is_string()
            }
            Some("file") => part["file"].is_object(),
            _ => false,
        };
        only_text &= matches!(part["type"].as_str(), Some("text" | "refusal"));
        let rule = Wrong::Form(
            "must be a part of type `text`, `image_url`, `input_audio` or `file`, with what it holds",
        );
        problems.unless(fits, &format!("{field}[{at}]"), rule);
    }
    problems.unless(!parts.is_empty(), field, Wrong::Empty);
    (texts.join("\n"), (!only_text).then_some(parts))
}
