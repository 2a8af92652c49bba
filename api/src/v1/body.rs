//! The body of `POST /v1/chat/completions`: every field that OpenAI's clients send is read here, and used or refused.

use rapport_common::{
    Error, Result,
    domain::{
        ids::{ProjectId, SessionId},
        prompt::{Options, Prompted, ToolSpec},
    },
    error::Wrong,
    jobs::payload::ToolChoice,
    problems::Problems,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::turns::{self, TurnBody};

/// Answers to one request at most.
const ANSWERS: i64 = 8;
/// Functions that one request may offer.
const TOOLS: usize = 128;
const STOPS: usize = 4;
/// Other tokens that may be told of beside each token.
const TOPS: i64 = 20;
pub const NOT_HERE: Wrong = Wrong::Unfit("is not supported here");

/// A request for an answer, as OpenAI's clients send it.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct CompletionBody {
    /// `auto`, `provider`, `provider/model`, or a provider's model.
    #[schema(example = "auto")]
    pub model: String,
    #[schema(value_type = Vec<Object>, example = json!([{"role": "user", "content": "Hello!"}]))]
    pub messages: Vec<TurnBody>,
    pub stream: Option<bool>,
    #[schema(value_type = Option<Object>)]
    pub stream_options: Option<StreamOptions>,
    /// How many answers: each is a job.
    #[schema(minimum = 1, maximum = 8)]
    pub n: Option<i64>,
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f64>,
    #[schema(minimum = 1)]
    pub max_tokens: Option<i64>,
    #[schema(minimum = 1)]
    pub max_completion_tokens: Option<i64>,
    #[schema(minimum = -2, maximum = 2)]
    pub frequency_penalty: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    pub presence_penalty: Option<f64>,
    /// A text, or up to four.
    #[schema(value_type = Option<Object>)]
    pub stop: Option<Value>,
    pub seed: Option<i64>,
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub response_format: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Vec<ToolBody>>,
    #[schema(value_type = Option<Object>)]
    pub tool_choice: Option<Value>,
    pub parallel_tool_calls: Option<bool>,
    pub reasoning_effort: Option<String>,
    pub verbosity: Option<String>,
    pub user: Option<String>,
    pub safety_identifier: Option<String>,
    pub prompt_cache_key: Option<String>,
    pub prompt_cache_retention: Option<String>,
    pub service_tier: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub prediction: Option<Value>,
    /// `session_id`, `project_id` and `memory` make the request a turn of a session.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// Of Rapport's own: the session to go on with.
    pub session_id: Option<String>,
    /// Of Rapport's own: the project of a new session.
    pub project_id: Option<String>,
    /// Of Rapport's own: with memory, in a session.
    pub memory: Option<bool>,
    /// Of Rapport's own, in a session: `auto`, `none`, or names of its tools.
    #[schema(value_type = Option<Object>)]
    pub rapport_tools: Option<Value>,
    /// Only `false`: what is to be kept is a response.
    pub store: Option<bool>,
    /// From providers that speak OpenAI's way.
    pub logprobs: Option<bool>,
    /// Together with `logprobs`.
    #[schema(minimum = 0, maximum = 20)]
    pub top_logprobs: Option<i64>,
    #[schema(value_type = Option<Object>)]
    pub audio: Option<Value>,
    /// Only `["text"]`.
    pub modalities: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    pub web_search_options: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub functions: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub function_call: Option<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct StreamOptions {
    pub include_usage: Option<bool>,
    pub include_obfuscation: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ToolBody {
    #[serde(rename = "type")]
    kind: String,
    function: Option<FunctionBody>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct FunctionBody {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
    strict: Option<bool>,
}

/// What makes a request a turn of a session.
#[derive(Debug, Clone, Default)]
pub struct TurnOf {
    pub session: Option<SessionId>,
    pub project: Option<ProjectId>,
    pub memory: Option<bool>,
    pub tools: Option<ToolChoice>,
}

/// A request that was read.
pub struct Wanted {
    pub model: String,
    pub prompted: Prompted,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub answers: usize,
    pub stream: bool,
    pub include_usage: bool,
    pub turn: Option<TurnOf>,
    /// Comes back with the answer.
    pub metadata: Option<Map<String, Value>>,
}

impl CompletionBody {
    pub fn read(mut self) -> Result<Wanted> {
        let mut problems = Problems::default();
        self.refuse(&mut problems);
        let turn = self.turn(&mut problems)?;
        let answers = self.n.unwrap_or(1);
        problems.unless((1..=ANSWERS).contains(&answers), "n", Wrong::Range { min: 1, max: ANSWERS });
        problems.unless(answers == 1 || turn.is_none(), "n", Wrong::Unfit("must be 1 in a session"));
        let max_tokens = self.max_completion_tokens.or(self.max_tokens);
        let both = self.max_tokens.is_some() && self.max_completion_tokens.is_some();
        problems.unless(!both, "max_tokens", Wrong::NotWith("max_completion_tokens"));
        let tools = read_tools(self.tools.take().unwrap_or_default(), &mut problems);
        problems.unless(
            tools.is_empty() || turn.is_none(),
            "tools",
            Wrong::Unfit(
                "cannot be given in a session, which has tools of its own: name those in `rapport_tools`",
            ),
        );
        let options = self.options(&mut problems);
        let named = std::mem::take(&mut self.messages);
        let messages = turns::read(named, &mut problems);
        problems.done()?;
        Ok(Wanted {
            prompted: Prompted { messages, tools, options, ..Prompted::default() },
            temperature: self.temperature,
            max_tokens,
            answers: answers as usize,
            stream: self.stream.unwrap_or(false),
            include_usage: self.stream_options.and_then(|options| options.include_usage).unwrap_or(false),
            turn,
            metadata: self.metadata,
            model: self.model,
        })
    }

    /// What is not done here must not look as if it were.
    fn refuse(&self, problems: &mut Problems) {
        let old = Wrong::Unfit("is not supported here: use `tools` and `tool_choice`");
        let given = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
        problems.unless(!given(&self.functions), "functions", old.clone());
        problems.unless(!given(&self.function_call), "function_call", old);
        problems.unless(!given(&self.audio), "audio", NOT_HERE);
        problems.unless(!given(&self.web_search_options), "web_search_options", NOT_HERE);
        let stored = Wrong::Unfit("is not supported here: what is to be kept is made by POST /v1/responses");
        problems.unless(self.store != Some(true), "store", stored);
        let is_text = self.modalities.as_ref().is_none_or(|all| all.iter().all(|one| one == "text"));
        problems.unless(is_text, "modalities", Wrong::Unfit("must be [\"text\"]"));
        let options = self.stream_options.as_ref();
        let obfuscated = options.is_some_and(|options| options.include_obfuscation == Some(true));
        problems.unless(!obfuscated, "stream_options.include_obfuscation", NOT_HERE);
        let streams = self.stream == Some(true) || options.is_none();
        problems.unless(streams, "stream_options", Wrong::Unfit("can only be given together with `stream`"));
    }

    fn options(&mut self, problems: &mut Problems) -> Options {
        let within = |value: Option<f64>, least: f64, most: f64| {
            value.is_none_or(|value| (least..=most).contains(&value))
        };
        problems.unless(within(self.top_p, 0.0, 1.0), "top_p", Wrong::Range { min: 0, max: 1 });
        for (name, value) in
            [("frequency_penalty", self.frequency_penalty), ("presence_penalty", self.presence_penalty)]
        {
            problems.unless(within(value, -2.0, 2.0), name, Wrong::Range { min: -2, max: 2 });
        }
        let is_object = self.logit_bias.as_ref().is_none_or(Value::is_object);
        problems.unless(is_object, "logit_bias", Wrong::NotObject);
        let top = self.top_logprobs.unwrap_or(0);
        problems.unless((0..=TOPS).contains(&top), "top_logprobs", Wrong::Range { min: 0, max: TOPS });
        let together = top == 0 || self.logprobs == Some(true);
        problems.unless(together, "top_logprobs", Wrong::Unfit("can only be given together with `logprobs`"));
        let other_than = |value: Option<f64>| value.filter(|value| *value != 0.0);
        Options {
            top_p: self.top_p,
            frequency_penalty: other_than(self.frequency_penalty),
            presence_penalty: other_than(self.presence_penalty),
            stop: stops(self.stop.take(), problems),
            seed: self.seed,
            logit_bias: self.logit_bias.take().filter(|bias| *bias != json!({})),
            response_format: format(self.response_format.take(), problems),
            tool_choice: self.tool_choice.take().filter(|choice| *choice != "auto"),
            parallel_tool_calls: self.parallel_tool_calls.filter(|parallel| !parallel),
            reasoning_effort: self.reasoning_effort.take(),
            verbosity: self.verbosity.take(),
            user: self.user.take(),
            safety_identifier: self.safety_identifier.take(),
            prompt_cache_key: self.prompt_cache_key.take(),
            prompt_cache_retention: self.prompt_cache_retention.take(),
            service_tier: self.service_tier.take().filter(|tier| tier != "auto"),
            prediction: self.prediction.take(),
            logprobs: self.logprobs.filter(|wanted| *wanted),
            top_logprobs: self.top_logprobs.filter(|top| *top > 0),
        }
    }

    /// Whether it is a turn of a session, and of which. Foreign ids are 404.
    fn turn(&self, problems: &mut Problems) -> Result<Option<TurnOf>> {
        let said = |name: &str| self.metadata.as_ref().and_then(|metadata| metadata.get(name));
        let text = |own: &Option<String>, name: &str| {
            own.clone().or_else(|| said(name).and_then(Value::as_str).map(str::to_owned))
        };
        for name in ["session_id", "project_id"] {
            let fits = said(name).is_none_or(|value| value.is_null() || value.is_string());
            problems.unless(fits, &format!("metadata.{name}"), Wrong::Form("must be a text"));
        }
        let is_wish = |value: &Value| {
            value.is_null() || value.is_boolean() || matches!(value.as_str(), Some("true" | "false"))
        };
        problems.unless(
            said("memory").is_none_or(is_wish),
            "metadata.memory",
            Wrong::Form("must be `true` or `false`"),
        );
        let session = text(&self.session_id, "session_id");
        let project = text(&self.project_id, "project_id");
        let memory = self.memory.or_else(|| match said("memory") {
            Some(Value::Bool(memory)) => Some(*memory),
            Some(Value::String(word)) => word.parse().ok(),
            _ => None,
        });
        let session = session.map(|id| id.parse().map_err(|_| Error::not_found("session"))).transpose()?;
        let project = project.map(|id| id.parse().map_err(|_| Error::not_found("project"))).transpose()?;
        let is_turn = session.is_some() || project.is_some() || memory == Some(true);
        let tools = match self.rapport_tools.clone().filter(|tools| !tools.is_null()) {
            Some(tools) => {
                let choice = serde_json::from_value(tools).ok();
                let form = Wrong::Form("must be `auto`, `none` or a list of names");
                problems.unless(choice.is_some(), "rapport_tools", form);
                problems.unless(is_turn, "rapport_tools", Wrong::Unfit("can only be given in a session"));
                choice
            }
            None => Some(ToolChoice::Word(rapport_common::jobs::payload::ToolWord::None)),
        };
        Ok(is_turn.then_some(TurnOf { session, project, memory, tools }))
    }
}

pub fn read_tools(tools: Vec<ToolBody>, problems: &mut Problems) -> Vec<ToolSpec> {
    problems.unless(tools.len() <= TOOLS, "tools", Wrong::Count { min: 0, max: TOOLS });
    let mut specs = Vec::new();
    for (at, ToolBody { kind, function }) in tools.into_iter().enumerate() {
        let field = format!("tools[{at}]");
        let (true, Some(function)) = (kind == "function", function) else {
            problems.add(format!("{field}.type"), Wrong::Unfit("must be `function`, with `function`"));
            continue;
        };
        let parameters = function.parameters.filter(|parameters| !parameters.is_null());
        let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
        problems.unless(parameters.is_object(), &format!("{field}.function.parameters"), Wrong::NotObject);
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let named = (1..=64).contains(&function.name.len()) && function.name.chars().all(good);
        let rule = Wrong::Form("must be 1 to 64 letters, digits, `_` or `-`");
        problems.unless(named, &format!("{field}.function.name"), rule);
        specs.push(ToolSpec {
            name: function.name,
            description: function.description.unwrap_or_default(),
            parameters,
            strict: function.strict,
        });
    }
    specs
}

fn stops(stop: Option<Value>, problems: &mut Problems) -> Option<Vec<String>> {
    let all = match stop? {
        Value::Null => return None,
        Value::String(one) => vec![one],
        many => serde_json::from_value::<Vec<String>>(many).unwrap_or_default(),
    };
    let fits = (1..=STOPS).contains(&all.len()) && all.iter().all(|stop| !stop.is_empty());
    problems.unless(fits, "stop", Wrong::Form("must be a text, or one to four of them"));
    Some(all)
}

/// Refuses what nobody reads. What is null says nothing.
pub fn only(value: &Value, known: &[&str], field: &str, problems: &mut Problems) {
    if !value.is_object() && !value.is_null() {
        problems.add(field.to_owned(), Wrong::NotObject);
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        if !known.contains(&name.as_str()) && !value.is_null() {
            problems.add(format!("{field}.{name}"), Wrong::UnknownAmong(known.join(", ")));
        }
    }
}

pub fn format(format: Option<Value>, problems: &mut Problems) -> Option<Value> {
    let format = format.filter(|format| !format.is_null())?;
    let schema = &format["json_schema"];
    let fits = match format["type"].as_str() {
        Some("text") => return None,
        Some("json_object") => true,
        Some("json_schema") => schema["name"].is_string() && schema["schema"].is_object(),
        _ => false,
    };
    let rule =
        Wrong::Form("must be of type `text`, `json_object`, or `json_schema` with its name and schema");
    problems.unless(fits, "response_format", rule);
    Some(format)
}
