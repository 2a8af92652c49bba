//! MCP servers that a request names: what they have is told before the model is asked, and what they were asked is kept
//! with the answer, for whoever reads it from the ledger.

use std::sync::Arc;

use futures::future::join_all;
use rapport_common::{
    Context,
    domain::{
        ids::JobId,
        job::Job,
        prompt::{NamedServer, ToolCall, ToolSpec},
    },
    error::{Code, Error, FieldError, Wrong},
    tools::{OnServer, Tool, named::Named},
};
use serde_json::{Value, json};

use super::{prompt::Prompt, rounds::warn_of_tools};
use crate::{
    answer_log::{AnswerLog, Lost},
    attempt::Attempt,
    outcome::Outcome,
    running::stopped,
};

/// Functions that a model is offered at most: providers take no more.
const OFFERED: usize = 128;

/// What became of the servers, as the answer keeps it.
#[derive(Default)]
pub struct Record {
    lists: Vec<Value>,
    calls: Vec<Value>,
    asks: Vec<Value>,
}

impl Record {
    /// Notes a call that begins, at a place in the text; gives what is told of it.
    pub fn begin(&mut self, on: &OnServer, call: &ToolCall, (text, approved): (&str, bool)) -> Value {
        let told = json!({
            "server_label": on.label,
            "name": on.name,
            "arguments": call.arguments.replace('\0', ""),
            "approval_request_id": approved.then_some(&call.id),
            // Characters, as the answer is stored.
            "at": text.chars().filter(|c| *c != '\0').count(),
        });
        self.calls.push(json!({"call": told}));
        told
    }

    /// Notes what came of the first call that has not ended; gives what is told of it. `heard`: what the model hears.
    pub fn end(&mut self, heard: &Value) -> Value {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let told = match heard["ok"] == true {
            true => json!({"output": text(&heard["result"]), "error": null}),
            false => {
                let why = text(heard.get("error").unwrap_or(&heard["result"]));
                let content = json!([{"type": "text", "text": why}]);
                json!({"output": null, "error": {"type": "mcp_tool_execution_error", "content": content}})
            }
        };
        if let Some(call) = self.calls.iter_mut().find(|call| call["ended"].is_null()) {
            call["ended"] = told.clone();
        }
        told
    }

    /// Notes a call that waits for the client's consent.
    pub fn ask(&mut self, job: JobId, on: &OnServer, call: &ToolCall) {
        let id = format!("{}_{}", job.to_string().replacen("job", "mcpr", 1), self.asks.len());
        let arguments = call.arguments.replace('\0', "");
        self.asks.push(json!({"id": id, "server_label": on.label, "name": on.name, "arguments": arguments}));
    }

    pub fn has_asked(&self) -> bool {
        !self.asks.is_empty()
    }

    pub fn told(&self) -> Value {
        json!({"lists": self.lists, "calls": self.calls, "approvals": self.asks})
    }
}

/// Adds the tools of the servers that a request names to its prompt. Listing them may be stopped, or fail.
pub async fn add(
    attempt: &mut Attempt<'_>,
    log: &mut AnswerLog<'_>,
    prompt: &mut Prompt,
) -> Result<Result<Record, Outcome>, Lost> {
    let named = std::mem::take(&mut prompt.servers.named);
    if named.is_empty() {
        return Ok(Ok(Record::default()));
    }
    // Their descriptions, and what they said before, are from elsewhere too.
    warn_of_tools(&mut prompt.messages);
    let at = (attempt.ctx, attempt.job);
    tokio::select! {
        biased;
        stop = stopped(&mut attempt.signal) => Ok(Err(stop.into())),
        offered = offered(at, log, &named, &prompt.theirs) => Ok(match offered? {
            Ok((tools, record)) => {
                prompt.tools.extend(tools);
                Ok(record)
            }
            Err(error) => Err(Outcome::Fail(error)),
        }),
    }
}

/// Lists the servers' tools, where nobody knows them, and gives all of them. An answer without the tools of one of them is
/// not what was asked for: then there is none.
async fn offered(
    (ctx, job): (&Context, &Job),
    log: &mut AnswerLog<'_>,
    named: &[NamedServer],
    others: &[ToolSpec],
) -> Result<Result<(Vec<Arc<dyn Tool>>, Record), Error>, Lost> {
    let opened: Option<Vec<Arc<Named>>> = named.iter().map(|one| Named::open(ctx, job.id, one)).collect();
    let Some(opened) = opened else {
        let detail = "The keys for an MCP server do not open any more: send the request again.";
        return Ok(Err(Error::new(Code::ToolServerFailed, detail)));
    };
    let lists = join_all(opened.iter().zip(named).map(|(server, named)| async move {
        match &named.listed {
            Some(_) => None,
            None => Some(server.list(named.tools.as_ref()).await),
        }
    }));
    let (mut tools, mut record) = (Vec::<Arc<dyn Tool>>::new(), Record::default());
    for ((server, named), listed) in opened.iter().zip(named).zip(lists.await) {
        let (shown, error) = match listed {
            Some(Ok(listed)) => (listed, None),
            Some(Err(why)) => (Vec::new(), Some(why)),
            None => (named.listed.clone().unwrap_or_default(), None),
        };
        let more = server.tools(named, &shown);
        let full = (others.len() + tools.len() + more.len() > OFFERED)
            .then_some("there are more than 128 tools in all: name some in `allowed_tools`");
        let error = error.or(full);
        if named.listed.is_none() || error.is_some() {
            let tools = if error.is_some() { &[][..] } else { &shown };
            let list = json!({"server_label": named.label, "tools": tools, "error": error});
            log.append("mcp_list_tools", list.clone()).await?;
            record.lists.push(list);
        }
        if let Some(why) = error {
            return Ok(Err(failed(&named.label, why)));
        }
        for tool in more {
            // Two of one name no provider takes.
            let mut names =
                tools.iter().map(|other| &other.spec().name).chain(others.iter().map(|other| &other.name));
            if names.all(|name| *name != tool.spec().name) {
                tools.push(tool);
            }
        }
    }
    Ok(Ok((tools, record)))
}

fn failed(label: &str, why: &str) -> Error {
    let detail = format!("Error retrieving tool list from MCP server '{label}': {why}.");
    let mut error = Error::new(Code::ToolServerFailed, detail);
    error
        .errors
        .push(FieldError::new("tools", Wrong::Unfit("name a server whose tools could not be listed")));
    error
}
