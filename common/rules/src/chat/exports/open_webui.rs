//! Open WebUI's export of chats: `chat.history.messages`, a tree by `parentId`, and `currentId`. Old ones have only `chat.messages`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Above, Head, Id, Raw, Time, lenient, parse, time};
use rapport_core::domain::message::Role;

#[derive(Deserialize)]
struct File {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<Id>,
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
    created_at: Option<Time>,
    #[serde(default, deserialize_with = "lenient")]
    archived: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pinned: Option<bool>,
    chat: Option<Chat>,
    /// Of a chat without its envelope.
    history: Option<History>,
}

#[derive(Deserialize)]
struct Chat {
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
    timestamp: Option<Time>,
    history: Option<History>,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct History {
    #[serde(default)]
    messages: BTreeMap<Id, Message>,
    #[serde(rename = "currentId", default, deserialize_with = "lenient")]
    current_id: Option<Id>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<Id>,
    #[serde(rename = "parentId", default, deserialize_with = "lenient")]
    parent_id: Option<Id>,
    #[serde(default)]
    role: String,
    #[serde(default)]
    content: Value,
    #[serde(default, deserialize_with = "lenient")]
    model: Option<String>,
    timestamp: Option<Time>,
}

pub(super) fn read(json: &[u8]) -> Result<(Head, Vec<Raw>), String> {
    let file: File = parse(json)?;
    let chat =
        file.chat.unwrap_or(Chat { title: None, timestamp: None, history: None, messages: Vec::new() });
    let history = chat.history.or(file.history);
    let current = history.as_ref().and_then(|history| history.current_id.clone());
    let raw = match history.filter(|history| !history.messages.is_empty()) {
        Some(history) => tree(history.messages),
        None => list(chat.messages),
    };
    let head = Head {
        id: file.id.unwrap_or_default(),
        title: file.title.or(chat.title),
        created_at: time(file.created_at).or(time(chat.timestamp)),
        is_archived: file.archived.unwrap_or(false),
        is_pinned: file.pinned.unwrap_or(false),
        current,
    };
    Ok((head, raw))
}

fn tree(messages: BTreeMap<Id, Message>) -> Vec<Raw> {
    messages
        .into_iter()
        .map(|(id, message)| Raw { parent: message.parent_id.clone().map(Above::Named), ..raw(id, message) })
        .collect()
}

/// Each follows the one before it.
fn list(messages: Vec<Message>) -> Vec<Raw> {
    let mut all: Vec<Raw> = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let parent = index.checked_sub(1).map(Above::At);
        let id = message.id.clone().unwrap_or_else(|| Id::of_place(index));
        all.push(Raw { parent, ..raw(id, message) });
    }
    all
}

fn raw(id: Id, message: Message) -> Raw {
    let role = match message.role.as_str() {
        "user" => Some(Role::User),
        "assistant" => Some(Role::Assistant),
        _ => None,
    };
    Raw {
        id,
        parent: None,
        role,
        text: text(&message.content),
        model: message.model,
        at: time(message.timestamp),
    }
}

/// A text, or parts; without what stands folded away before an answer (`<details type="reasoning">`).
fn text(content: &Value) -> String {
    let words = match content {
        Value::Array(parts) => {
            let words: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            words.join("\n\n")
        }
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    let (mut kept, mut rest) = (String::new(), words.as_str());
    while let Some(begin) = rest.find("<details type=\"") {
        let Some(length) = rest[begin..].find("</details>") else { break };
        kept.push_str(&rest[..begin]);
        rest = rest[begin + length + "</details>".len()..].trim_start();
    }
    kept + rest
}
