//! Tools over HTTP: those that configuration describes, for everybody, and those of a project, for its chats.
//!
//! A call is signed as webhooks are, and carries the call's key as `Idempotency-Key`: the same in every attempt. It is never
//! redirected to another origin, and what comes back is bounded in time and size. What cannot be used is told to the model in
//! our own words, except for a few of an error's own.

use std::{fs, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap},
};
use serde_json::Value;
use url::Position;

use super::{Caller, Tool, ToolError, hidden::Hidden};
use crate::{
    Context, Result, clock,
    domain::ids::{ProjectId, UserId},
    egress::{Answer, Egress, EgressError, Request},
    http_tools::{Definition, Described, header_names, openapi},
    providers::ToolSpec,
    secret::Secret,
    settings::{self, HttpTools, ToolsAs},
    signing,
    usecase::projects::tools::{self, Opened},
};

/// Bytes of an answer. A model sees far less of it.
const ANSWER_MAX: usize = 256 * 1_024;
/// Characters of a failed answer that a model hears.
const TOLD_MAX: usize = 1_000;

struct HttpTool {
    spec: ToolSpec,
    definition: Definition,
    secret: Option<Secret>,
    headers: HeaderMap,
    hidden: Hidden,
    egress: Egress,
    of_project: bool,
}

impl HttpTool {
    fn new(
        definition: Definition,
        headers: &[(String, Secret)],
        secret: Option<Secret>,
        egress: Egress,
    ) -> Option<Self> {
        let Definition { name, description, parameters, .. } = definition.clone();
        let spec = ToolSpec { name, description, parameters, strict: None };
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value.expose().trim()).ok()?;
            value.set_sensitive(true);
            sent.insert(name.parse::<HeaderName>().ok()?, value);
        }
        let hidden = Hidden::of(headers);
        Some(Self { spec, definition, secret, headers: sent, hidden, egress, of_project: false })
    }
}

/// Those that configuration describes.
pub fn configured(
    settings: &settings::Tools,
    egress: &Egress,
) -> std::result::Result<Vec<Arc<dyn Tool>>, String> {
    let mut all: Vec<Arc<dyn Tool>> = Vec::new();
    for HttpTools { described, headers, secret } in &settings.http {
        let definitions = definitions(described)?;
        let pairs = headers.iter().map(|(name, value)| (name, value.expose()));
        header_names(pairs).map_err(|wrong| format!("TOOLS__HTTP: headers {wrong}"))?;
        if secret.as_ref().is_some_and(|secret| !signing::is_secret(secret)) {
            return Err("TOOLS__HTTP: a secret must be whsec_ and base64".to_owned());
        }
        for definition in definitions {
            let name = definition.name.clone();
            let address = egress.check_text(&definition.url);
            address.map_err(|error| format!("TOOLS__HTTP: {name}: {error} (see EGRESS__ALLOW)"))?;
            let tool = HttpTool::new(definition, headers, secret.clone(), egress.clone());
            let tool = tool.ok_or_else(|| format!("TOOLS__HTTP: {name}: a header cannot be sent"))?;
            if all.iter().any(|other| other.spec().name == name) {
                return Err(format!("TOOLS__HTTP: two tools are called {name}"));
            }
            all.push(Arc::new(tool));
        }
    }
    Ok(all)
}

fn definitions(described: &ToolsAs) -> std::result::Result<Vec<Definition>, String> {
    match described {
        ToolsAs::One(given) => {
            let described: Described =
                serde_json::from_value(given.clone()).map_err(|error| format!("TOOLS__HTTP: {error}"))?;
            let name = described.name.clone();
            let made = Definition::of(described);
            Ok(vec![made.map_err(|error| format!("TOOLS__HTTP: {name}: {}", error.detail))?])
        }
        ToolsAs::Document { file, base_url, operations } => {
            let at = file.display();
            let text = fs::read(file).map_err(|error| format!("TOOLS__HTTP: {at}: {error}"))?;
            let document: Value =
                serde_json::from_slice(&text).map_err(|error| format!("TOOLS__HTTP: {at}: {error}"))?;
            let found = openapi::tools(&document, base_url.as_deref(), operations.as_deref());
            let found = found.map_err(|error| format!("TOOLS__HTTP: {at}: {}", error.detail))?;
            for skipped in found.skipped {
                tracing::warn!(file = %at, operation = skipped.operation, reason = skipped.reason, "an operation became no tool");
            }
            Ok(found.tools)
        }
    }
}

/// Those of a project. One that does not open (its sealing key is gone) is left out.
pub async fn of_project(
    ctx: &Context,
    egress: &Egress,
    user: UserId,
    project: ProjectId,
) -> Result<Vec<Arc<dyn Tool>>> {
    let mut all: Vec<Arc<dyn Tool>> = Vec::new();
    for Opened { tool, secret, headers } in tools::opened(ctx, user, project).await? {
        let definition = tools::definition(&tool)?;
        if let Some(tool) = HttpTool::new(definition, &headers, Some(secret), egress.clone()) {
            all.push(Arc::new(HttpTool { of_project: true, ..tool }));
        }
    }
    Ok(all)
}

#[async_trait]
impl Tool for HttpTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn is_read_only(&self) -> bool {
        !self.definition.changes_something
    }

    fn is_of_project(&self) -> bool {
        self.of_project
    }

    async fn call(&self, caller: &Caller<'_>, arguments: Value) -> std::result::Result<Value, ToolError> {
        let request = self.request(&caller.key, &arguments)?;
        match self.egress.send(request).await {
            Ok(answer) => self.read(&answer),
            Err(error) => {
                // Our log knows more. Refused, unknown and closed addresses told apart would map the network we stand in.
                tracing::info!(tool = self.spec.name, %error, "a tool's server gave no answer");
                Err(ToolError(told(&error)))
            }
        }
    }
}

fn told(error: &EgressError) -> String {
    match error {
        EgressError::Timeout => "its server did not answer in time".to_owned(),
        EgressError::TooLarge(most) => format!("its server's answer is larger than {most} bytes"),
        EgressError::Redirects | EgressError::Elsewhere => {
            "its server redirects to another place, which is not followed".to_owned()
        }
        EgressError::Refused(_) | EgressError::Network => "its server could not be reached".to_owned(),
    }
}

impl HttpTool {
    fn request(&self, key: &str, arguments: &Value) -> std::result::Result<Request, ToolError> {
        let none = serde_json::Map::new();
        let filled = self.definition.filled(arguments.as_object().unwrap_or(&none)).map_err(ToolError)?;
        let method = Method::from_bytes(self.definition.method.as_bytes())
            .map_err(|_| ToolError("the tool's method is broken".to_owned()))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if filled.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in filled.headers {
            let wrong = || ToolError(format!("the argument `{name}` cannot be sent as a header"));
            let value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
            headers.insert(name.parse::<HeaderName>().map_err(|_| wrong())?, value);
        }
        // Its owner's: no argument takes their place.
        headers.extend(self.headers.clone());
        if let Ok(key) = HeaderValue::from_str(key) {
            headers.insert("idempotency-key", key);
        }
        let body = filled.body.unwrap_or_default();
        // Without a body the arguments are in the address: that is what is signed then.
        let target = filled.url[Position::BeforePath..].to_owned();
        let signed = if body.is_empty() { &target } else { &body };
        if let Some(secret) = &self.secret {
            signing::sign(&mut headers, secret, key, clock::now().timestamp(), signed);
        }
        Ok(Request {
            method,
            url: filled.url.into(),
            headers,
            body: (!body.is_empty()).then(|| body.into()),
            within: Duration::from_secs(self.definition.timeout_seconds.unsigned_abs()),
            at_most: ANSWER_MAX,
            elsewhere: false,
        })
    }
}

impl HttpTool {
    fn read(&self, answer: &Answer) -> std::result::Result<Value, ToolError> {
        let status = answer.status;
        let body = String::from_utf8_lossy(&answer.body);
        if !status.is_success() {
            // JSON says the same in many ways: it is read before anything is looked for in it.
            let body = match serde_json::from_str::<Value>(&body) {
                Ok(value) => self.hidden.without(value).to_string(),
                Err(_) => self.hidden.masked(&body),
            };
            let said: String = body.chars().take(TOLD_MAX).collect();
            let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
            return Err(ToolError(format!("its server answered with status {}{said}", status.as_u16())));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        if let Ok(value) = serde_json::from_str::<Value>(&body) {
            return Ok(self.hidden.without(value));
        }
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let plain = ["text/plain", "text/markdown", "text/csv"].iter().any(|text| kind.starts_with(text));
        if plain && std::str::from_utf8(&answer.body).is_ok() {
            return Ok(self.hidden.masked(&body).into());
        }
        Err(ToolError("its server answered with something that is no JSON".to_owned()))
    }
}
