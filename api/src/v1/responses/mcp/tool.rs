//! Reading the tool, and showing it.

use std::collections::BTreeMap;

use axum::http::Uri;
use rapport_common::{
    Context, Result,
    domain::{
        ids::JobId,
        prompt::{AllowedCall, Approval, CALLS_MAX, NamedServer, ToolFilter},
    },
    error::{Error, Wrong},
    http_tools::header_names,
    problems::Problems,
    tools::named,
};
use serde_json::{Value, json};

use crate::v1::{
    body::{NOT_HERE, only},
    responses::items::Called,
};

/// Servers of one request.
const SERVERS: usize = 8;
const LABEL: usize = 64;
const NAMES: usize = 1_000;
const DESCRIPTION: usize = 500;
/// Bytes of a header: tokens are long.
const HEADER: usize = 8_000;
/// Of all headers of a server together.
const HEADERS: usize = 16_000;
const URL: usize = 2_048;
const REDACTED: &str = "<redacted>";

/// A server as it was given.
pub struct Given {
    field: String,
    label: String,
    url: String,
    headers: BTreeMap<String, String>,
    description: Option<String>,
    tools: Option<ToolFilter>,
    approval: Approval,
}

pub fn is_tool(tool: &Value) -> bool {
    tool["type"] == "mcp"
}

pub fn read(tools: &[Value], problems: &mut Problems) -> Vec<Given> {
    let mut all: Vec<Given> = Vec::new();
    for (at, tool) in tools.iter().enumerate().filter(|(_, tool)| is_tool(tool)) {
        let one = one(tool, format!("tools[{at}]"), problems);
        let twice = all.iter().any(|other| other.label == one.label);
        problems.unless(!twice, &format!("{}.server_label", one.field), Wrong::GivenTwice);
        all.push(one);
    }
    problems.unless(all.len() <= SERVERS, "tools", Wrong::Unfit("name more than 8 MCP servers"));
    all
}

fn one(tool: &Value, field: String, problems: &mut Problems) -> Given {
    let name = |name: &str| format!("{field}.{name}");
    let elsewhere = ["connector_id", "tunnel_id", "defer_loading", "allowed_callers"];
    for other in elsewhere {
        let given = !tool[other].is_null() && tool[other] != false && tool[other] != json!(["direct"]);
        problems.unless(!given, &name(other), NOT_HERE);
    }
    let known = ["type", "server_label", "server_url", "server_description", "authorization", "headers"];
    let known = [&known[..], &["allowed_tools", "require_approval"], &elsewhere].concat();
    only(tool, &known, &field, problems);
    let label = tool["server_label"].as_str().unwrap_or_default();
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let fits = (1..=LABEL).contains(&label.len())
        && label.starts_with(|c: char| c.is_ascii_alphabetic())
        && label.chars().all(good)
        // A model calls a tool `label__tool`: two that read alike must not be one.
        && !label.contains("__")
        && !label.ends_with('_');
    let rule = Wrong::Form(
        "must be 1 to 64 letters, digits, `-` or single `_`, the first one a letter, the last one no `_`",
    );
    problems.unless(fits, &name("server_label"), rule);
    let url = tool["server_url"].as_str().unwrap_or_default();
    problems.unless(!url.is_empty(), &name("server_url"), Wrong::Required);
    problems.unless(url.len() <= URL, &name("server_url"), Wrong::Text { min: 1, max: URL });
    let description = tool["server_description"].as_str().filter(|text| !text.is_empty());
    let short = description.is_none_or(|text| text.chars().count() <= DESCRIPTION);
    problems.unless(
        short && (tool["server_description"].is_null() || tool["server_description"].is_string()),
        &name("server_description"),
        Wrong::Text { min: 0, max: DESCRIPTION },
    );
    Given {
        label: label.to_owned(),
        url: url.to_owned(),
        headers: headers(tool, &field, problems),
        description: description.map(str::to_owned),
        tools: filter(&tool["allowed_tools"], &name("allowed_tools"), problems),
        approval: approval(&tool["require_approval"], &name("require_approval"), problems),
        field,
    }
}

/// What is sent along: headers, and the authorization as one of them.
fn headers(tool: &Value, field: &str, problems: &mut Problems) -> BTreeMap<String, String> {
    let (given, field) = (&tool["headers"], format!("{field}.headers"));
    problems.unless(given.is_null() || given.is_object(), &field, Wrong::NotObject);
    let mut all = BTreeMap::new();
    for (name, value) in given.as_object().into_iter().flatten() {
        all.insert(name.to_ascii_lowercase(), value.as_str().unwrap_or_default().trim().to_owned());
    }
    if !tool["authorization"].is_null() {
        let token = tool["authorization"].as_str().unwrap_or_default().trim();
        problems.unless(!all.contains_key("authorization"), &field, Wrong::NotWith("authorization"));
        let token = if token.is_empty() { String::new() } else { format!("Bearer {token}") };
        all.insert("authorization".to_owned(), token);
    }
    let plain = |value: &String| {
        (1..=HEADER).contains(&value.len())
            && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
    };
    let rule = Wrong::Form("must be 1 to 8000 visible ASCII characters each, as must `authorization`");
    problems.unless(all.values().all(plain), &field, rule);
    let bytes: usize = all.iter().map(|(name, value)| name.len() + value.len()).sum();
    problems.unless(bytes <= HEADERS, &field, Wrong::Unfit("has more than 16000 bytes in all"));
    let ours = |name: &String| name.starts_with("mcp-") || name == "last-event-id";
    problems.unless(!all.keys().any(ours), &field, Wrong::Unfit("has one that belongs to MCP"));
    if let Err(wrong) = header_names(all.keys().map(|name| (name, "x"))) {
        problems.add(field, wrong);
    }
    all
}

/// Some of a server's tools: by their names, or as OpenAI's filters say.
fn filter(given: &Value, field: &str, problems: &mut Problems) -> Option<ToolFilter> {
    let given = match given {
        Value::Null => return None,
        Value::Array(_) => &json!({"tool_names": given}),
        other => other,
    };
    only(given, &["tool_names", "read_only"], field, problems);
    let names: Option<Vec<String>> = match &given["tool_names"] {
        Value::Null => None,
        names => match serde_json::from_value::<Vec<String>>(names.clone()) {
            Ok(names) if names.len() <= NAMES => Some(names),
            _ => {
                problems.add(field, Wrong::Form("must be up to 1000 names of tools"));
                None
            }
        },
    };
    let read_only = &given["read_only"];
    problems.unless(
        read_only.is_null() || read_only.is_boolean(),
        &format!("{field}.read_only"),
        Wrong::NotBoolean,
    );
    Some(ToolFilter { names, read_only: read_only.as_bool() })
}

fn approval(given: &Value, field: &str, problems: &mut Problems) -> Approval {
    match given {
        Value::Null => Approval::Always,
        Value::String(word) if word == "always" => Approval::Always,
        Value::String(word) if word == "never" => Approval::Never,
        Value::Object(_) => {
            only(given, &["always", "never"], field, problems);
            let mut some = |name: &str| filter(&given[name], &format!("{field}.{name}"), problems);
            Approval::Some { always: some("always"), never: some("never") }
        }
        _ => {
            problems.add(field, Wrong::Form("must be `always`, `never`, or an object with filters for them"));
            Approval::Always
        }
    }
}

/// `tool_choice` of a server's tool, as providers know it.
pub fn choice(choice: &Value, problems: &mut Problems) -> Option<Value> {
    only(choice, &["type", "server_label", "name"], "tool_choice", problems);
    match (choice["server_label"].as_str(), choice["name"].as_str()) {
        (Some(label), Some(name)) => {
            Some(json!({"type": "function", "function": {"name": named::called(label, name)}}))
        }
        _ => {
            problems
                .add("tool_choice", Wrong::Unfit("must name the server by its label, and one of its tools"));
            None
        }
    }
}

/// A tool as a response shows it: without what may be a key.
pub fn shown(tool: &Value) -> Value {
    let mut shown = tool.clone();
    if !is_tool(tool) {
        return shown;
    }
    let address: Option<Uri> = tool["server_url"].as_str().and_then(|url| url.parse().ok());
    let parts = address.as_ref().and_then(|address| Some((address.scheme_str()?, address.authority()?)));
    let origin = parts.map(|(scheme, host)| format!("{scheme}://{host}")).unwrap_or_default();
    shown["server_url"] = json!(format!("{origin}/{REDACTED}"));
    if !tool["authorization"].is_null() {
        shown["authorization"] = json!(REDACTED);
    }
    if let Some(headers) = shown["headers"].as_object_mut() {
        headers.values_mut().for_each(|value| *value = json!(REDACTED));
    }
    for (name, default) in [
        ("allowed_tools", Value::Null),
        ("headers", Value::Null),
        ("server_description", Value::Null),
        ("require_approval", json!("always")),
    ] {
        if shown[name].is_null() {
            shown[name] = default;
        }
    }
    shown
}

/// The servers of a request, sealed for its job, with what the past tells of their tools; and the calls that it allows.
pub fn complete(
    ctx: &Context,
    job: JobId,
    given: Vec<Given>,
    called: &mut Called,
) -> Result<(Vec<NamedServer>, Vec<AllowedCall>)> {
    let mut servers = Vec::new();
    for Given { field, label, url, headers, description, tools, approval } in given {
        let checked = ctx.tools.for_projects().check_text(&url);
        checked
            .map_err(|error| Error::field(&format!("{field}.server_url"), Wrong::Url(error.to_string())))?;
        let sealed = named::seal(ctx, job, &label, &url, headers)?;
        let listed = called.listed.remove(&label);
        servers.push(NamedServer { label, description, sealed, tools, approval, listed });
    }
    let allowed = std::mem::take(&mut called.allowed);
    if allowed.len() > CALLS_MAX {
        return Err(Error::field("input", Wrong::Unfit("allows more than 16 calls at once")));
    }
    let there = |call: &AllowedCall| servers.iter().any(|server| server.label == call.label);
    if !allowed.iter().all(there) {
        let rule = Wrong::Unfit("allows a call of a server that `tools` does not name");
        return Err(Error::field("input", rule));
    }
    Ok((servers, allowed))
}
