//! Images of a conversation in its prompt.

use rapport_common::{
    chat::window,
    domain::{
        message::Turn,
        prompt::{image_file_part, is_image, text_part},
    },
    providers::{ChatMessage, Role},
};
use serde_json::Value;

/// In place of an image, for a model that takes none.
pub const UNSEEN: &str = "[An image came with this message. You cannot see it.]";
/// In place of images that a provider took for wrong.
pub const REJECTED: &str = "[An image came with this message. It could not be shown.]";

/// Names the images of the turns that a window has. `messages` are the system prompt and those turns, which come newest first.
pub fn name(messages: &mut [ChatMessage], newest_first: &[Turn]) {
    let turns = newest_first.iter().filter(|turn| window::has_words(turn));
    for (message, turn) in messages.iter_mut().skip(1).rev().zip(turns) {
        let images = turn.details.images.iter().map(|image| image_file_part(image.file_id, &Value::Null));
        let mut parts: Vec<Value> = images.collect();
        if !parts.is_empty() {
            // Models are said to see better what comes before the question.
            parts.push(text_part(&message.content));
            message.parts = Some(parts);
        }
    }
}

/// Puts a sentence in place of each image of earlier turns. `false`: there are none, or the message that is answered has some.
pub fn leave_out(messages: &mut [ChatMessage], sentence: &str) -> bool {
    let present = messages.iter().rfind(|message| message.role == Role::User);
    let is_asked = present.is_some_and(|message| message.images() > 0);
    if is_asked || messages.iter().all(|message| message.images() == 0) {
        return false;
    }
    for message in messages.iter_mut().filter(|message| message.images() > 0) {
        for part in message.parts.iter_mut().flatten().filter(|part| is_image(part)) {
            *part = text_part(sentence);
        }
        message.join_texts();
    }
    true
}

#[cfg(test)]
mod tests {
    use rapport_common::domain::{
        ids::FileId,
        message::{self, Details, Image, MessageStatus},
    };
    use serde_json::json;

    use super::*;

    fn turn(role: message::Role, content: &str, images: &[FileId]) -> Turn {
        let images = images.iter().map(|id| Image::new(*id)).collect();
        let details = Details { images, ..Details::default() };
        Turn { role, content: content.to_owned(), status: MessageStatus::Complete, seq: 0, details }
    }

    #[test]
    fn images_stand_with_their_turns_also_where_some_are_left_out() {
        let (old, new) = (FileId::new(), FileId::new());
        let failed = Turn { status: MessageStatus::Failed, ..turn(message::Role::Assistant, "", &[]) };
        let turns = [
            turn(message::Role::User, "and this?", &[new]),
            failed,
            turn(message::Role::User, "what is it?", &[old, new]),
            turn(message::Role::User, &"long ".repeat(100), &[old]),
        ];
        let mut messages = window::build("kind", &turns, 40);
        name(&mut messages, &turns);
        let shown: Vec<usize> = messages.iter().map(ChatMessage::images).collect();
        assert_eq!(shown, [0, 2, 1]);
        let parts = messages[1].parts.clone().unwrap();
        assert_eq!((&parts[0]["file_id"], &parts[2]), (&json!(old), &text_part("what is it?")));
        assert!(!leave_out(&mut messages, UNSEEN), "the message that is answered has one");
    }

    #[test]
    fn only_what_was_shown_before_is_left_out() {
        let old = FileId::new();
        let turns = [
            turn(message::Role::User, "and now?", &[]),
            turn(message::Role::Assistant, "a cat", &[]),
            turn(message::Role::User, "what is it?", &[old]),
        ];
        let mut messages = window::build("kind", &turns, 1_000);
        name(&mut messages, &turns);
        assert!(leave_out(&mut messages, UNSEEN) && !leave_out(&mut messages, REJECTED));
        let (parts, content) = (&messages[1].parts, &messages[1].content);
        assert_eq!((parts, content.as_str()), (&None, format!("{UNSEEN}\nwhat is it?").as_str()));
    }
}
