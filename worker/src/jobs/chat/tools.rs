//! Calls of tools: each is an event when it begins, a row, and an event when it ended.
//!
//! A call that changes something is written down durably before it is made. In a later attempt, one of the same name and
//! arguments that ended is not made again: its result is told once more. One that was cut off may have worked or not:
//! the model hears just that, and the call is not repeated.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::future::join_all;
use rapport_common::{
    Context, Error,
    domain::{ids::MessageId, job::Job, prompt::CALLS_MAX},
    providers::ToolCall,
    store::{self, tool_calls::Call},
    telemetry::metrics::METRICS,
    tools::{CALL_TIMEOUT, Caller, OnServer, Tool, ToolError, framed, without_nuls},
    usecase::{finish_chat::owner, tool_calls},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{rounds::TOOL_TIME, servers::Record};
use crate::{
    answer_log::{AnswerLog, Lost},
    ending::persist,
};

pub struct Told {
    pub ok: bool,
    /// What the model hears.
    pub content: String,
    pub ms: u64,
}

pub struct Calls<'a> {
    ctx: &'a Context,
    job: &'a Job,
    message: MessageId,
    inside: bool,
    /// Calls of earlier attempts, once they were looked up.
    earlier: Option<Vec<Call>>,
    used: HashSet<i64>,
    next_step: i64,
    time_used: Duration,
}

/// Where a call goes, if a server has its tool that the client named.
pub fn on_server<'t>(tools: &'t [Arc<dyn Tool>], call: &ToolCall) -> Option<&'t OnServer> {
    tools.iter().find(|tool| tool.spec().name == call.name)?.on_server()
}

/// What is done about one call.
enum Plan {
    Make {
        tool: Arc<dyn Tool>,
        step: i64,
        arguments: Value,
    },
    /// It was made before, or cannot be.
    Tell {
        content: String,
        ok: bool,
    },
}

impl<'a> Calls<'a> {
    pub fn new(ctx: &'a Context, job: &'a Job, message: MessageId, inside: bool) -> Self {
        let (used, time_used) = (HashSet::new(), Duration::ZERO);
        Self { ctx, job, message, inside, earlier: None, used, next_step: 1, time_used }
    }

    pub fn time_left(&self) -> Duration {
        TOOL_TIME.saturating_sub(self.time_used)
    }

    /// Makes the calls of one round side by side; gives what came of each, in their order.
    pub async fn run(
        &mut self,
        log: &mut AnswerLog<'_>,
        tools: &[Arc<dyn Tool>],
        (calls, approved): (&[ToolCall], bool),
        record: &mut Record,
    ) -> Result<Vec<Told>, Lost> {
        for call in calls {
            let arguments = serde_json::from_str::<Value>(&call.arguments).unwrap_or(json!(call.arguments));
            let mut data = json!({"id": call.id, "name": call.name, "arguments": arguments});
            if let Some(on) = on_server(tools, call) {
                data["mcp"] = record.begin(on, call, (&log.text, approved));
            }
            log.append("tool_call", data).await?;
        }
        self.look_up_earlier().await?;
        let mut plans = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            plans.push(self.plan(tools, call, index).await?);
        }
        let started = Instant::now();
        let limit = self.time_left().min(CALL_TIMEOUT);
        let told =
            join_all(plans.into_iter().zip(calls).map(|(plan, call)| self.make(plan, call, limit))).await;
        self.time_used += started.elapsed();
        for (call, told) in calls.iter().zip(&told) {
            let result: Value = serde_json::from_str(&told.content).unwrap_or_default();
            let shown = result.get("result").or_else(|| result.get("error")).cloned().unwrap_or(Value::Null);
            let mut data =
                json!({"id": call.id, "name": call.name, "ok": told.ok, "result": shown, "ms": told.ms});
            if on_server(tools, call).is_some() {
                data["mcp"] = record.end(&result);
            }
            log.append("tool_result", data).await?;
            let outcome = if told.ok { "ok" } else { "failed" };
            // Names are ours, or of a configured server: bounded. What owners of projects and models make up is not.
            let label = match tools.iter().find(|tool| tool.spec().name == call.name) {
                Some(tool) if tool.is_of_project() => "of_project",
                Some(_) => call.name.as_str(),
                None => "unknown",
            };
            METRICS.tool_calls.with_label_values(&[label, outcome]).inc();
        }
        Ok(told)
    }

    async fn look_up_earlier(&mut self) -> Result<(), Lost> {
        if self.earlier.is_some() || self.job.attempt == 1 {
            return Ok(());
        }
        let look = || async {
            let user = owner(self.job)?;
            let mut conn = self.ctx.db.read().await?;
            Ok(store::tool_calls::of_job(&mut conn, user, self.job.id).await?)
        };
        let earlier = persist(look).await.ok_or(Lost)?;
        self.next_step = earlier.iter().map(|call| call.step).max().unwrap_or(0) + 1;
        self.earlier = Some(earlier);
        Ok(())
    }

    async fn plan(&mut self, tools: &[Arc<dyn Tool>], call: &ToolCall, index: usize) -> Result<Plan, Lost> {
        let refuse = |why: &str| Plan::Tell { content: framed(&Err(ToolError(why.to_owned()))), ok: false };
        let Some(tool) = tools.iter().find(|tool| tool.spec().name == call.name).cloned() else {
            return Ok(refuse("there is no such tool"));
        };
        if index >= CALLS_MAX {
            return Ok(refuse("too many calls at once"));
        }
        let text = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        let arguments = match serde_json::from_str::<Value>(text) {
            Ok(arguments) if arguments.is_object() => without_nuls(arguments),
            _ => return Ok(refuse("the arguments are no JSON object")),
        };
        let read_only = tool.is_read_only();
        let canonical = arguments.to_string();
        if !read_only {
            let earlier = self.earlier.as_deref().unwrap_or_default();
            let of_name = |call: &&Call| call.name == tool.spec().name && !self.used.contains(&call.step);
            let same =
                earlier.iter().filter(of_name).find(|call| call.arguments == canonical && call.ok.is_some());
            if let Some(made) = same {
                self.used.insert(made.step);
                let content = made.result.clone().unwrap_or_default();
                return Ok(Plan::Tell { content, ok: made.ok == Some(true) });
            }
            if let Some(cut_off) = earlier.iter().filter(of_name).find(|call| call.ok.is_none()) {
                self.used.insert(cut_off.step);
                return Ok(refuse(
                    "outcome unknown: it was cut off, and may have worked or not; it was not repeated",
                ));
            }
        }
        let step = self.next_step;
        self.next_step += 1;
        self.begin(tool.as_ref(), step, &canonical, read_only).await?;
        Ok(Plan::Make { tool, step, arguments })
    }

    /// Writes the row. What changes something is not called without it.
    async fn begin(&self, tool: &dyn Tool, step: i64, arguments: &str, read_only: bool) -> Result<(), Lost> {
        let name = &tool.spec().name;
        let begin = || tool_calls::begin(self.ctx, self.job, step, name, arguments, read_only);
        match persist(begin).await {
            Some(true) => Ok(()),
            _ => Err(Lost),
        }
    }

    async fn make(&self, plan: Plan, call: &ToolCall, limit: Duration) -> Told {
        let (tool, step, arguments) = match plan {
            Plan::Tell { content, ok } => return Told { ok, content, ms: 0 },
            Plan::Make { tool, step, arguments } => (tool, step, arguments),
        };
        let started = Instant::now();
        let of_user = tool.is_of_project();
        let result = match owner(self.job) {
            Err(_) => Err(ToolError("the job has no user".to_owned())),
            Ok(user) => {
                let session = self.job.session_id;
                let key = format!("{}:{step}", self.job.id);
                let (ctx, message, inside) = (self.ctx, self.message, self.inside);
                let caller = Caller { ctx, user, session, message, inside, key };
                let called = tokio::time::timeout(limit, tool.call(&caller, arguments)).await;
                called.unwrap_or_else(|_| Err(ToolError("it did not answer in time".to_owned())))
            }
        };
        let ms = started.elapsed().as_millis() as u64;
        let result = result.map(without_nuls).map_err(|error| ToolError(error.0.replace('\0', "")));
        match &result {
            // What a user's own server says is the user's.
            Err(_) if of_user => tracing::info!(step, ms, "a tool of a user's failed"),
            Err(error) => tracing::info!(tool = %call.name, %error, ms, "a tool failed"),
            Ok(_) => {}
        }
        let ok = result.is_ok();
        let content = framed(&result);
        let kept = async {
            let mut conn = self.ctx.db.relaxed().await?;
            store::tool_calls::end(&mut conn, self.job.id, step, ok, &content, ms as i64).await?;
            Ok::<(), Error>(())
        };
        if let Err(error) = kept.await {
            tracing::warn!(%error, "a tool's result was not kept");
        }
        Told { ok, content, ms }
    }
}
