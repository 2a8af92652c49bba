//! The tools: each is a route of the API, with the same checks.

use axum::{Json as Answer, extract::State};
use rapport_common::{Error, auth, domain::user::Scope, error::Wrong};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::send;
use crate::{
    error::{Failure, Result},
    extract::{Caller, Json, ListQuery, MemoryPath, Query, Start, Trace},
    handlers::{
        chat::ChatBody,
        memory::{crud, history, list, memory_id, search, verify},
    },
    state::AppState,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Add,
    Search,
    List,
    Verify,
    Forget,
    History,
    Send,
}

const ALL: [Tool; 7] =
    [Tool::Add, Tool::Search, Tool::List, Tool::Verify, Tool::Forget, Tool::History, Tool::Send];
/// Memories of a list at most.
const MOST: i64 = 100;

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Tool::Add => "add_memory",
            Tool::Search => "search_memory",
            Tool::List => "list_memories",
            Tool::Verify => "verify_memory",
            Tool::Forget => "forget_memory",
            Tool::History => "memory_history",
            Tool::Send => "send_message",
        }
    }

    fn scope(self) -> Scope {
        if self == Tool::Send { Scope::Chat } else { Scope::Memory }
    }

    /// What it is for, what it takes, and which of that it needs.
    fn about(self) -> (&'static str, Value, &'static [&'static str]) {
        let text = |about: &str| json!({"type": "string", "description": about});
        let id = text("The memory's id");
        match self {
            Tool::Add => (
                "Remembers one fact about the user, as a short sentence. It is confirmed at once.",
                json!({"content": text("The fact"),
                       "memory_type": text("preference, fact, topic, relationship, goal or experience"),
                       "importance": {"type": "number", "minimum": 0, "maximum": 1}}),
                &["content"],
            ),
            Tool::Search => (
                "Searches what is remembered of the user, by words and meaning.",
                json!({"query": text("What to look for, in plain words"),
                       "limit": {"type": "integer", "minimum": 1, "maximum": 100}}),
                &["query"],
            ),
            Tool::List => (
                "Lists memories, the newest first.",
                json!({"limit": {"type": "integer", "minimum": 1, "maximum": MOST},
                       "skip": {"type": "integer", "minimum": 0},
                       "status": text("pending, confirmed, rejected, superseded, merged, expired or all")}),
                &[],
            ),
            Tool::Verify => (
                "Confirms, rejects or corrects a memory, as the user says.",
                json!({"id": id, "action": {"type": "string", "enum": ["confirm", "reject", "correct"]},
                       "corrected_content": text("For correct: what is true")}),
                &["id", "action"],
            ),
            Tool::Forget => ("Deletes a memory with its history.", json!({"id": id}), &["id"]),
            Tool::History => {
                ("Shows every change of a memory, the newest first.", json!({"id": id}), &["id"])
            }
            Tool::Send => (
                "Sends a message to the user's assistant and waits for its answer.",
                json!({"message": text("What to say"),
                       "session_id": text("The conversation; none begins a new one")}),
                &["message"],
            ),
        }
    }

    fn spec(self) -> Value {
        let (description, properties, required) = self.about();
        let reads = matches!(self, Tool::Search | Tool::List | Tool::History);
        json!({
            "name": self.name(),
            "description": description,
            "inputSchema": {"type": "object", "properties": properties, "required": required,
                            "additionalProperties": false},
            "annotations": {"readOnlyHint": reads, "destructiveHint": self == Tool::Forget},
            "execution": {"taskSupport": if self == Tool::Send { "optional" } else { "forbidden" }},
        })
    }
}

/// Those that the caller may use.
pub fn offered(caller: &auth::Caller) -> Vec<Value> {
    ALL.into_iter().filter(|tool| caller.may(tool.scope())).map(Tool::spec).collect()
}

pub fn find(caller: &auth::Caller, name: &str) -> Option<Tool> {
    ALL.into_iter().find(|tool| tool.name() == name && caller.may(tool.scope()))
}

fn read<T: DeserializeOwned>(arguments: Value) -> Result<T> {
    let wrong = |_| Error::field("arguments", Wrong::Form("are not what the tool takes"));
    Ok(serde_json::from_value(arguments).map_err(wrong)?)
}

fn shown(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer).map_err(|error| Failure(Error::internal(error)))
}

/// An argument that nobody reads is refused.
fn check(tool: Tool, arguments: &Value) -> Result<()> {
    let (_, properties, _) = tool.about();
    let unknown =
        arguments.as_object().into_iter().flatten().find(|(name, _)| properties.get(name.as_str()).is_none());
    match unknown {
        Some((name, _)) => Err(Error::field(name, Wrong::UnknownHere).into()),
        None => Ok(()),
    }
}

/// What `send_message` is given.
pub fn message(arguments: Value) -> Result<ChatBody> {
    check(Tool::Send, &arguments)?;
    read(arguments)
}

pub async fn call(
    state: &AppState,
    caller: auth::Caller,
    trace: Trace,
    tool: Tool,
    mut arguments: Value,
) -> Result<Value> {
    check(tool, &arguments)?;
    let id = arguments.as_object_mut().and_then(|fields| fields.remove("id"));
    let id = id.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    let memory = || memory_id(&id).map(MemoryPath);
    let (at, who) = (State(state.clone()), Caller(caller.clone()));
    match tool {
        Tool::Add => {
            let added = crud::added(state, &caller, read(arguments)?).await?;
            shown(added)
        }
        Tool::Search => {
            let Answer(hits) = search::search(at, who, Json(read(arguments)?)).await?;
            Ok(json!({"results": shown(hits)?}))
        }
        Tool::List => {
            let number = |name: &str, default: i64| arguments[name].as_i64().unwrap_or(default);
            let (limit, skip) = (number("limit", 20).clamp(1, MOST), number("skip", 0).max(0));
            let mut filter = json!({"status": arguments["status"]});
            if filter["status"].is_null() {
                filter = json!({});
            }
            let page = ListQuery { limit, start: Start::Skip(skip) };
            shown(list::list(at, who, Query(read(filter)?), page).await?.0)
        }
        Tool::Verify => shown(verify::verify(at, who, memory()?, Json(read(arguments)?)).await?.0),
        Tool::Forget => {
            crud::delete(at, who, memory()?).await?;
            Ok(json!({"forgotten": id}))
        }
        Tool::History => shown(history::history(at, who, memory()?).await?.0),
        Tool::Send => {
            let accepted = send::accept(state, &caller, trace, read(arguments)?).await?;
            send::wait(state, &caller, &accepted).await
        }
    }
}
