//! Schemas of an OpenAPI document as plain JSON Schema: references are written out, what only OpenAPI knows is left out.

use serde_json::{Map, Value};

use super::definition::PARAMETERS_MAX;

/// What says nothing to a model, or nothing in JSON Schema.
const LEFT_OUT: [&str; 9] = [
    "example",
    "examples",
    "xml",
    "externalDocs",
    "discriminator",
    "deprecated",
    "readOnly",
    "writeOnly",
    "nullable",
];
/// Schemas by name; schemas in a list; one schema.
const BY_NAME: [&str; 3] = ["properties", "patternProperties", "dependentSchemas"];
const IN_LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const ONE: [&str; 8] =
    ["items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"];
const DEEP: usize = 24;
/// Schemas within schemas. What is stored must be read again: serde_json reads 127 levels, two for each of these.
const NESTED: usize = 40;

/// Writes schemas out, so many in all, and so many bytes.
pub struct Inliner<'a> {
    document: &'a Value,
    left: usize,
    bytes: usize,
    depth: usize,
    /// References that are being written out: one within itself stays open.
    within: Vec<&'a str>,
}

impl<'a> Inliner<'a> {
    pub fn new(document: &'a Value) -> Self {
        Self { document, left: 2_000, bytes: 4 * PARAMETERS_MAX, depth: 0, within: Vec::new() }
    }

    pub fn inline(&mut self, schema: &'a Value) -> Result<Value, String> {
        if self.depth >= NESTED {
            return Err("its schema is nested too deep".to_owned());
        }
        self.depth += 1;
        let inlined = self.inline_here(schema);
        self.depth -= 1;
        inlined
    }

    /// Takes so many bytes from what may be written.
    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or("its schema is too large")?;
        Ok(())
    }

    /// A value that is no schema, counted before it is copied: a reference may name it again and again.
    fn copied(&mut self, value: &Value) -> Result<Value, String> {
        self.spend(value.to_string().len())?;
        Ok(value.clone())
    }

    fn inline_here(&mut self, schema: &'a Value) -> Result<Value, String> {
        let Some(object) = schema.as_object() else { return self.copied(schema) };
        self.left = self.left.checked_sub(1).ok_or("its schema is too large")?;
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            if self.within.contains(&reference) || self.within.len() >= DEEP {
                return Ok(Value::Object(Map::new()));
            }
            let target = followed(self.document, reference)?;
            self.within.push(reference);
            let inlined = self.inline(target);
            self.within.pop();
            return inlined;
        }
        let mut out = Map::new();
        for (key, value) in object {
            let key = key.as_str();
            let written = match value {
                _ if LEFT_OUT.contains(&key) || key.starts_with("x-") || key.starts_with('$') => continue,
                Value::Object(schemas) if BY_NAME.contains(&key) => {
                    let mut all = Map::new();
                    for (name, schema) in schemas {
                        self.spend(name.len())?;
                        all.insert(name.clone(), self.inline(schema)?);
                    }
                    Value::Object(all)
                }
                Value::Array(schemas) if IN_LIST.contains(&key) => {
                    let all: Result<Vec<Value>, String> =
                        schemas.iter().map(|schema| self.inline(schema)).collect();
                    Value::Array(all?)
                }
                Value::Object(_) if ONE.contains(&key) => self.inline(value)?,
                // OpenAPI 3.0 has them as marks beside the bound.
                Value::Bool(_) if key == "exclusiveMinimum" || key == "exclusiveMaximum" => continue,
                other => self.copied(other)?,
            };
            self.spend(key.len())?;
            out.insert(key.to_owned(), written);
        }
        if object.get("nullable") == Some(&Value::Bool(true))
            && let Some(Value::String(kind)) = out.get("type").cloned()
        {
            out.insert("type".to_owned(), serde_json::json!([kind, "null"]));
        }
        Ok(Value::Object(out))
    }
}

/// What a reference within the document leads to.
pub fn followed<'a>(document: &'a Value, reference: &str) -> Result<&'a Value, String> {
    let pointer = reference.strip_prefix('#').ok_or("it refers to another document")?;
    document.pointer(pointer).ok_or_else(|| "it refers to what is not in the document".to_owned())
}

/// The value itself, or what it refers to.
pub fn resolved<'a>(document: &'a Value, value: &'a Value) -> Result<&'a Value, String> {
    let mut value = value;
    for _ in 0..DEEP {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => value = followed(document, reference)?,
            None => return Ok(value),
        }
    }
    Err("its references go round in a circle".to_owned())
}
