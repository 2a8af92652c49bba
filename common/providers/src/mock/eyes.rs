//! What the mock sees: the kind and size of each image, and which turn it came with.

use crate::{ChatMessage, Role, domain::prompt::is_image};

/// The model that takes images.
pub const SEEING: &str = "mock-sees";

/// All that stands beside the users' own words, in order.
pub fn seen(messages: &[ChatMessage]) -> String {
    let turns = messages.iter().filter(|message| message.role == Role::User).enumerate();
    let told: Vec<String> = turns.flat_map(|(at, turn)| of_turn(at + 1, turn)).collect();
    if told.is_empty() { "I see no image.".to_owned() } else { told.join("; ") }
}

/// `None`: the last turn has no image.
pub fn shown(messages: &[ChatMessage]) -> Option<String> {
    let last = messages.iter().rfind(|message| message.role == Role::User)?;
    let images = last.images();
    (images > 0).then(|| format!("I see {images} image{}.", if images == 1 { "" } else { "s" }))
}

fn of_turn(number: usize, turn: &ChatMessage) -> Vec<String> {
    let beside = turn.parts.iter().flatten().filter_map(|part| {
        if !is_image(part) {
            return part["text"].as_str().filter(|text| *text != turn.content).map(str::to_owned);
        }
        let url = part["image_url"]["url"].as_str().unwrap_or_default();
        Some(match url.strip_prefix("data:").and_then(|data| data.split_once(";base64,")) {
            Some((kind, data)) => {
                let bytes = data.trim_end_matches('=').len() * 3 / 4;
                format!("{kind} of {bytes} bytes")
            }
            None => "an address".to_owned(),
        })
    });
    beside.map(|one| format!("turn {number}: {one}")).collect()
}
