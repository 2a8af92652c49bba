//! LibreChat's export of a conversation as JSON: `messages` (a list with parents) or `messagesTree` (with `children`).

use serde::Deserialize;
use serde_json::Value;

use super::{Above, Head, Id, Raw, Time, lenient, nested, parse, time};
use rapport_core::domain::message::Role;

#[derive(Deserialize)]
struct File {
    #[serde(rename = "conversationId", default, deserialize_with = "lenient")]
    conversation_id: Option<Id>,
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "messageId", default, deserialize_with = "lenient")]
    message_id: Option<Id>,
    #[serde(rename = "parentMessageId", default, deserialize_with = "lenient")]
    parent_message_id: Option<Id>,
    #[serde(default, deserialize_with = "lenient")]
    text: Option<String>,
    #[serde(default)]
    content: Value,
    #[serde(rename = "isCreatedByUser", default, deserialize_with = "lenient")]
    is_created_by_user: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    sender: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    model: Option<String>,
    #[serde(rename = "createdAt")]
    created_at: Option<Time>,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<bool>,
}

/// A tree is as deep as its conversation is long, deeper than JSON may be read: its messages are taken out one by one.
pub(super) fn read(json: &[u8]) -> Result<(Head, Vec<Raw>), String> {
    let nested::Flat { rest, items } = nested::flatten(json, &["messages", "messagesTree"], "children")?;
    let file: File = parse(&rest)?;
    let mut raw: Vec<Raw> = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let message: Message = parse(&item.json)?;
        // Where a message stands says more than what it names.
        let parent = item.parent.map(Above::At);
        let is_user = message.is_created_by_user.unwrap_or_else(|| message.sender.as_deref() == Some("User"));
        raw.push(Raw {
            text: text(&message),
            id: message.message_id.unwrap_or_else(|| Id::of_place(index)),
            parent: parent.or(message.parent_message_id.map(Above::Named)),
            // What failed was no answer.
            role: match (message.error.unwrap_or(false), is_user) {
                (true, _) => None,
                (false, true) => Some(Role::User),
                (false, false) => Some(Role::Assistant),
            },
            model: message.model.filter(|_| !is_user),
            at: time(message.created_at),
        });
    }
    let head = Head { id: file.conversation_id.unwrap_or_default(), title: file.title, ..Head::default() };
    Ok((head, raw))
}

/// `text`, or the text parts of `content`, whose text may be an object with a `value`.
fn text(message: &Message) -> String {
    let parts = message.content.as_array().map(Vec::as_slice).unwrap_or_default();
    let words: Vec<&str> = parts
        .iter()
        .filter(|part| part["type"] == "text")
        .filter_map(|part| part["text"].as_str().or_else(|| part["text"]["value"].as_str()))
        .collect();
    if words.is_empty() { message.text.clone().unwrap_or_default() } else { words.join("\n\n") }
}
