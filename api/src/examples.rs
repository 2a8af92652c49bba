//! An example for every body in the description, made of what its schema says.

use serde_json::{Map, Value, json};

/// Adds examples to request bodies and good answers that have none.
pub fn add(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        if let Some(content) = operation.pointer_mut("/requestBody/content") {
            add_to(content, &schemas);
        }
        let Some(responses) = operation["responses"].as_object_mut() else { continue };
        for (_, response) in responses.iter_mut().filter(|(status, _)| status.starts_with('2')) {
            if let Some(content) = response.get_mut("content") {
                add_to(content, &schemas);
            }
        }
    }
}

fn add_to(content: &mut Value, schemas: &Value) {
    for (media, one) in content.as_object_mut().into_iter().flatten() {
        let described = one.get("example").is_some() || one.get("examples").is_some();
        if !described && media.contains("json") {
            one["example"] = of(&one["schema"], schemas, 0);
        }
    }
}

fn of(schema: &Value, schemas: &Value, depth: usize) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        return if depth > 6 { Value::Null } else { of(&schemas[name], schemas, depth + 1) };
    }
    for given in ["example", "default", "const"] {
        if let Some(value) = schema.get(given) {
            return value.clone();
        }
    }
    if let Some(first) = schema["enum"].get(0).or(schema["examples"].get(0)) {
        return first.clone();
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let all = parts.iter().filter_map(|part| of(part, schemas, depth + 1).as_object().cloned());
        return Value::Object(all.flatten().collect());
    }
    for either in ["oneOf", "anyOf"] {
        let some = schema[either].as_array().into_iter().flatten().find(|one| one["type"] != "null");
        if let Some(some) = some {
            return of(some, schemas, depth + 1);
        }
    }
    let types = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
    // What may be absent is shown absent, unless the schema has an example for it.
    if types.iter().any(|kind| kind == "null") {
        return Value::Null;
    }
    match types.first().and_then(Value::as_str) {
        Some("array") => json!([of(&schema["items"], schemas, depth + 1)]),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("number") => json!(0.5),
        Some("boolean") => json!(true),
        Some("string") if schema["format"] == "date-time" => json!("2026-11-21T09:00:00.000Z"),
        Some("string") => json!("text"),
        _ => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let some = properties.map(|(name, of_it)| (name.clone(), of(of_it, schemas, depth + 1)));
            Value::Object(some.filter(|(_, value)| !value.is_null()).collect())
        }
    }
}
