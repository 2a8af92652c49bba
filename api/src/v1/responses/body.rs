//! The body of `POST /v1/responses`: every field that OpenAI's clients send is read here, and used or refused.

use rapport_common::{
    Error, Result,
    domain::{
        ids::{ConversationId, JobId},
        prompt::{FileSearch, Options, ToolSpec},
    },
    error::Wrong,
    problems::Problems,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{file_search, items, mcp};
use crate::v1::body::{NOT_HERE, ToolBody, format, only, read_tools};

const PAIRS: usize = 16;

/// A request for a response, as OpenAI's clients send it.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct ResponseBody {
    /// `auto` (the default), `provider`, `provider/model`, or a provider's model.
    #[schema(example = "auto")]
    pub model: Option<String>,
    /// A text, or items: messages, calls, and what calls gave.
    #[schema(value_type = Option<Object>, example = "Hello!")]
    pub input: Option<Value>,
    pub instructions: Option<String>,
    /// The response this one goes on from.
    pub previous_response_id: Option<String>,
    /// Whether it is kept until somebody deletes it (the default).
    pub store: Option<bool>,
    /// Answer at once, and go on alone.
    pub background: Option<bool>,
    pub stream: Option<bool>,
    #[schema(value_type = Option<Object>)]
    pub stream_options: Option<Value>,
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f64>,
    #[schema(minimum = 1)]
    pub max_output_tokens: Option<i64>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Vec<Value>>,
    #[schema(value_type = Option<Object>)]
    pub tool_choice: Option<Value>,
    pub parallel_tool_calls: Option<bool>,
    /// `format` and `verbosity`.
    #[schema(value_type = Option<Object>)]
    pub text: Option<Value>,
    /// `effort`.
    #[schema(value_type = Option<Object>)]
    pub reasoning: Option<Value>,
    /// Up to 16 pairs of texts.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    pub user: Option<String>,
    pub safety_identifier: Option<String>,
    pub prompt_cache_key: Option<String>,
    pub prompt_cache_retention: Option<String>,
    pub service_tier: Option<String>,
    /// `disabled` (the default): what the model cannot read at once is refused; `auto`: its oldest turns are left out.
    pub truncation: Option<String>,
    #[schema(value_type = Option<Vec<String>>)]
    pub include: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    pub top_logprobs: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub max_tool_calls: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub conversation: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub prompt: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub context_management: Option<Value>,
}

/// A request that was read.
pub struct Wanted {
    pub model: String,
    pub instructions: Option<String>,
    /// Items with ids.
    pub input: Vec<Value>,
    pub tools: Vec<ToolSpec>,
    /// What is to be searched before it is answered; without what for.
    pub search: Option<FileSearch>,
    /// MCP servers whose tools the model may call.
    pub servers: Vec<mcp::Given>,
    pub options: Options,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub previous: Option<JobId>,
    pub conversation: Option<ConversationId>,
    /// Whether the oldest turns are left out where the model cannot read all.
    pub truncates: bool,
    pub store: bool,
    pub background: bool,
    pub stream: bool,
    /// The fields of the object that say what was asked.
    pub shown: Value,
}

impl ResponseBody {
    pub fn read(mut self, job: JobId) -> Result<Wanted> {
        let mut problems = Problems::default();
        self.refuse(&mut problems);
        let previous = self.previous_response_id.as_deref().map(crate::extract::response_id);
        let previous = previous.transpose().map_err(|_| {
            Error::field("previous_response_id", Wrong::Unfit("is no stored response of yours"))
        })?;
        let conversation = self.in_conversation(&mut problems);
        let input = match self.input.take() {
            None | Some(Value::Null) => {
                problems.add("input", Wrong::Required);
                Vec::new()
            }
            Some(input) => items::of_input(input, job).unwrap_or_else(|wrong| {
                problems.add("input", wrong);
                Vec::new()
            }),
        };
        let given = self.tools.as_deref().unwrap_or_default();
        let tools = read_tools(functions(given, &mut problems), &mut problems);
        let search = file_search::read(given, self.include.as_deref().unwrap_or_default(), &mut problems);
        let servers = mcp::read(given, &mut problems);
        let search = search.filter(|_| self.tool_choice.as_ref().is_none_or(|choice| choice != "none"));
        let (store, background) = (self.store.unwrap_or(true), self.background.unwrap_or(false));
        problems.unless(
            store || !background,
            "background",
            Wrong::Unfit("can only be given together with `store`"),
        );
        let calls = !tools.is_empty() || !servers.is_empty();
        let options = self.options((calls, search.is_some()), &mut problems);
        problems.done()?;
        Ok(Wanted {
            shown: self.shown(store, background, conversation),
            model: self.model.unwrap_or_else(|| "auto".to_owned()),
            instructions: self.instructions,
            input,
            tools,
            search,
            servers,
            options,
            temperature: self.temperature,
            max_tokens: self.max_output_tokens,
            previous,
            conversation,
            truncates: self.truncation.as_deref() == Some("auto"),
            store,
            background,
            stream: self.stream.unwrap_or(false),
        })
    }

    /// The conversation, by its id or as an object with it.
    fn in_conversation(&self, problems: &mut Problems) -> Option<ConversationId> {
        let given = self.conversation.as_ref().filter(|given| !given.is_null())?;
        let id = given.as_str().or(given["id"].as_str()).and_then(|id| id.parse().ok());
        problems.unless(id.is_some(), "conversation", Wrong::Unfit("is no conversation of yours"));
        let alone = self.previous_response_id.is_none();
        problems.unless(alone, "conversation", Wrong::NotWith("previous_response_id"));
        let rule = Wrong::Unfit("can only be given together with `store`");
        problems.unless(self.store != Some(false), "conversation", rule);
        id
    }

    fn refuse(&self, problems: &mut Problems) {
        let given = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
        for (name, value) in [
            ("prompt", &self.prompt),
            ("max_tool_calls", &self.max_tool_calls),
            ("context_management", &self.context_management),
        ] {
            problems.unless(!given(value), name, NOT_HERE);
        }
        let none = self.top_logprobs.as_ref().is_none_or(|top| top.is_null() || *top == json!(0));
        problems.unless(none, "top_logprobs", NOT_HERE);
        let truncates = self.truncation.as_ref().is_none_or(|word| word == "disabled" || word == "auto");
        problems.unless(truncates, "truncation", Wrong::Either(&["auto", "disabled"]));
        // There is no reasoning to be had, sealed or open: nothing is left out.
        let included = self.include.as_ref().is_none_or(|all| {
            all.iter().all(|one| one == "reasoning.encrypted_content" || one == file_search::INCLUDED)
        });
        problems.unless(included, "include", NOT_HERE);
        let obfuscated =
            self.stream_options.as_ref().is_some_and(|options| options["include_obfuscation"] == true);
        problems.unless(!obfuscated, "stream_options.include_obfuscation", NOT_HERE);
        check_metadata(self.metadata.as_ref(), problems);
        let summary = self.reasoning.as_ref().is_some_and(|reasoning| !reasoning["summary"].is_null());
        problems.unless(!summary, "reasoning.summary", NOT_HERE);
        let within = self.top_p.is_none_or(|top_p| (0.0..=1.0).contains(&top_p));
        problems.unless(within, "top_p", Wrong::Range { min: 0, max: 1 });
    }

    fn options(&self, (calls, searches): (bool, bool), problems: &mut Problems) -> Options {
        let text = self.text.as_ref().unwrap_or(&Value::Null);
        only(text, &["format", "verbosity"], "text", problems);
        let reasoning = self.reasoning.as_ref().unwrap_or(&Value::Null);
        only(reasoning, &["effort", "summary"], "reasoning", problems);
        let mut word = |of: &Value, name: &str, field: &str| {
            let value = &of[name];
            problems.unless(value.is_null() || value.is_string(), field, Wrong::Form("must be a text"));
            value.as_str().map(str::to_owned)
        };
        let verbosity = word(text, "verbosity", "text.verbosity");
        let reasoning_effort = word(reasoning, "effort", "reasoning.effort");
        Options {
            top_p: self.top_p,
            response_format: format(chat_format(&text["format"]), problems),
            verbosity,
            tool_choice: chat_choice(self.tool_choice.as_ref(), (calls, searches), problems),
            parallel_tool_calls: self.parallel_tool_calls.filter(|parallel| !parallel),
            reasoning_effort,
            user: self.user.clone(),
            safety_identifier: self.safety_identifier.clone(),
            prompt_cache_key: self.prompt_cache_key.clone(),
            prompt_cache_retention: self.prompt_cache_retention.clone(),
            service_tier: self.service_tier.clone().filter(|tier| tier != "auto"),
            ..Options::default()
        }
    }

    /// Every field that the object of a response has and that the client chooses.
    fn shown(&self, store: bool, background: bool, conversation: Option<ConversationId>) -> Value {
        let or = |value: &Option<Value>, default: Value| {
            value.clone().filter(|value| !value.is_null()).unwrap_or(default)
        };
        let mut text = or(&self.text, json!({}));
        if text.is_object() && text["format"].is_null() {
            text["format"] = json!({"type": "text"});
        }
        json!({
            "model": self.model.as_deref().unwrap_or("auto"),
            "instructions": self.instructions,
            "previous_response_id": self.previous_response_id,
            "store": store,
            "background": background,
            "temperature": self.temperature.unwrap_or(1.0),
            "top_p": self.top_p.unwrap_or(1.0),
            "max_output_tokens": self.max_output_tokens,
            "max_tool_calls": null,
            "tools": self.tools.iter().flatten().map(mcp::shown).collect::<Vec<_>>(),
            "tool_choice": or(&self.tool_choice, json!("auto")),
            "parallel_tool_calls": self.parallel_tool_calls.unwrap_or(true),
            "text": text,
            "reasoning": or(&self.reasoning, json!({"effort": null, "summary": null})),
            "metadata": self.metadata.clone().unwrap_or_default(),
            "user": self.user,
            "safety_identifier": self.safety_identifier,
            "prompt_cache_key": self.prompt_cache_key,
            "service_tier": self.service_tier.as_deref().unwrap_or("auto"),
            "truncation": self.truncation.as_deref().unwrap_or("disabled"),
            "top_logprobs": 0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "conversation": conversation.map(|id| json!({"id": id})),
        })
    }
}

/// Up to 16 pairs of texts.
pub fn check_metadata(metadata: Option<&Map<String, Value>>, problems: &mut Problems) {
    let plain = metadata.is_none_or(|pairs| {
        pairs.len() <= PAIRS
            && pairs
                .iter()
                .all(|(name, value)| name.len() <= 64 && value.as_str().is_some_and(|text| text.len() <= 512))
    });
    let rule = Wrong::Form("must be at most 16 texts, of at most 512 bytes, with names");
    problems.unless(plain, "metadata", rule);
}

/// Functions in the words of chat completions: there they stand one level deeper.
fn functions(tools: &[Value], problems: &mut Problems) -> Vec<ToolBody> {
    let mut all = Vec::new();
    for (at, tool) in
        tools.iter().enumerate().filter(|(_, tool)| !file_search::is_tool(tool) && !mcp::is_tool(tool))
    {
        let known = ["type", "name", "description", "parameters", "strict"];
        if tool["type"] == "function" {
            only(tool, &known, &format!("tools[{at}]"), problems);
        }
        let function: Map<String, Value> = ["name", "description", "parameters", "strict"]
            .into_iter()
            .filter_map(|name| {
                Some((name.to_owned(), tool.get(name).filter(|value| !value.is_null())?.clone()))
            })
            .collect();
        let read = serde_json::from_value(json!({"type": tool["type"], "function": function}));
        match read {
            Ok(tool) => all.push(tool),
            Err(_) => problems.add(
                format!("tools[{at}]"),
                Wrong::Unfit("must be of type `function`, with its name, `file_search` or `mcp`"),
            ),
        }
    }
    all
}

fn chat_format(format: &Value) -> Option<Value> {
    if format["type"] != "json_schema" {
        return (!format.is_null()).then(|| format.clone());
    }
    let mut schema = json!({"name": format["name"], "schema": format["schema"]});
    for name in ["strict", "description"] {
        if !format[name].is_null() {
            schema[name] = format[name].clone();
        }
    }
    Some(json!({"type": "json_schema", "json_schema": schema}))
}

/// A search is made whether or not a model would choose it: nothing has to be asked of one.
fn chat_choice(
    choice: Option<&Value>,
    (calls, searches): (bool, bool),
    problems: &mut Problems,
) -> Option<Value> {
    match choice? {
        Value::Null => None,
        Value::String(word) if word == "required" && searches && !calls => None,
        named if searches && *named == json!({"type": "file_search"}) => None,
        Value::String(word) if word == "auto" => None,
        Value::String(word) if word == "none" || word == "required" => Some(json!(word)),
        named if named["type"] == "function" && named["name"].is_string() => {
            Some(json!({"type": "function", "function": {"name": named["name"]}}))
        }
        named if mcp::is_tool(named) => mcp::choice(named, problems),
        _ => {
            problems.add("tool_choice", Wrong::Unfit("must be auto, none, required, or name a function"));
            None
        }
    }
}
