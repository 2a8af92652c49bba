//! Conversations in files that other services write: ChatGPT, Claude, Open WebUI, LibreChat, and our own. Where each form is
//! known from stands in docs/import.md.
//!
//! A conversation is a tree, of which one way is shown. What is no message of a person or a model (systems, tools, what is
//! hidden, pictures without a word) is passed over, and what hangs from it hangs from what it hung from.

mod chatgpt;
mod claude;
mod ids;
mod librechat;
mod nested;
mod open_webui;
mod ours;
mod tree;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use ids::{Above, Id};
pub use tree::{BRANCHES_MAX, Conversation, Turn};

use rapport_core::{domain::message::Role, plain};

/// Bytes of one conversation in a file.
pub const CONVERSATION_MAX: usize = 16 * 1_024 * 1_024;
/// Stands where one was larger: no conversation, but no sign of somebody else's file either.
pub const TOO_LARGE: &[u8] = br#"{"messages":"too large"}"#;
/// Values in one: a small text of many would be large in memory.
const VALUES_MAX: usize = 1_000_000;
/// Messages of one conversation, on all its ways together.
pub const TURNS_MAX: usize = 5_000;

/// Who wrote a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    ChatGpt,
    Claude,
    OpenWebUi,
    LibreChat,
    Rapport,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Source::ChatGpt => "chatgpt",
            Source::Claude => "claude",
            Source::OpenWebUi => "open_webui",
            Source::LibreChat => "librechat",
            Source::Rapport => "rapport",
        }
    }
}

/// A message as a file has it.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    pub id: Id,
    pub parent: Option<Above>,
    /// `None`: it is passed over.
    pub role: Option<Role>,
    pub text: String,
    pub model: Option<String>,
    pub at: Option<DateTime<Utc>>,
}

/// What a file says of a conversation.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub id: Id,
    pub title: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
    pub is_archived: bool,
    pub is_pinned: bool,
    /// The last message of the way that is shown.
    pub current: Option<Id>,
}

/// The names that tell whose file it is.
#[derive(Deserialize)]
struct Shape {
    mapping: Option<IgnoredAny>,
    chat_messages: Option<IgnoredAny>,
    chat: Option<IgnoredAny>,
    history: Option<IgnoredAny>,
    #[serde(rename = "conversationId")]
    conversation_id: Option<IgnoredAny>,
    #[serde(rename = "messagesTree")]
    messages_tree: Option<IgnoredAny>,
    messages: Option<IgnoredAny>,
}

/// Whose conversation this is. `None`: nobody's that is known.
pub fn source_of(json: &[u8]) -> Option<Source> {
    let shape: Shape = serde_json::from_slice(json).ok()?;
    if shape.mapping.is_some() {
        Some(Source::ChatGpt)
    } else if shape.chat_messages.is_some() {
        Some(Source::Claude)
    } else if shape.chat.is_some() || shape.history.is_some() {
        Some(Source::OpenWebUi)
    } else if shape.conversation_id.is_some() && (shape.messages.is_some() || shape.messages_tree.is_some()) {
        Some(Source::LibreChat)
    } else {
        shape.messages.map(|_| Source::Rapport)
    }
}

/// Reads one conversation of a file that came in at a moment; `Err` is a sentence's end: "… is no conversation".
pub fn read(json: &[u8], uploaded: DateTime<Utc>) -> Result<Conversation, String> {
    if json == TOO_LARGE {
        return Err(format!("is larger than {CONVERSATION_MAX} bytes"));
    }
    if json.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count() > VALUES_MAX {
        return Err(format!("holds more than {VALUES_MAX} values"));
    }
    let source = source_of(json)
        .ok_or("is no conversation of ChatGPT, Claude, Open WebUI, LibreChat or Rapport".to_owned())?;
    let (mut head, raw) = match source {
        Source::ChatGpt => chatgpt::read(json),
        Source::Claude => claude::read(json),
        Source::OpenWebUi => open_webui::read(json),
        Source::LibreChat => librechat::read(json),
        Source::Rapport => ours::read(json),
    }?;
    if head.id.is_empty() {
        // Nothing else tells it from others: the same file is the same conversation.
        head.id = Id::of_words(json);
    }
    tree::grow(source, head, raw, uploaded)
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|error| plain::of_row(&error))
}

/// A time as some files have it: seconds since 1970, perhaps with a fraction; or milliseconds, or nanoseconds, which are larger.
fn moment(number: f64) -> Option<DateTime<Utc>> {
    let mut seconds = number;
    while seconds > 1e11 {
        seconds /= 1_000.0;
    }
    if seconds <= 0.0 {
        return None;
    }
    DateTime::from_timestamp_micros((seconds * 1e6) as i64)
}

/// A time as others have it. One that cannot be read is none: the messages are worth more.
fn written(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

/// A time in either form.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Time {
    Number(f64),
    Text(String),
    Other(IgnoredAny),
}

fn time(time: Option<Time>) -> Option<DateTime<Utc>> {
    match time? {
        Time::Number(number) => moment(number),
        Time::Text(text) => written(&text),
        Time::Other(_) => None,
    }
}

/// A value of another form than it should have is none: one field must not cost the conversation.
fn lenient<'de, D: serde::Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
