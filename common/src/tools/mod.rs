//! Functions a model may call. A new tool is one file, and one line in [`Tools::new`].
//!
//! A tool that is not configured is not offered. What a tool returns is data: it is capped, quoted as JSON, and never read
//! as instructions. Tools that change nothing may run again after a crash; the others get a key that stays the same
//! (`job:step`), and one that was cut off is reported as unknown, never repeated.

mod bounded;
mod clock;
mod hidden;
mod http;
pub mod mcp;
mod memory;
pub mod named;
mod search;
mod weather;

pub use memory::NAMES as MEMORY_TOOLS;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    Context,
    domain::ids::{MessageId, ProjectId, SessionId, UserId},
    egress::{self, Egress},
    providers::ToolSpec,
    settings, store,
};

/// Characters of a result that a model gets to see.
pub const RESULT_MAX: usize = 8_000;
/// One call at most.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a call comes from.
pub struct Caller<'a> {
    pub ctx: &'a Context,
    pub user: UserId,
    /// None for a request that brings all it asks along.
    pub session: Option<SessionId>,
    /// The user's message that is being answered.
    pub message: MessageId,
    /// Whether results stay inside the deployment: private memories go nowhere else.
    pub inside: bool,
    /// `job:step`, the same in every attempt.
    pub key: String,
}

/// Why a call gave nothing. The model is told.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ToolError(pub String);

#[async_trait]
pub trait Tool: Send + Sync {
    fn spec(&self) -> &ToolSpec;
    /// Whether calling it twice is as good as once.
    fn is_read_only(&self) -> bool {
        true
    }
    /// Whether a project describes it: what it is called is its owner's choice.
    fn is_of_project(&self) -> bool {
        false
    }
    /// Whether it looks into the user's memory, and so is not for chats without.
    fn needs_memory(&self) -> bool {
        false
    }
    /// Where it is, if the client named its server itself.
    fn on_server(&self) -> Option<&OnServer> {
        None
    }
    async fn call(&self, caller: &Caller<'_>, arguments: Value) -> Result<Value, ToolError>;
}

/// A tool of an MCP server that a client named.
#[derive(Debug, Clone)]
pub struct OnServer {
    pub label: String,
    /// As its server calls it.
    pub name: String,
    /// Whether its client is asked before each call.
    pub needs_approval: bool,
}

/// A tool's name and what it is for, with the schema of a Rust type.
fn spec<T: JsonSchema>(name: &str, description: &str) -> ToolSpec {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut parameters = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(object) = parameters.as_object_mut() {
        object.remove("title");
        object.remove("description");
        object.entry("properties").or_insert_with(|| json!({}));
    }
    ToolSpec { name: name.to_owned(), description: description.to_owned(), parameters, strict: None }
}

/// Reads a call's arguments as a Rust type.
fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, ToolError> {
    serde_json::from_value(arguments).map_err(|error| ToolError(format!("the arguments are wrong: {error}")))
}

fn from_egress(what: &str) -> impl FnOnce(crate::egress::EgressError) -> ToolError {
    let what = what.to_owned();
    move |error| ToolError(format!("{what} could not be reached: {error}"))
}

/// What is different in a project.
#[derive(Default)]
pub struct OfProject {
    own: Vec<Arc<dyn Tool>>,
    disabled: Vec<String>,
}

impl OfProject {
    /// A project's tools, of what there is for everybody and of its own. Two of one name no provider takes: a name that came to
    /// mean a tool of everybody's is no longer the project's.
    pub fn over(self, mut all: Vec<Arc<dyn Tool>>) -> Vec<Arc<dyn Tool>> {
        for own in self.own {
            if all.iter().all(|tool| tool.spec().name != own.spec().name) {
                all.push(own);
            }
        }
        all.retain(|tool| !self.disabled.contains(&tool.spec().name));
        all
    }
}

/// Every tool in force.
#[derive(Clone)]
pub struct Tools {
    built_in: Arc<Vec<Arc<dyn Tool>>>,
    pub mcp: Arc<mcp::Mcp>,
    egress: Egress,
    for_projects: Egress,
}

impl Tools {
    pub fn new(settings: &settings::Tools, egress: Egress) -> Result<Self, String> {
        let mut all: Vec<Arc<dyn Tool>> = Vec::new();
        all.extend(weather::all(settings, &egress));
        all.extend(search::all(settings, &egress));
        all.extend(clock::all());
        all.extend(memory::all());
        for tool in http::configured(settings, &egress)? {
            let name = &tool.spec().name;
            if all.iter().any(|other| other.spec().name == *name) {
                return Err(format!("TOOLS__HTTP: {name} is built in: choose another name"));
            }
            all.push(tool);
        }
        // What the operator lets everything else reach inside is not for whoever has a project: they would read there.
        let lookup = Arc::new(egress::System);
        let for_projects = match settings.hosts.as_slice() {
            [] => Egress::new(Vec::new(), lookup),
            hosts => Egress::only(hosts.to_vec(), lookup),
        };
        let for_projects = for_projects.map_err(|error| format!("the HTTP client: {error}"))?;
        let mcp = mcp::Mcp::new(settings.mcp.clone(), egress.clone());
        Ok(Self { built_in: Arc::new(all), mcp: Arc::new(mcp), egress, for_projects })
    }

    /// For what a project's owner can name, and read.
    pub fn for_projects(&self) -> &Egress {
        &self.for_projects
    }

    /// What a chat of a project may use beside what everybody may, and the names of what it does without.
    pub async fn of_project(
        &self,
        ctx: &Context,
        user: UserId,
        project: ProjectId,
    ) -> crate::Result<OfProject> {
        let own = http::of_project(ctx, &self.for_projects, user, project).await?;
        let disabled = store::http_tools::disabled(&mut ctx.db.read().await?, user, project).await?;
        let disabled = disabled.ok_or_else(|| crate::Error::not_found("project"))?;
        Ok(OfProject { own, disabled })
    }

    pub fn egress(&self) -> &Egress {
        &self.egress
    }

    /// Those that are part of this service, configured ones only.
    pub fn built_in(&self) -> &[Arc<dyn Tool>] {
        &self.built_in
    }

    /// Whether a request may name it. Those of an MCP server are known by its prefix: only workers talk to it.
    pub fn knows(&self, name: &str) -> bool {
        self.built_in.iter().any(|tool| tool.spec().name == name) || self.mcp.has_prefix_of(name)
    }

    /// Everything there is now, MCP servers' tools included.
    pub async fn all(&self) -> Vec<Arc<dyn Tool>> {
        let mut all: Vec<Arc<dyn Tool>> = self.built_in.to_vec();
        all.extend(self.mcp.tools().await);
        all
    }
}

/// A value that every database can keep: without NULs, in names too. Its depth is bounded by its reader.
pub fn without_nuls(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Array(all) => all.into_iter().map(without_nuls).collect(),
        Value::Object(fields) => {
            let field = |(name, one): (String, Value)| (name.replace('\0', ""), without_nuls(one));
            Value::Object(fields.into_iter().map(field).collect())
        }
        other => other,
    }
}

/// What a model gets to see of a result: JSON, cut to [`RESULT_MAX`] characters.
pub fn framed(result: &Result<Value, ToolError>) -> String {
    let whole = match result {
        Ok(value) => json!({"ok": true, "result": value}).to_string(),
        Err(error) => json!({"ok": false, "error": error.0}).to_string(),
    };
    if whole.chars().count() <= RESULT_MAX {
        return whole;
    }
    let text = match result {
        Ok(Value::String(text)) => text.clone(),
        Ok(value) => value.to_string(),
        Err(error) => error.0.clone(),
    };
    // Quoting doubles some characters: cut so that it fits in the worst case.
    let cut: String = text.chars().take(RESULT_MAX / 2).collect();
    json!({"ok": result.is_ok(), "cut_off": true, "result": cut}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(JsonSchema, serde::Deserialize)]
    #[expect(dead_code, reason = "only its schema counts")]
    struct Example {
        /// A city.
        place: String,
        days: Option<u8>,
    }

    #[test]
    fn a_schema_is_plain_json_schema_of_an_object() {
        let spec = spec::<Example>("x", "y");
        assert_eq!(spec.parameters["type"], "object");
        assert_eq!(spec.parameters["properties"]["place"]["description"], "A city.");
        assert_eq!(spec.parameters["required"], json!(["place"]));
        assert!(spec.parameters.get("$schema").is_none() && spec.parameters.get("title").is_none());
    }

    proptest! {
        #[test]
        fn a_result_is_json_of_bounded_size(text in "(\\PC|\n|\"|\\\\){0,40}", times in 1usize..2_000) {
            for result in [Ok(json!(text.repeat(times))), Err(ToolError(text.repeat(times)))] {
                let framed = framed(&result);
                let read: Value = serde_json::from_str(&framed).unwrap();
                prop_assert_eq!(read["ok"].as_bool(), Some(result.is_ok()));
                prop_assert!(framed.chars().count() <= RESULT_MAX + 100, "{}", framed.chars().count());
            }
        }
    }
}
