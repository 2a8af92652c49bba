//! The body of `POST /v1/messages`: every field that Anthropic's clients send is read here, and used or refused.

use std::collections::HashMap;

use rapport_common::{
    Result,
    domain::prompt::{Options, Prompted, ToolSpec},
    error::Wrong,
    problems::Problems,
    providers::{ChatMessage, Role, ToolCall},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::v1::body::NOT_HERE;

const MOST: usize = 4_096;
const TOOLS: usize = 128;

/// A request for an answer, as Anthropic's clients send it.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct AnthropicBody {
    /// `auto`, `provider`, `provider/model`, or a provider's model.
    #[schema(example = "auto")]
    pub model: String,
    #[schema(minimum = 1)]
    pub max_tokens: Option<i64>,
    #[schema(value_type = Vec<Object>, example = json!([{"role": "user", "content": "Hello!"}]))]
    pub messages: Vec<Turn>,
    /// A text, or blocks of text.
    #[schema(value_type = Option<Object>)]
    pub system: Option<Content>,
    pub stream: Option<bool>,
    #[schema(minimum = 0, maximum = 1)]
    pub temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f64>,
    pub stop_sequences: Option<Vec<String>>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Vec<Tool>>,
    #[schema(value_type = Option<Object>)]
    pub tool_choice: Option<Choice>,
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Metadata>,
    /// Without effect.
    #[serde(rename = "cache_control")]
    #[schema(value_type = Option<Object>)]
    pub _cache: Option<Value>,
    /// Only `{"type": "disabled"}`.
    #[schema(value_type = Option<Object>)]
    pub thinking: Option<Value>,
    /// Only `auto`.
    pub service_tier: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub top_k: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub container: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub mcp_servers: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub context_management: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub output_config: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Turn {
    role: String,
    content: Content,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

/// `cache_control` is a wish about cost: there is nothing here that it would change.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Block {
    Text {
        text: String,
        #[serde(default, rename = "cache_control")]
        _cache: Option<Value>,
        /// What we answer ourselves has none, and clients send it back.
        #[serde(default, rename = "citations")]
        _citations: Option<()>,
    },
    Image {
        source: Source,
        #[serde(default, rename = "cache_control")]
        _cache: Option<Value>,
    },
    ToolUse {
        id: String,
        name: String,
        input: Value,
        #[serde(default, rename = "cache_control")]
        _cache: Option<Value>,
    },
    ToolResult {
        tool_use_id: String,
        #[serde(default)]
        content: Option<Content>,
        #[serde(default)]
        is_error: Option<bool>,
        #[serde(default, rename = "cache_control")]
        _cache: Option<Value>,
    },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    Base64 { media_type: String, data: String },
    Url { url: String },
}

#[derive(Debug, Clone, Deserialize)]
pub struct Tool {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: String,
    description: Option<String>,
    input_schema: Option<Value>,
    strict: Option<bool>,
    #[serde(rename = "cache_control")]
    _cache: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Choice {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    user_id: Option<String>,
}

/// A request that was read.
pub struct Wanted {
    pub model: String,
    pub prompted: Prompted,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub stream: bool,
}

impl AnthropicBody {
    /// `is_answered`: an answer is wanted, and not only a count.
    pub fn read(self, is_answered: bool) -> Result<Wanted> {
        let mut problems = Problems::default();
        self.refuse(&mut problems);
        problems.unless(self.max_tokens.is_some() || !is_answered, "max_tokens", Wrong::Required);
        let mut messages = Vec::new();
        let mut reader = Reader { called: HashMap::new(), problems: &mut problems };
        if let Some(system) = self.system {
            let text = reader.text(system, "system");
            messages.push(ChatMessage::new(Role::System, text));
        }
        let fits = (1..=MOST).contains(&self.messages.len());
        reader.problems.unless(fits, "messages", Wrong::Count { min: 1, max: MOST });
        for (at, turn) in self.messages.into_iter().enumerate() {
            messages.extend(reader.turn(turn, &format!("messages[{at}]")));
        }
        let tools = tools(self.tools.unwrap_or_default(), &mut problems);
        let one_by_one = self.tool_choice.as_ref().and_then(|choice| choice.disable_parallel_tool_use);
        let options = Options {
            top_p: self.top_p,
            stop: self.stop_sequences.filter(|all| !all.is_empty()),
            tool_choice: self.tool_choice.and_then(|one| choice(one, &mut problems)),
            parallel_tool_calls: (one_by_one == Some(true)).then_some(false),
            user: self.metadata.and_then(|metadata| metadata.user_id),
            ..Options::default()
        };
        problems.done()?;
        Ok(Wanted {
            model: self.model,
            prompted: Prompted { messages, tools, options, ..Prompted::default() },
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            stream: self.stream.unwrap_or(false),
        })
    }

    fn refuse(&self, problems: &mut Problems) {
        for (name, value) in [
            ("top_k", &self.top_k),
            ("container", &self.container),
            ("mcp_servers", &self.mcp_servers),
            ("context_management", &self.context_management),
            ("output_config", &self.output_config),
        ] {
            problems.unless(value.as_ref().is_none_or(Value::is_null), name, NOT_HERE);
        }
        let thinks = self.thinking.as_ref().is_some_and(|thinking| thinking["type"] != "disabled");
        problems.unless(!thinks, "thinking", NOT_HERE);
        let usual = self.service_tier.as_ref().is_none_or(|tier| tier == "auto");
        problems.unless(usual, "service_tier", Wrong::Unfit("must be auto"));
        for (name, value) in [("temperature", self.temperature), ("top_p", self.top_p)] {
            let fits = value.is_none_or(|value| (0.0..=1.0).contains(&value));
            problems.unless(fits, name, Wrong::Range { min: 0, max: 1 });
        }
    }
}

struct Reader<'a> {
    /// The names of functions by the ids of their calls.
    called: HashMap<String, String>,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    /// A turn of theirs is several of ours, if it tells what functions gave.
    fn turn(&mut self, turn: Turn, field: &str) -> Vec<ChatMessage> {
        let role = match turn.role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => {
                self.problems.add(format!("{field}.role"), Wrong::Either(&["user", "assistant"]));
                return Vec::new();
            }
        };
        let blocks = match turn.content {
            Content::Text(text) => return vec![ChatMessage::new(role, text)],
            Content::Blocks(blocks) => blocks,
        };
        let mut told = Vec::new();
        let mut said = ChatMessage::new(role, "");
        let (mut texts, mut parts, mut only_text) = (Vec::new(), Vec::new(), true);
        for (at, block) in blocks.into_iter().enumerate() {
            let place = format!("{field}.content[{at}]");
            match block {
                Block::Text { text, .. } => {
                    parts.push(json!({"type": "text", "text": text}));
                    texts.push(text);
                }
                Block::Image { source, .. } => {
                    only_text = false;
                    let url = match source {
                        Source::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
                        Source::Url { url } => url,
                    };
                    parts.push(json!({"type": "image_url", "image_url": {"url": url}}));
                }
                Block::ToolUse { id, name, input, .. } => {
                    let rule = Wrong::Unfit("belongs into an assistant's message");
                    self.problems.unless(role == Role::Assistant, &place, rule);
                    self.called.insert(id.clone(), name.clone());
                    said.tool_calls.push(ToolCall {
                        id,
                        name,
                        arguments: input.to_string(),
                        signature: None,
                    });
                }
                Block::ToolResult { tool_use_id, content, is_error, .. } => {
                    let text = content.map(|content| self.text(content, &place)).unwrap_or_default();
                    let text = if is_error == Some(true) { format!("Error: {text}") } else { text };
                    told.extend(self.result(tool_use_id, text, &place));
                }
            }
        }
        said.content = texts.join("\n");
        said.parts = (!only_text).then_some(parts);
        if !said.content.is_empty() || said.parts.is_some() || !said.tool_calls.is_empty() {
            told.push(said);
        }
        told
    }

    fn result(&mut self, id: String, text: String, place: &str) -> Option<ChatMessage> {
        let known = self.called.get(&id).cloned();
        let rule = Wrong::Unfit("must be the id of a `tool_use` before it");
        self.problems.unless(known.is_some(), &format!("{place}.tool_use_id"), rule);
        let mut message = ChatMessage::new(Role::Tool, text);
        message.answers = Some((id, known?));
        Some(message)
    }

    fn text(&mut self, content: Content, field: &str) -> String {
        let blocks = match content {
            Content::Text(text) => return text,
            Content::Blocks(blocks) => blocks,
        };
        let mut texts = Vec::new();
        for block in blocks {
            match block {
                Block::Text { text, .. } => texts.push(text),
                _ => self.problems.add(field, Wrong::Unfit("can only be text here")),
            }
        }
        texts.join("\n")
    }
}

fn tools(tools: Vec<Tool>, problems: &mut Problems) -> Vec<ToolSpec> {
    problems.unless(tools.len() <= TOOLS, "tools", Wrong::Count { min: 0, max: TOOLS });
    let mut specs = Vec::new();
    for (at, tool) in tools.into_iter().enumerate() {
        let own = tool.kind.as_deref().is_none_or(|kind| kind == "custom");
        problems.unless(own, &format!("tools[{at}].type"), NOT_HERE);
        specs.push(ToolSpec {
            name: tool.name,
            description: tool.description.unwrap_or_default(),
            parameters: tool.input_schema.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
            strict: tool.strict,
        });
    }
    specs
}

fn choice(choice: Choice, problems: &mut Problems) -> Option<Value> {
    match (choice.kind.as_str(), choice.name) {
        ("auto", None) => None,
        ("none", None) => Some(json!("none")),
        ("any", None) => Some(json!("required")),
        ("tool", Some(name)) => Some(json!({"type": "function", "function": {"name": name}})),
        _ => {
            let rule = Wrong::Form("must be of type auto, any or none, or tool with a name");
            problems.add("tool_choice", rule);
            None
        }
    }
}
