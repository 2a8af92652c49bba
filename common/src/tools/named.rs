//! MCP servers that a request names: their tools are its model's, for one answer.
//!
//! Whoever names one reads what it says, so it is reached as tools of projects are: on the public internet, or where
//! `TOOLS__HOSTS` says, and never by what the operator opened for others. Its address and headers may hold keys: they are
//! sealed where the request is kept, and taken out of whatever the server repeats. What its server says is data.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use data_encoding::BASE64;
use rmcp::model::PaginatedRequestParams;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::{
    Caller, OnServer, Tool, ToolError,
    bounded::Bounded,
    hidden::Hidden,
    mcp::{Client, Unanswered, ask, failed, over_http, text},
    without_nuls,
};
use crate::{
    Context, Result,
    domain::{
        ids::JobId,
        prompt::{NamedServer, ToolFilter},
    },
    egress::Egress,
    providers::ToolSpec,
    secret::Secret,
};

/// To connect and list.
const LIST: Duration = Duration::from_secs(10);
const PAGES: usize = 50;
/// Tools of one server that a request may use, and bytes of what they say of themselves.
pub const TOOLS_MAX: usize = 128;
const LIST_MAX: usize = 128 * 1_024;
/// Bytes of what a call gives that are looked at: a model reads a part of them.
const SAID_MAX: usize = 64 * 1_024;
/// Longer ones are not read: they stand in a prompt.
const DESCRIPTION_MAX: usize = 2_000;
const NAME_MAX: usize = 128;
/// What every provider takes for a function's name.
const CALLED_MAX: usize = 64;
/// Some addresses have a key in them: a part so long is no word.
const KEY_MIN: usize = 24;
/// What is stored must be read again, and stands deeper there.
const DEEPEST: usize = 60;

/// Where a server is, and what it is told.
#[derive(Serialize, Deserialize)]
struct Place {
    url: String,
    headers: BTreeMap<String, String>,
}

fn bound_to(job: JobId, label: &str) -> String {
    format!("{job}|mcp|{label}")
}

/// Seals where a server is for a job.
pub fn seal(
    ctx: &Context,
    job: JobId,
    label: &str,
    url: &str,
    headers: BTreeMap<String, String>,
) -> Result<String> {
    let place = Secret::new(json!(Place { url: url.to_owned(), headers }).to_string());
    Ok(BASE64.encode(&ctx.sealer.seal(&bound_to(job, label), &place)?))
}

/// What a model calls a server's tool.
pub fn called(label: &str, tool: &str) -> String {
    let good = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let whole = format!("{label}__{tool}");
    let plain: String = whole.chars().map(good).collect();
    if plain.len() <= CALLED_MAX && plain == whole {
        return plain;
    }
    // Two that look alike stay two.
    let mark: String =
        Sha256::digest(whole.as_bytes())[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let kept: String = plain.chars().take(CALLED_MAX - mark.len() - 1).collect();
    format!("{kept}_{mark}")
}

/// A server for one answer.
pub struct Named {
    label: String,
    egress: Egress,
    url: String,
    headers: Vec<(String, Secret)>,
    hidden: Hidden,
    client: Mutex<Option<Arc<Client>>>,
}

impl Named {
    /// `None`: what was sealed does not open (its key is gone).
    pub fn open(ctx: &Context, job: JobId, server: &NamedServer) -> Option<Arc<Self>> {
        let sealed = BASE64.decode(server.sealed.as_bytes()).ok()?;
        let opened = ctx.sealer.open(&bound_to(job, &server.label), &sealed)?;
        let Place { url, headers } = serde_json::from_str(opened.expose()).ok()?;
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        let keys = url.split(['/', '?', '&', '=', '#']).filter(|part| part.len() >= KEY_MIN);
        let keys = keys.map(|key| (String::new(), Secret::new(key)));
        let hidden = Hidden::of(&headers.iter().cloned().chain(keys).collect::<Vec<_>>());
        Some(Arc::new(Self {
            label: server.label.clone(),
            egress: ctx.tools.for_projects().clone(),
            url,
            headers,
            hidden,
            client: Mutex::default(),
        }))
    }

    async fn client(&self) -> std::result::Result<Arc<Client>, &'static str> {
        let mut held = self.client.lock().await;
        if let Some(client) = held.as_ref().filter(|client| !client.is_transport_closed()) {
            return Ok(Arc::clone(client));
        }
        // Refused, unknown and closed addresses told apart would map the network we stand in.
        let away = "it could not be reached, did not take its authorization, or is no MCP server";
        let client = self.egress.client_for(&self.url).map_err(|_| away)?;
        let client = over_http(Bounded::new(client), &self.url, &self.headers).await;
        let client = Arc::new(client.map_err(|_| away)?);
        *held = Some(Arc::clone(&client));
        Ok(client)
    }

    /// What there is for this answer, as a list shows it; or why nobody knows.
    pub async fn list(&self, wanted: Option<&ToolFilter>) -> std::result::Result<Vec<Value>, &'static str> {
        tokio::time::timeout(LIST, self.pages(wanted)).await.unwrap_or(Err("it did not answer in time"))
    }

    async fn pages(&self, wanted: Option<&ToolFilter>) -> std::result::Result<Vec<Value>, &'static str> {
        let client = self.client().await?;
        let (mut listed, mut bytes, mut cursor) = (Vec::new(), 0, None);
        for _ in 0..PAGES {
            let asked = Some(PaginatedRequestParams::default().with_cursor(cursor));
            let page = client.list_tools(asked).await.map_err(|_| "it does not list its tools")?;
            let shown = page.tools.into_iter().filter_map(|tool| shown(tool, wanted));
            let mut of_page = Vec::new();
            for tool in shown {
                bytes += tool.to_string().len();
                of_page.push(tool);
            }
            if listed.len() + of_page.len() > TOOLS_MAX {
                return Err("it has more than 128 tools: name some in `allowed_tools`");
            }
            if bytes > LIST_MAX {
                return Err("its tools need more than 128 KiB to be described: name some in `allowed_tools`");
            }
            // Each word that is hidden is looked for in all of it: it must not be long by now.
            listed.extend(of_page.into_iter().map(|tool| self.hidden.without(tool)));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(listed);
            }
        }
        Err("its list of tools does not end")
    }

    /// The tools on a list, those of them that are for this answer.
    pub fn tools(self: &Arc<Self>, server: &NamedServer, listed: &[Value]) -> Vec<Arc<dyn Tool>> {
        let tool = |shown: &Value| -> Option<Arc<dyn Tool>> {
            let name = shown["name"].as_str()?;
            let read_only = is_read_only(&shown["annotations"]);
            server.tools.as_ref().is_none_or(|some| some.has(name, read_only)).then(|| -> Arc<dyn Tool> {
                let on = OnServer {
                    label: self.label.clone(),
                    name: name.to_owned(),
                    needs_approval: server.approval.is_needed(name, read_only),
                };
                Arc::new(NamedTool { spec: spec(server, name, shown), on, server: Arc::clone(self) })
            })
        };
        listed.iter().filter_map(tool).take(TOOLS_MAX).collect()
    }
}

fn is_read_only(annotations: &Value) -> bool {
    annotations["readOnlyHint"] == true || annotations["read_only"] == true
}

/// A tool as it stands on a list. What could not be stored, or called, is left out.
fn shown(tool: rmcp::model::Tool, wanted: Option<&ToolFilter>) -> Option<Value> {
    let annotations = json!(tool.annotations);
    let fits = (1..=NAME_MAX).contains(&tool.name.len())
        && wanted.is_none_or(|some| some.has(&tool.name, is_read_only(&annotations)));
    let shown = json!({"name": tool.name, "description": tool.description, "input_schema": *tool.input_schema,
                       "annotations": annotations});
    (fits && !shown.to_string().contains("\\u0000") && depth(&shown) <= DEEPEST).then_some(shown)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(all) => 1 + all.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn spec(server: &NamedServer, name: &str, shown: &Value) -> ToolSpec {
    let mut description: String =
        shown["description"].as_str().unwrap_or_default().chars().take(DESCRIPTION_MAX).collect();
    if let Some(of_server) = &server.description {
        description = format!("{description}\n\n{}: {of_server}", server.label).trim_start().to_owned();
    }
    let mut parameters = shown["input_schema"].clone();
    match parameters.as_object_mut() {
        Some(schema) => {
            schema.entry("type").or_insert(json!("object"));
            schema.entry("properties").or_insert(json!({}));
        }
        None => parameters = json!({"type": "object", "properties": {}}),
    }
    ToolSpec { name: called(&server.label, name), description, parameters, strict: None }
}

struct NamedTool {
    spec: ToolSpec,
    on: OnServer,
    server: Arc<Named>,
}

#[async_trait]
impl Tool for NamedTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    /// What a server says of its tools decides nothing here: what was told of a call once stays so, in every attempt.
    fn is_read_only(&self) -> bool {
        false
    }

    fn is_of_project(&self) -> bool {
        true
    }

    fn on_server(&self) -> Option<&OnServer> {
        Some(&self.on)
    }

    async fn call(&self, caller: &Caller<'_>, arguments: Value) -> std::result::Result<Value, ToolError> {
        // Cut first: each word that is hidden is looked for in all of it.
        let own = |text: &str| {
            let cut = text.floor_char_boundary(text.len().min(SAID_MAX));
            self.server.hidden.masked(&text[..cut].replace('\0', ""))
        };
        let client =
            self.server.client().await.map_err(|why| ToolError(format!("the server failed: {why}")))?;
        let asked = ask(&client, &self.on.name, &caller.key, arguments).await;
        let result = asked.map_err(|error| match error {
            Unanswered::Late => ToolError("it did not answer in time".to_owned()),
            Unanswered::Refused(why) => failed(&own(&why)),
            Unanswered::Broken => ToolError("the server failed".to_owned()),
        })?;
        let mut said = own(&text(&result));
        if result.is_error == Some(true) {
            return Err(failed(&said));
        }
        if let (true, Some(content)) = (said.is_empty(), result.structured_content) {
            said = own(&without_nuls(content).to_string());
        }
        Ok(said.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_called_by_a_name_that_every_provider_takes() {
        assert_eq!(called("calc", "add"), "calc__add");
        let long = "x".repeat(80);
        let odd = [called("a", "b.c"), called("a", "b/c"), called("a", &long), called("b", &long)];
        for (at, name) in odd.iter().enumerate() {
            assert!(name.len() <= 64, "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{name}");
            assert!(!odd[..at].contains(name), "{name} is there twice");
        }
    }
}
