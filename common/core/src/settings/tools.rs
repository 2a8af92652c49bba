//! Tools, where they may go, and what a day may cost.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Allowed;
use super::Env;
use crate::secret::Secret;

#[derive(Debug, Clone)]
pub struct Tools {
    /// Offer every configured tool in a chat that does not say (`CHAT__TOOLS`: `auto` or `none`).
    pub by_default: bool,
    pub weather_key: Option<Secret>,
    pub weather_url: String,
    pub tavily_key: Option<Secret>,
    pub tavily_url: String,
    pub mcp: Vec<McpServer>,
    pub http: Vec<HttpTools>,
    /// The only hosts that tools of projects may be at; none: any on the public internet.
    pub hosts: Vec<Allowed>,
}

/// A tool over HTTP, or those of an OpenAPI document.
#[derive(Debug, Clone)]
pub struct HttpTools {
    pub described: ToolsAs,
    pub headers: Vec<(String, Secret)>,
    /// Signs its calls, if there is one.
    pub secret: Option<Secret>,
}

#[derive(Debug, Clone)]
pub enum ToolsAs {
    /// As it is described; what it must have is looked at where tools are made.
    One(Value),
    Document {
        file: PathBuf,
        base_url: Option<String>,
        operations: Option<Vec<String>>,
    },
}

/// An MCP server: at a URL, or a command to start.
#[derive(Debug, Clone)]
pub struct McpServer {
    /// Begins the names of its tools.
    pub name: String,
    pub url: Option<String>,
    pub headers: Vec<(String, Secret)>,
    pub command: String,
    pub args: Vec<String>,
    pub env: Vec<(String, Secret)>,
}

/// What one user may spend on models a day (UTC) unless the admin gave them another budget; 0 is no limit.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    pub daily_tokens: i64,
    /// Millionths of a US dollar.
    pub daily_cost: i64,
}

pub fn budget(env: &mut Env) -> Budget {
    Budget {
        daily_tokens: env.number("QUOTA__DAILY_TOKENS", 0, 0..=1_000_000_000_000) as i64,
        daily_cost: (env.seconds("QUOTA__DAILY_COST", 0.0, 0.0..=1_000_000.0).as_secs_f64() * 1e6) as i64,
    }
}

pub fn tools(env: &mut Env) -> Tools {
    let by_default = env.text("CHAT__TOOLS", "auto");
    if !["auto", "none"].contains(&by_default.as_str()) {
        env.problem("CHAT__TOOLS must be auto or none");
    }
    let mut url = |key: &str, default: &str| {
        let url = env.text(key, default).trim_end_matches('/').to_owned();
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            env.problem(&format!("{key} must begin with http:// or https://"));
        }
        url
    };
    let weather_url = url("WEATHER_API_BASE_URL", "https://api.weatherapi.com/v1");
    let tavily_url = url("TAVILY_BASE_URL", "https://api.tavily.com");
    Tools {
        by_default: by_default == "auto",
        weather_key: env.optional("WEATHER_API_KEY").map(Secret::new),
        weather_url,
        tavily_key: env.optional("TAVILY_API_KEY").map(Secret::new),
        tavily_url,
        mcp: mcp(env),
        http: http(env),
        hosts: places(env, "TOOLS__HOSTS"),
    }
}

#[derive(Deserialize)]
struct GivenTools {
    #[serde(default)]
    headers: BTreeMap<String, String>,
    secret: Option<String>,
    openapi: Option<PathBuf>,
    base_url: Option<String>,
    operations: Option<Vec<String>>,
    #[serde(flatten)]
    described: Map<String, Value>,
}

fn http(env: &mut Env) -> Vec<HttpTools> {
    let Some(text) = env.optional("TOOLS__HTTP") else { return Vec::new() };
    let given: Vec<GivenTools> = serde_json::from_str(&text).unwrap_or_else(|error| {
        env.problem(&format!(
            "TOOLS__HTTP must be a JSON list of {{name, description, parameters, url, method, headers, secret}} or {{openapi, base_url, operations, headers, secret}}: {error}"
        ));
        Vec::new()
    });
    let made = given.into_iter().map(|given| {
        let GivenTools { headers, secret, openapi, base_url, operations, described } = given;
        let described = match openapi {
            Some(file) => ToolsAs::Document { file, base_url, operations },
            None => ToolsAs::One(Value::Object(described)),
        };
        let headers = headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        HttpTools { described, headers, secret: secret.map(Secret::new) }
    });
    made.collect()
}

#[derive(Deserialize)]
struct Given {
    name: String,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

fn mcp(env: &mut Env) -> Vec<McpServer> {
    let Some(text) = env.optional("MCP__SERVERS") else { return Vec::new() };
    let given: Vec<Given> = serde_json::from_str(&text).unwrap_or_else(|error| {
        env.problem(&format!(
            "MCP__SERVERS must be a JSON list of {{name, url, headers}} or {{name, command, args, env}}: {error}"
        ));
        Vec::new()
    });
    let mut servers: Vec<McpServer> = Vec::new();
    for Given { name, url, headers, command, args, env: variables } in given {
        let plain =
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && (1..=32).contains(&name.len());
        if !plain || servers.iter().any(|server| server.name == name) {
            env.problem(&format!(
                "MCP__SERVERS: {name:?} must be 1 to 32 letters, digits and -, and the only one so called"
            ));
        }
        if url.is_some() == command.is_some() {
            env.problem(&format!("MCP__SERVERS: {name:?} needs either url or command"));
        }
        let secret =
            |map: BTreeMap<String, String>| map.into_iter().map(|(k, v)| (k, Secret::new(v))).collect();
        let (headers, variables) = (secret(headers), secret(variables));
        servers.push(McpServer {
            name,
            url,
            headers,
            command: command.unwrap_or_default(),
            args,
            env: variables,
        });
    }
    servers
}

pub fn egress(env: &mut Env) -> Vec<Allowed> {
    places(env, "EGRESS__ALLOW")
}

fn places(env: &mut Env, key: &str) -> Vec<Allowed> {
    let mut allowed = Vec::new();
    for text in env.list(key, &[]) {
        match text.parse() {
            Ok(one) => allowed.push(one),
            Err(problem) => env.problem(&format!("{key}: {problem}")),
        }
    }
    allowed
}
