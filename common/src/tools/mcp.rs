//! Tools of MCP servers that configuration names, over streamable HTTP or a child process, by the official SDK.
//! <https://modelcontextprotocol.io/specification>
//!
//! A server's tools are called `server__tool`. It is connected to when first needed and again when the connection broke;
//! one that cannot be reached is left alone for half a minute, and its tools are not offered meanwhile.

use std::{process::Stdio, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use rmcp::{
    RoleClient, ServiceExt,
    model::{CallToolRequestParams, CallToolResult},
    service::{RunningService, ServiceError},
    transport::{
        StreamableHttpClientTransport, TokioChildProcess,
        streamable_http_client::{StreamableHttpClient, StreamableHttpClientTransportConfig},
    },
};
use serde_json::Value;
use tokio::{process::Command, sync::Mutex, time::Instant};

use super::{CALL_TIMEOUT, Caller, Tool, ToolError};
use crate::{egress::Egress, providers::ToolSpec, secret::Secret, settings::McpServer};

const CONNECT: Duration = Duration::from_secs(10);
/// How long a list of tools is believed.
const FRESH: Duration = Duration::from_secs(300);
/// How long a server that could not be reached is left alone.
const AWAY: Duration = Duration::from_secs(30);
/// Tools of one server that are offered at most.
const TOOLS_MAX: usize = 64;

/// Bytes of one event of a server's stream; the SDK reads 16 MiB of other answers.
const EVENT_MAX: usize = 4 << 20;

pub(super) type Client = RunningService<RoleClient, ()>;

pub struct Mcp {
    servers: Vec<Arc<Server>>,
}

struct Server {
    settings: McpServer,
    egress: Egress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    client: Option<Arc<Client>>,
    tools: Vec<Arc<dyn Tool>>,
    listed: Option<Instant>,
    away_until: Option<Instant>,
}

fn prefix(server: &str) -> String {
    format!("{server}__")
}

impl Mcp {
    pub fn new(servers: Vec<McpServer>, egress: Egress) -> Self {
        let server =
            |settings| Arc::new(Server { settings, egress: egress.clone(), state: Mutex::default() });
        Self { servers: servers.into_iter().map(server).collect() }
    }

    pub fn names(&self) -> Vec<&str> {
        self.servers.iter().map(|server| server.settings.name.as_str()).collect()
    }

    pub fn has_prefix_of(&self, tool: &str) -> bool {
        self.servers.iter().any(|server| tool.starts_with(&prefix(&server.settings.name)))
    }

    /// The tools of every server that can be reached.
    pub async fn tools(&self) -> Vec<Arc<dyn Tool>> {
        futures::future::join_all(self.servers.iter().map(|server| server.tools())).await.concat()
    }
}

impl Server {
    async fn tools(self: &Arc<Self>) -> Vec<Arc<dyn Tool>> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if state.client.as_ref().is_some_and(|client| client.is_transport_closed()) {
            *state = State::default();
        }
        if state.listed.is_some_and(|listed| now - listed < FRESH)
            || state.away_until.is_some_and(|until| now < until)
        {
            return state.tools.clone();
        }
        match tokio::time::timeout(CONNECT, self.list(&mut state)).await {
            Ok(Ok(tools)) => {
                state.tools = tools;
                state.listed = Some(Instant::now());
                state.away_until = None;
            }
            failed => {
                let cause =
                    failed.map_or("it did not answer in time", |listed| listed.err().unwrap_or_default());
                tracing::warn!(server = %self.settings.name, cause, "an MCP server cannot be reached");
                *state = State { away_until: Some(Instant::now() + AWAY), ..State::default() };
            }
        }
        state.tools.clone()
    }

    async fn list(self: &Arc<Self>, state: &mut State) -> Result<Vec<Arc<dyn Tool>>, &'static str> {
        let client = match &state.client {
            Some(client) => Arc::clone(client),
            None => {
                let client = Arc::new(self.connect().await?);
                state.client = Some(Arc::clone(&client));
                client
            }
        };
        let listed = client.list_all_tools().await.map_err(|_| "it does not list its tools")?;
        let tool = |tool: rmcp::model::Tool| -> Option<Arc<dyn Tool>> {
            let name = format!("{}{}", prefix(&self.settings.name), tool.name);
            // What every provider takes for a function's name.
            let fits =
                name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
            let read_only = tool.annotations.as_ref().and_then(|hints| hints.read_only_hint).unwrap_or(false);
            let description = tool.description.as_deref().unwrap_or_default().chars().take(1_000).collect();
            let parameters = Value::Object((*tool.input_schema).clone());
            fits.then(|| -> Arc<dyn Tool> {
                Arc::new(McpTool {
                    spec: ToolSpec { name, description, parameters, strict: None },
                    name: tool.name.into_owned(),
                    read_only,
                    server: Arc::clone(self),
                })
            })
        };
        Ok(listed.into_iter().filter_map(tool).take(TOOLS_MAX).collect())
    }

    async fn connect(&self) -> Result<Client, &'static str> {
        if let Some(url) = &self.settings.url {
            let client =
                self.egress.client_for(url).map_err(|_| "EGRESS__ALLOW does not name its address")?;
            return over_http(client, url, &self.settings.headers).await;
        }
        let mut command = Command::new(&self.settings.command);
        // Our own environment holds our keys: a server gets what it needs to run, and what configuration gives it.
        command.args(&self.settings.args).env_clear().kill_on_drop(true);
        for name in ["PATH", "HOME", "LANG", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.settings.env.iter().map(|(name, value)| (name, value.expose())));
        let spawned = TokioChildProcess::builder(command).stderr(Stdio::null()).spawn();
        let (process, _) = spawned.map_err(|_| "it does not start")?;
        ().serve(process).await.map_err(|_| "no connection")
    }

    async fn call(&self, tool: &str, key: &str, arguments: Value) -> Result<Value, ToolError> {
        let client = self.state.lock().await.client.clone();
        let client = client.ok_or_else(|| ToolError("the server is not connected".to_owned()))?;
        let result = ask(&client, tool, key, arguments).await.map_err(|error| match error {
            Unanswered::Late => ToolError("it did not answer in time".to_owned()),
            Unanswered::Refused(_) | Unanswered::Broken => ToolError("the server failed".to_owned()),
        })?;
        let text = text(&result);
        if result.is_error == Some(true) {
            return Err(failed(&text));
        }
        Ok(result.structured_content.unwrap_or_else(|| text.into()))
    }
}

/// Connects to a server at an address. The SDK's errors are not passed on: they repeat what the server said.
pub(super) async fn over_http(
    client: impl StreamableHttpClient + Sync,
    url: &str,
    headers: &[(String, Secret)],
) -> Result<Client, &'static str> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    config.max_sse_event_size = EVENT_MAX;
    for (name, value) in headers {
        let name = name.parse::<HeaderName>().map_err(|_| "a header's name is wrong")?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| "a header's value is wrong")?;
        value.set_sensitive(true);
        config.custom_headers.insert(name, value);
    }
    let transport = StreamableHttpClientTransport::with_client(client, config);
    ().serve(transport).await.map_err(|_| "no connection")
}

/// Why a call has no result.
pub(super) enum Unanswered {
    Late,
    /// In the server's words.
    Refused(String),
    Broken,
}

/// Calls a tool, under a key that is the same in every attempt.
pub(super) async fn ask(
    client: &Client,
    tool: &str,
    key: &str,
    arguments: Value,
) -> Result<CallToolResult, Unanswered> {
    let mut params = CallToolRequestParams::new(tool.to_owned());
    if let Value::Object(arguments) = arguments {
        params = params.with_arguments(arguments);
    }
    let mut meta = rmcp::model::RequestMetaObject::default();
    meta.insert("idempotencyKey".to_owned(), key.into());
    params.meta = Some(meta);
    let called = tokio::time::timeout(CALL_TIMEOUT, client.call_tool(params)).await;
    called.map_err(|_| Unanswered::Late)?.map_err(|error| match error {
        ServiceError::McpError(error) => Unanswered::Refused(error.message.into_owned()),
        _ => Unanswered::Broken,
    })
}

pub(super) fn text(result: &CallToolResult) -> String {
    let blocks = result.content.iter().filter_map(|block| block.as_text().map(|text| text.text.as_str()));
    blocks.collect::<Vec<_>>().join("\n")
}

/// A tool's own error.
pub(super) fn failed(text: &str) -> ToolError {
    let told: String = text.chars().take(2_000).collect();
    ToolError(if told.is_empty() { "the tool failed".to_owned() } else { told })
}

struct McpTool {
    spec: ToolSpec,
    /// As its server calls it.
    name: String,
    read_only: bool,
    server: Arc<Server>,
}

#[async_trait]
impl Tool for McpTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    async fn call(&self, caller: &Caller<'_>, arguments: Value) -> Result<Value, ToolError> {
        self.server.call(&self.name, &caller.key, arguments).await
    }
}
