//! `conversations.json` of ChatGPT's data export: a tree in `mapping`, and `current_node`, the end of the way that is shown.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Above, Head, Id, Raw, Time, lenient, parse, time};
use rapport_core::domain::message::Role;

#[derive(Deserialize)]
struct File {
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    id: Option<Id>,
    #[serde(default, deserialize_with = "lenient")]
    conversation_id: Option<Id>,
    create_time: Option<Time>,
    current_node: Option<Id>,
    #[serde(default, deserialize_with = "lenient")]
    is_archived: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    is_starred: Option<bool>,
    mapping: BTreeMap<Id, Node>,
}

#[derive(Deserialize)]
struct Node {
    parent: Option<Id>,
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    author: Author,
    create_time: Option<Time>,
    #[serde(default)]
    content: Value,
    #[serde(default)]
    metadata: Value,
    #[serde(default, deserialize_with = "lenient")]
    recipient: Option<String>,
}

#[derive(Deserialize)]
struct Author {
    role: String,
}

pub(super) fn read(json: &[u8]) -> Result<(Head, Vec<Raw>), String> {
    let file: File = parse(json)?;
    let head = Head {
        id: file.conversation_id.or(file.id).unwrap_or_default(),
        title: file.title,
        created_at: time(file.create_time),
        is_archived: file.is_archived.unwrap_or(false),
        is_pinned: file.is_starred.unwrap_or(false),
        current: file.current_node,
    };
    let raw = file.mapping.into_iter().map(|(id, node)| {
        let parent = node.parent.map(Above::Named);
        let Some(message) = node.message else { return Raw { id, parent, ..Raw::default() } };
        let model = message.metadata["model_slug"].as_str().map(str::to_owned);
        let (role, text) = (role(&message), text(&message.content));
        Raw { id, parent, role, text, model, at: time(message.create_time) }
    });
    Ok((head, raw.collect()))
}

/// What tools say, and what is said to them, is not the conversation.
fn role(message: &Message) -> Option<Role> {
    let hidden = message.metadata["is_visually_hidden_from_conversation"].as_bool() == Some(true);
    let to_a_tool = message.recipient.as_deref().is_some_and(|name| name != "all");
    let kind = message.content["content_type"].as_str().unwrap_or("text");
    let is_spoken = matches!(kind, "text" | "multimodal_text" | "code" | "quote");
    if hidden || to_a_tool || !is_spoken {
        return None;
    }
    match message.author.role.as_str() {
        "user" => Some(Role::User),
        "assistant" => Some(Role::Assistant),
        _ => None,
    }
}

/// The words of the parts; transcripts of what was spoken; not pictures.
fn text(content: &Value) -> String {
    if let Some(text) = content["text"].as_str() {
        let language = content["language"].as_str().filter(|name| *name != "unknown").unwrap_or_default();
        let code = content["content_type"] == "code";
        return if code { format!("```{language}\n{text}\n```") } else { text.to_owned() };
    }
    let parts = content["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let words: Vec<&str> = parts
        .iter()
        .filter_map(|part| part.as_str().or_else(|| part["text"].as_str()))
        .filter(|text| !text.trim().is_empty())
        .collect();
    words.join("\n\n")
}
