//! What a call says: the arguments of a model, put where the tool wants them.

use serde_json::{Map, Value};
use url::Url;

use super::{
    Definition,
    definition::{IN_QUERY, Place},
};

/// Bytes of an address with its arguments.
const FILLED_MAX: usize = 8_000;

/// A request, but for what is the same in every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    pub url: Url,
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: Option<String>,
}

/// An address in three parts: up to its path, the path, and what comes after.
pub(super) struct Template<'a> {
    pub before: &'a str,
    path: &'a str,
    pub after: &'a str,
}

impl<'a> Template<'a> {
    pub fn of(url: &'a str) -> Option<Self> {
        let host = url.find("://")? + 3;
        let path = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
        let end = url[path..].find(['?', '#']).map_or(url.len(), |at| path + at);
        Some(Self { before: &url[..path], path: &url[path..end], after: &url[end..] })
    }

    /// The arguments that the path names. `None`: the braces do not match.
    pub fn names(&self) -> Option<Vec<&'a str>> {
        let mut names = Vec::new();
        let mut rest = self.path;
        while let Some(open) = rest.find(['{', '}']) {
            let name = rest[open..].strip_prefix('{')?;
            let close = name.find(['{', '}'])?;
            if !name[close..].starts_with('}') || name[..close].contains('/') {
                return None;
            }
            names.push(&name[..close]);
            rest = &name[close + 1..];
        }
        Some(names)
    }
}

/// Everything but letters, digits and `-._~` as `%XX`: what a model says stays within its segment of the path.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => Some(values.iter().filter_map(text_of).collect::<Vec<_>>().join(",")),
        other => Some(other.to_string()),
    }
}

fn missing(name: &str) -> String {
    format!("the argument `{name}` is missing")
}

impl Definition {
    /// A call with these arguments. What is wrong with them, the model is told.
    pub fn filled(&self, arguments: &Map<String, Value>) -> Result<Filled, String> {
        let template = Template::of(&self.url).ok_or("the tool's address is broken")?;
        let in_path = template.names().ok_or("the tool's address is broken")?;
        let place = |name: &str| -> Option<Place> {
            if in_path.contains(&name) {
                return Some(Place::Path);
            }
            self.places.get(name).copied()
        };
        let needed = self.parameters["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for name in needed {
            if arguments.get(name).is_none() {
                return Err(missing(name));
            }
        }
        let (mut query, mut headers, mut body, mut members) = (Vec::new(), Vec::new(), None, Map::new());
        for (name, value) in arguments {
            match place(name) {
                Some(Place::Path) => {}
                Some(Place::Header) => {
                    headers.extend(text_of(value).map(|text| (name.clone(), text)));
                }
                Some(Place::Body) => body = Some(value.to_string()),
                Some(Place::Query) => query.push((name, value)),
                None if !self.places.is_empty() => return Err(format!("there is no argument `{name}`")),
                None if IN_QUERY.contains(&self.method.as_str()) => query.push((name, value)),
                None => drop(members.insert(name.clone(), value.clone())),
            }
        }
        if self.places.is_empty() && !IN_QUERY.contains(&self.method.as_str()) {
            body = Some(Value::Object(members).to_string());
        }
        let text = format!("{}{}{}", template.before, path(&template, arguments)?, template.after);
        let mut url = Url::parse(&text).map_err(|_| "the tool's address is broken")?;
        for (name, value) in query {
            let values: Vec<String> = match value {
                Value::Array(values) => values.iter().filter_map(text_of).collect(),
                one => text_of(one).into_iter().collect(),
            };
            for value in values {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        if url.as_str().len() > FILLED_MAX {
            return Err("the arguments are too long for an address".to_owned());
        }
        Ok(Filled { url, headers, body })
    }
}

/// The path with its arguments. None of them can lead out of its segment.
fn path(template: &Template<'_>, arguments: &Map<String, Value>) -> Result<String, String> {
    let mut segments = Vec::new();
    for segment in template.path.split('/') {
        let mut filled = String::new();
        let mut rest = segment;
        while let Some((before, (name, after))) =
            rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            let value = arguments.get(name).and_then(text_of).filter(|text| !text.is_empty());
            let value = value.ok_or_else(|| missing(name))?;
            filled.push_str(before);
            filled.push_str(&encoded(&value));
            rest = after;
        }
        filled.push_str(rest);
        if segment.contains('{') && matches!(filled.as_str(), "." | "..") {
            return Err("an argument in the address must not be `.` or `..`".to_owned());
        }
        segments.push(filled);
    }
    Ok(segments.join("/"))
}
