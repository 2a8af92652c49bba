//! Tools from an OpenAPI document (3.0 or 3.1, as JSON): each operation with an `operationId` is one.
//! <https://spec.openapis.org/oas/v3.1.1.html>
//!
//! Parameters become arguments of their names; the body, if it is JSON, the argument `body`. What cannot be called that way
//! is told, with the reason.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Definition, Described, METHODS, Place,
    definition::is_free,
    schema::{Inliner, resolved},
};
use crate::error::{Error, Result, Wrong};

/// Headers that OpenAPI says are not parameters.
const NO_PARAMETERS: [&str; 3] = ["accept", "content-type", "authorization"];
const BODY: &str = "body";

/// Bytes of a server's address, with its variables filled in.
const ADDRESS_MAX: usize = 2_000;
/// Parameters of one operation, those of its path among them.
const PARAMETERS_AT_MOST: usize = 100;
/// Operations that are looked at: many more than a project has tools.
const OPERATIONS_MAX: usize = 1_000;

/// An operation that became no tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub operation: String,
    pub reason: String,
}

#[derive(Debug, Default)]
pub struct Found {
    pub tools: Vec<Definition>,
    pub skipped: Vec<Skipped>,
}

/// An operation within its document.
struct Operation<'a> {
    document: &'a Value,
    /// What is said for all operations of the path.
    item: &'a Value,
    path: &'a str,
    method: String,
    operation: &'a Value,
}

/// The tools of a document; of the named operations only, if any are named.
pub fn tools(document: &Value, base_url: Option<&str>, wanted: Option<&[String]>) -> Result<Found> {
    let version = document["openapi"].as_str().unwrap_or_default();
    let (true, Some(paths)) = (version.starts_with("3."), document["paths"].as_object()) else {
        return Err(Error::field("document", Wrong::Form("must be an OpenAPI document, version 3, as JSON")));
    };
    let mut found = Found::default();
    let mut seen: Vec<&str> = Vec::new();
    for (path, item) in paths {
        let Ok(item) = resolved(document, item) else {
            let reason = "its path refers to what is not in the document".to_owned();
            found.skipped.push(Skipped { operation: path.clone(), reason });
            continue;
        };
        for method in METHODS {
            let Some(operation) = item.get(method.to_lowercase()) else { continue };
            let id = operation["operationId"].as_str();
            if id.is_none() && wanted.is_some() || id.is_some_and(|id| !is_wanted(id, wanted)) {
                continue;
            }
            let Some(id) = id else {
                let reason = "it has no operationId".to_owned();
                found.skipped.push(Skipped { operation: format!("{method} {path}"), reason });
                continue;
            };
            if seen.len() >= OPERATIONS_MAX {
                let wrong = Wrong::Form("must have at most 1000 operations: name those you want");
                return Err(Error::field("document", wrong));
            }
            seen.push(id);
            let operation = Operation { document, item, path, method: (*method).to_owned(), operation };
            match operation.tool(id, base_url) {
                Ok(tool) if found.tools.iter().any(|other| other.name == tool.name) => {
                    let reason = "another operation has its name".to_owned();
                    found.skipped.push(Skipped { operation: id.to_owned(), reason });
                }
                Ok(tool) => found.tools.push(tool),
                Err(reason) => found.skipped.push(Skipped { operation: id.to_owned(), reason }),
            }
        }
    }
    for id in wanted.into_iter().flatten().filter(|id| !seen.contains(&id.as_str())) {
        let reason = "there is no such operation".to_owned();
        found.skipped.push(Skipped { operation: id.clone(), reason });
    }
    Ok(found)
}

fn is_wanted(id: &str, wanted: Option<&[String]>) -> bool {
    wanted.is_none_or(|wanted| wanted.iter().any(|one| one == id))
}

/// Letters, digits, `_` and `-`, as providers want names.
fn plain(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' };
    id.chars().map(plain).take(64).collect()
}

/// What a tool takes, as it is put together.
#[derive(Default)]
struct Arguments {
    properties: Map<String, Value>,
    required: Vec<String>,
    places: BTreeMap<String, Place>,
}

impl Arguments {
    fn add(&mut self, name: &str, schema: Value, place: Place, required: bool) -> Result<(), String> {
        if self.places.insert(name.to_owned(), place).is_some() {
            return Err(format!("it has two arguments `{name}`"));
        }
        self.properties.insert(name.to_owned(), schema);
        if required {
            self.required.push(name.to_owned());
        }
        Ok(())
    }
}

impl<'a> Operation<'a> {
    fn tool(&self, id: &str, base_url: Option<&str>) -> Result<Definition, String> {
        let mut arguments = Arguments::default();
        let mut inliner = Inliner::new(self.document);
        for parameter in self.parameters()? {
            self.parameter(parameter, &mut inliner, &mut arguments)?;
        }
        self.body(&mut inliner, &mut arguments)?;
        let texts = ["summary", "description"].map(|key| self.operation[key].as_str().unwrap_or_default());
        let description: String =
            texts.join("\n").trim().chars().filter(|c| *c != '\0').take(1_000).collect();
        let described = Described {
            name: plain(id),
            description,
            parameters: Some(json!({
                "type": "object", "properties": arguments.properties, "required": arguments.required,
                "additionalProperties": false,
            })),
            url: format!("{}{}", self.server(base_url)?.trim_end_matches('/'), self.path),
            method: Some(self.method.clone()),
            ..Described::default()
        };
        let mut tool = Definition::of(described).map_err(|error| error.detail)?;
        tool.places = arguments.places;
        Ok(tool)
    }

    /// Those of the path, and over them those of the operation.
    fn parameters(&self) -> Result<Vec<&'a Value>, String> {
        let mut all: Vec<&Value> = Vec::new();
        let lists = [&self.item["parameters"], &self.operation["parameters"]];
        if lists.iter().filter_map(|list| list.as_array()).map(Vec::len).sum::<usize>() > PARAMETERS_AT_MOST {
            return Err(format!("it has more than {PARAMETERS_AT_MOST} parameters"));
        }
        for list in lists {
            for parameter in list.as_array().into_iter().flatten() {
                let parameter = resolved(self.document, parameter)?;
                let same =
                    |other: &&Value| other["name"] == parameter["name"] && other["in"] == parameter["in"];
                all.retain(|other| !same(other));
                all.push(parameter);
            }
        }
        Ok(all)
    }

    fn parameter(
        &self,
        parameter: &'a Value,
        inliner: &mut Inliner<'a>,
        arguments: &mut Arguments,
    ) -> Result<(), String> {
        let name = parameter["name"].as_str().unwrap_or_default();
        let required = parameter["required"] == true;
        let place = match parameter["in"].as_str().unwrap_or_default() {
            "path" => Place::Path,
            "query" => Place::Query,
            "header" if NO_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) => return Ok(()),
            "header" if is_free(name) => Place::Header,
            _ if !required => return Ok(()),
            other => return Err(format!("its {other} parameter `{name}` cannot be sent")),
        };
        let content = || parameter["content"].as_object()?.values().next()?.get("schema");
        let mut schema = match parameter.get("schema").or_else(content) {
            Some(schema) => inliner.inline(schema)?,
            None => json!({}),
        };
        if let (Some(schema), Some(said)) = (schema.as_object_mut(), parameter["description"].as_str()) {
            schema.insert("description".to_owned(), json!(said));
        }
        arguments.add(name, schema, place, required || place == Place::Path)
    }

    fn body(&self, inliner: &mut Inliner<'a>, arguments: &mut Arguments) -> Result<(), String> {
        let Some(body) = self.operation.get("requestBody") else { return Ok(()) };
        let body = resolved(self.document, body)?;
        let is_json = |kind: &str| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind == "application/json" || kind == "*/*" || kind.ends_with("+json")
        };
        let content = body["content"].as_object();
        let json = content.and_then(|content| content.iter().find(|(kind, _)| is_json(kind)));
        match json {
            Some((_, media)) => {
                let schema = media.get("schema").map(|schema| inliner.inline(schema));
                let schema = schema.transpose()?.unwrap_or_else(|| json!({}));
                arguments.add(BODY, schema, Place::Body, body["required"] == true)
            }
            None if body["required"] == true => Err("its body is not JSON".to_owned()),
            None => Ok(()),
        }
    }

    /// The address before the path: as its owner says, or the first server that is named nearest.
    fn server(&self, base_url: Option<&str>) -> Result<String, String> {
        if let Some(base) = base_url {
            return Ok(base.to_owned());
        }
        let nearest =
            [self.operation, self.item, self.document].into_iter().find_map(|place| place["servers"].get(0));
        let server = nearest.ok_or("the document names no server: give a `base_url`")?;
        let mut url = server["url"].as_str().unwrap_or_default().to_owned();
        let long = || "its server's address is too long".to_owned();
        for (name, variable) in server["variables"].as_object().into_iter().flatten() {
            let value = variable["default"].as_str().unwrap_or_default();
            // Variables within variables grow by their product: looked at after each.
            if url.len() > ADDRESS_MAX || value.len() > ADDRESS_MAX {
                return Err(long());
            }
            url = url.replace(&format!("{{{name}}}"), value);
        }
        if url.len() > ADDRESS_MAX {
            return Err(long());
        }
        if url.starts_with("http://") || url.starts_with("https://") {
            Ok(url)
        } else {
            Err("its server has no whole address: give a `base_url`".to_owned())
        }
    }
}
