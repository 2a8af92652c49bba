//! What a model is given to read.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    ids::{FileId, VectorStoreId},
    message,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
    /// What a tool answered.
    Tool,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

impl From<message::Role> for Role {
    fn from(role: message::Role) -> Self {
        match role {
            message::Role::User => Role::User,
            message::Role::Assistant => Role::Assistant,
        }
    }
}

/// A function the model wants called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// JSON, as the model wrote it: it may be anything.
    pub arguments: String,
    /// What some models want back with the call, unread (Gemini's `thoughtSignature`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChatMessage {
    pub role: Role,
    pub content: String,
    /// Of an assistant's turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Which call a tool's turn answers: its id and the tool's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<(String, String)>,
    /// The whole content where it is more than text, as OpenAI's content parts; `content` is the text in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Vec<Value>>,
    /// Which of several participants of one role speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl ChatMessage {
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        let content = content.into();
        Self { role, content, tool_calls: Vec::new(), answers: None, parts: None, name: None }
    }

    /// How many images it shows.
    pub fn images(&self) -> usize {
        self.parts.iter().flatten().filter(|part| is_image(part)).count()
    }

    /// Parts that are nothing but text become one: not every provider takes parts.
    pub fn join_texts(&mut self) {
        let texts: Option<Vec<&str>> = self.parts.as_ref().and_then(|parts| {
            parts.iter().map(|part| part["text"].as_str().filter(|_| part["type"] == "text")).collect()
        });
        if let Some(texts) = texts {
            self.content = texts.join("\n");
            self.parts = None;
        }
    }
}

/// A part that names an image by its file. Only we write it: no client's parts have this type, and no provider's. The bytes are put in
/// when a model is asked, and stand in nothing that is stored.
const IMAGE_FILE: &str = "image_file";

pub fn text_part(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// An image by what it holds (`data:…`), or by an address.
pub fn image_part(url: &str, detail: &Value) -> Value {
    let mut image = json!({"url": url});
    if detail.is_string() {
        image["detail"] = detail.clone();
    }
    json!({"type": "image_url", "image_url": image})
}

/// An image of the user's. `detail` is OpenAI's: how closely it is looked at.
pub fn image_file_part(file: FileId, detail: &Value) -> Value {
    json!({"type": IMAGE_FILE, "file_id": file, "detail": detail})
}

/// The file that a part names.
pub fn image_file(part: &Value) -> Option<FileId> {
    part["file_id"].as_str().filter(|_| part["type"] == IMAGE_FILE)?.parse().ok()
}

pub fn is_image(part: &Value) -> bool {
    matches!(part["type"].as_str(), Some("image_url" | IMAGE_FILE))
}

/// A function on offer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    /// JSON Schema of an object.
    pub parameters: Value,
    /// Whether the model is bound to the schema, where a provider can do that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// How an answer is wanted, beyond what every request says. Names and values are OpenAI's; an adapter translates them, or
/// refuses what its provider does not have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logit_bias: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<String>,
    /// Whom the caller serves, as the caller calls them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_retention: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Value>,
    /// Whether each token comes with how likely it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// And how many others, with how likely they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<i64>,
}

impl Options {
    /// The names of what is asked for.
    pub fn named(&self) -> Vec<String> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
            _ => Vec::new(),
        }
    }
}

/// What a client says itself of what a model is asked, instead of a session's past, or beside it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Prompted {
    pub messages: Vec<ChatMessage>,
    /// The client's own functions: it is told of their calls, and makes them.
    pub tools: Vec<ToolSpec>,
    pub options: Options,
    /// What is to be searched before the model is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<FileSearch>,
    /// MCP servers of the client's choice, whose tools the model may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<NamedServer>,
    /// Calls of their tools that the client has allowed: they are made first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<AllowedCall>,
}

/// A search in vector stores, whose passages go into the prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileSearch {
    pub stores: Vec<VectorStoreId>,
    pub queries: Vec<String>,
    pub limit: usize,
    /// A [`Filter`](crate::attributes::Filter), as it was sent; it was read once, and nothing is wrong with it.
    pub filters: Option<Value>,
    pub threshold: Option<f64>,
    /// Whether the client wants to see what was found.
    pub shows_results: bool,
}

/// An MCP server that a client names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedServer {
    pub label: String,
    pub description: Option<String>,
    /// Its address and headers, sealed for the job, in base64: either may hold a key.
    pub sealed: String,
    /// Which of its tools there are, for this answer.
    pub tools: Option<ToolFilter>,
    pub approval: Approval,
    /// Its tools, if they stand in what was said before: they are not asked for again.
    pub listed: Option<Vec<Value>>,
}

/// Some tools of a server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolFilter {
    pub names: Option<Vec<String>>,
    /// Whether those that say they change nothing, or those that do not say so.
    pub read_only: Option<bool>,
}

impl ToolFilter {
    pub fn has(&self, name: &str, read_only: bool) -> bool {
        self.names.as_ref().is_none_or(|names| names.iter().any(|one| one == name))
            && self.read_only.is_none_or(|wanted| wanted == read_only)
    }
}

/// Which calls need the client's consent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    Always,
    Never,
    Some { always: Option<ToolFilter>, never: Option<ToolFilter> },
}

impl Approval {
    /// In doubt they do; but whoever only says which do has said that the others do not.
    pub fn is_needed(&self, name: &str, read_only: bool) -> bool {
        let has = |filter: &Option<ToolFilter>| filter.as_ref().is_some_and(|some| some.has(name, read_only));
        match self {
            Approval::Always => true,
            Approval::Never => false,
            Approval::Some { always, never } => {
                has(always) || !has(never) && (always.is_none() || never.is_some())
            }
        }
    }
}

/// Calls in one round at most, or allowed at once: a model that asks for more has lost its way.
pub const CALLS_MAX: usize = 16;

/// A call that a client was asked about, and allowed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AllowedCall {
    /// That of the request for consent.
    pub id: String,
    pub label: String,
    pub name: String,
    pub arguments: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_needs_consent_unless_it_was_said_that_it_does_not() {
        let named = |name: &str| Some(ToolFilter { names: Some(vec![name.to_owned()]), read_only: None });
        let reading = || Some(ToolFilter { names: None, read_only: Some(true) });
        let needed = |always, never| {
            let rule = Approval::Some { always, never };
            [("read", true), ("write", false)].map(|(name, read_only)| rule.is_needed(name, read_only))
        };
        assert_eq!(needed(None, named("read")), [false, true]);
        assert_eq!(needed(None, reading()), [false, true]);
        assert_eq!(needed(named("write"), None), [false, true]);
        assert_eq!(needed(named("read"), named("read")), [true, true]);
        assert_eq!(needed(None, None), [true, true]);
    }
}
