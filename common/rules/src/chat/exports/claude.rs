//! `conversations.json` of Claude's data export: `chat_messages` in order. Newer ones name each message's parent.

use serde::Deserialize;
use serde_json::Value;

use super::{Above, Head, Id, Raw, Time, lenient, parse, time};
use rapport_core::domain::message::Role;

#[derive(Deserialize)]
struct File {
    #[serde(default, deserialize_with = "lenient")]
    uuid: Option<Id>,
    #[serde(default, deserialize_with = "lenient")]
    name: Option<String>,
    created_at: Option<Time>,
    #[serde(default, deserialize_with = "lenient")]
    is_starred: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    current_leaf_message_uuid: Option<Id>,
    chat_messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default, deserialize_with = "lenient")]
    uuid: Option<Id>,
    sender: String,
    #[serde(default, deserialize_with = "lenient")]
    text: Option<String>,
    #[serde(default)]
    content: Value,
    created_at: Option<Time>,
    #[serde(default, deserialize_with = "lenient")]
    parent_message_uuid: Option<Id>,
    #[serde(default)]
    attachments: Value,
    #[serde(default)]
    files: Value,
}

pub(super) fn read(json: &[u8]) -> Result<(Head, Vec<Raw>), String> {
    let file: File = parse(json)?;
    let head = Head {
        id: file.uuid.unwrap_or_default(),
        title: file.name,
        created_at: time(file.created_at),
        is_pinned: file.is_starred.unwrap_or(false),
        current: file.current_leaf_message_uuid,
        ..Head::default()
    };
    // Without parents each follows the one before it.
    let has_parents = file.chat_messages.iter().any(|message| message.parent_message_uuid.is_some());
    let mut raw: Vec<Raw> = Vec::with_capacity(file.chat_messages.len());
    for (index, message) in file.chat_messages.into_iter().enumerate() {
        let before = index.checked_sub(1).map(Above::At);
        let role = match message.sender.as_str() {
            "human" | "user" => Some(Role::User),
            "assistant" => Some(Role::Assistant),
            _ => None,
        };
        raw.push(Raw {
            text: text(&message),
            id: message.uuid.unwrap_or_else(|| Id::of_place(index)),
            parent: if has_parents { message.parent_message_uuid.map(Above::Named) } else { before },
            role,
            model: None,
            at: time(message.created_at),
        });
    }
    Ok((head, raw))
}

/// The text blocks, or `text` of older files, and the names of what was attached.
fn text(message: &Message) -> String {
    let blocks = message.content.as_array().map(Vec::as_slice).unwrap_or_default();
    let words: Vec<&str> = blocks
        .iter()
        .filter(|block| block["type"] == "text")
        .filter_map(|block| block["text"].as_str())
        .collect();
    let mut text = words.join("\n\n");
    if text.trim().is_empty() {
        text = message.text.clone().unwrap_or_default();
    }
    for list in [&message.attachments, &message.files] {
        let names = list.as_array().map(Vec::as_slice).unwrap_or_default();
        for name in names.iter().filter_map(|file| file["file_name"].as_str()).filter(|name| !name.is_empty())
        {
            text.push_str(&format!("\n[{name}]"));
        }
    }
    text
}
