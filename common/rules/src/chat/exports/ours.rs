//! What `GET /chat/sessions/{id}/export` gives.

use serde::Deserialize;

use super::{Above, Head, Id, Raw, Time, lenient, parse, time};
use rapport_core::domain::message::Role;

#[derive(Deserialize)]
struct File {
    #[serde(default, deserialize_with = "lenient")]
    session_id: Option<Id>,
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
    created_at: Option<Time>,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    role: Role,
    content: String,
    created_at: Option<Time>,
}

pub(super) fn read(json: &[u8]) -> Result<(Head, Vec<Raw>), String> {
    let file: File = parse(json)?;
    let messages = file.messages.into_iter().enumerate().map(|(index, message)| Raw {
        id: Id::of_place(index),
        parent: index.checked_sub(1).map(Above::At),
        role: Some(message.role),
        text: message.content,
        model: None,
        at: time(message.created_at),
    });
    let head = Head {
        id: file.session_id.unwrap_or_default(),
        title: file.title,
        created_at: time(file.created_at),
        ..Head::default()
    };
    Ok((head, messages.collect()))
}
