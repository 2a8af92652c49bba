//! What a tool over HTTP is, and what it must be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::fill::Template;
use crate::{
    error::{Result, Wrong},
    problems::Problems,
};

/// Those that a tool may be called by; the ones of `IN_QUERY` have no body.
pub const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE"];
pub(super) const IN_QUERY: [&str; 2] = ["GET", "DELETE"];
/// Tools of one project at most. Models choose badly among more.
pub const TOOLS_MAX: usize = 64;
/// Seconds that a call may take at most.
pub const TIMEOUT_MAX: i64 = 30;
const TIMEOUT: i64 = 10;
const DESCRIPTION_MAX: usize = 1_000;
const URL_MAX: usize = 2_000;
/// Bytes of the schema of one tool's arguments: it is part of every question.
pub(super) const PARAMETERS_MAX: usize = 16_384;
const HEADERS_MAX: usize = 20;
/// Levels of that schema.
const DEEPEST: usize = 100;
/// Headers that are not a tool's: they are ours, HTTP's, or told where the request goes.
const RESERVED: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// Where an argument goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Path,
    Query,
    Header,
    /// It is the whole body.
    Body,
}

/// A tool as somebody describes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    pub name: String,
    #[serde(default)]
    pub description: String,
    pub parameters: Option<Value>,
    pub url: String,
    pub method: Option<String>,
    pub timeout_seconds: Option<i64>,
    pub changes_something: Option<bool>,
}

/// A tool that can be called.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    pub name: String,
    pub description: String,
    /// JSON Schema of an object.
    pub parameters: Value,
    /// Its path may name arguments in braces.
    pub url: String,
    pub method: String,
    /// Where arguments go. If there are any, there are no other arguments; else those go where the method says: into the
    /// query, or into an object that is the body.
    pub places: BTreeMap<String, Place>,
    pub timeout_seconds: i64,
    pub changes_something: bool,
}

impl Definition {
    /// The tool, or all that is wrong with its description.
    pub fn of(described: Described) -> Result<Self> {
        let method = described.method.map_or_else(|| "POST".to_owned(), |method| method.to_uppercase());
        let definition = Self {
            changes_something: described.changes_something.unwrap_or(method != "GET"),
            name: described.name,
            description: described.description,
            parameters: described.parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
            url: described.url,
            method,
            places: BTreeMap::new(),
            timeout_seconds: described.timeout_seconds.unwrap_or(TIMEOUT),
        };
        definition.check()?;
        Ok(definition)
    }

    pub fn check(&self) -> Result<()> {
        let mut problems = Problems::default();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        let named = (1..=64).contains(&self.name.len()) && self.name.chars().all(plain);
        problems.unless(named, "name", Wrong::Form("must be 1 to 64 ASCII letters, digits, `_` and `-`"));
        let max = DESCRIPTION_MAX;
        let fits = self.description.chars().count() <= max && !self.description.contains('\0');
        problems.unless(fits, "description", Wrong::Text { min: 0, max });
        if !METHODS.contains(&self.method.as_str()) {
            problems.add("method", Wrong::Either(METHODS));
        }
        let range = 1..=TIMEOUT_MAX;
        let fits = range.contains(&self.timeout_seconds);
        problems.unless(fits, "timeout_seconds", Wrong::Range { min: 1, max: TIMEOUT_MAX });
        if let Err(wrong) = check_parameters(&self.parameters) {
            problems.add("parameters", wrong);
        } else if let Err(why) = self.check_url() {
            problems.add("url", Wrong::Url(why.to_owned()));
        }
        problems.done()
    }

    /// As far as it can be told from its text. Where it leads is looked at when it is kept, and by each call.
    fn check_url(&self) -> Result<(), &'static str> {
        if self.url.len() > URL_MAX {
            return Err("must be at most 2000 bytes");
        }
        if self.url.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err("must have no spaces, control characters or backslashes");
        }
        let url = Url::parse(&self.url).map_err(|_| "is no URL")?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("must begin with http:// or https:// and name a host");
        }
        let template = Template::of(&self.url).ok_or("is no URL")?;
        if template.before.contains(['{', '}'])
            || template.after.contains(['{', '}'])
            || template.after.contains('#')
        {
            return Err("may name arguments only in its path, and has no fragment");
        }
        let properties = self.parameters["properties"].as_object();
        let names = template.names().ok_or("has a brace that is not closed")?;
        let known = |name: &&str| properties.is_some_and(|properties| properties.contains_key(*name));
        if names.iter().all(known) { Ok(()) } else { Err("names an argument that `parameters` lacks") }
    }
}

/// What every provider takes for the arguments of a function.
fn check_parameters(schema: &Value) -> Result<(), Wrong> {
    let object = schema.as_object().ok_or(Wrong::NotObject)?;
    let properties = object.get("properties").and_then(Value::as_object);
    let is_schema = |schema: &Value| schema.is_object() || schema.is_boolean();
    let required = object.get("required").is_none_or(|required| {
        required.as_array().is_some_and(|names| {
            names.iter().all(|name| {
                let name = name.as_str();
                name.is_some_and(|name| properties.is_some_and(|known| known.contains_key(name)))
            })
        })
    });
    let is_object = object.get("type").is_some_and(|kind| kind == "object");
    if !is_object || !properties.is_some_and(|known| known.values().all(is_schema)) || !required {
        return Err(Wrong::Form(
            "must be JSON Schema of an object: `type` is object, `properties` an object of schemas, `required` some of their names",
        ));
    }
    if !is_within(schema, DEEPEST) {
        return Err(Wrong::Unfit("is nested too deep"));
    }
    let text = schema.to_string();
    if text.len() > PARAMETERS_MAX || text.contains("\\u0000") {
        return Err(Wrong::Bytes { max: PARAMETERS_MAX, nul: true });
    }
    Ok(())
}

/// Whether it has at most so many levels. What is stored must be read again, and serde_json reads 127.
fn is_within(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return false };
    match value {
        Value::Array(all) => all.iter().all(|one| is_within(one, below)),
        Value::Object(fields) => fields.values().all(|one| is_within(one, below)),
        _ => true,
    }
}

/// Whether a tool may set this header.
pub(super) fn is_free(header: &str) -> bool {
    !RESERVED.contains(&header.to_ascii_lowercase().as_str())
}

/// The names of headers that a tool sends along, in small letters, or what is wrong with the headers.
pub fn header_names<'a>(
    headers: impl IntoIterator<Item = (&'a String, &'a str)>,
) -> Result<Vec<String>, Wrong> {
    let is_sign = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    let mut names: Vec<String> = Vec::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let good = (1..=100).contains(&name.len()) && name.bytes().all(is_sign) && is_free(&name);
        let visible = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !good || !visible || !(1..=2_000).contains(&value.trim().len()) || names.contains(&name) {
            return Err(Wrong::Form(
                "must be names of headers, each once, with 1 to 2000 visible ASCII characters; not those that belong to HTTP or to us",
            ));
        }
        names.push(name);
    }
    if names.len() > HEADERS_MAX {
        return Err(Wrong::Count { min: 0, max: HEADERS_MAX });
    }
    names.sort_unstable();
    Ok(names)
}
