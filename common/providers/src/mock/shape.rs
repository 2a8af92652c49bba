//! The mock does as callers want: the form, the functions and the end they ask for.

use serde_json::{Value, json};

use super::{
    eyes::SEEING,
    plan::{Plan, words_of},
};
use crate::{
    ChatRequest, ProviderError, ToolCall,
    domain::prompt::is_image,
    error::IMAGES,
    wanted::{Choice, Format, Part, Wanted},
};

/// How deep an example of a schema goes.
const DEEPEST: usize = 8;

/// Refuses what is no text: the mock reads nothing else, but for one model that takes images.
pub fn check(wanted: Wanted<'_>) -> Result<(), ProviderError> {
    let sees = wanted.request.model.as_deref() == Some(SEEING);
    for part in wanted.request.messages.iter().filter_map(|message| message.parts.as_ref()).flatten() {
        if !(matches!(wanted.part(part)?, Part::Text(_)) || sees && is_image(part)) {
            return Err(wanted.refuse(IMAGES));
        }
    }
    Ok(())
}

/// What was planned, in the wanted form.
pub fn shape(wanted: Wanted<'_>, mut plan: Plan) -> Result<Plan, ProviderError> {
    let ChatRequest { tools, options, .. } = wanted.request;
    let wished = match wanted.choice()? {
        Some(Choice::Required) => tools.first(),
        Some(Choice::Named(name)) => tools.iter().find(|tool| tool.name == name),
        Some(Choice::Auto | Choice::None) | None => None,
    };
    if let Some(tool) = wished.filter(|tool| plan.calls.iter().all(|call| call.name != tool.name)) {
        let arguments = example(&tool.parameters, &tool.parameters, 0).to_string();
        let (id, name) = ("call_0_0".to_owned(), tool.name.clone());
        plan.calls = vec![ToolCall { id, name, arguments, signature: None }];
        plan.words.clear();
    }
    if options.parallel_tool_calls == Some(false) {
        plan.calls.truncate(1);
    }
    if !plan.calls.is_empty() {
        return Ok(plan);
    }
    let said = plan.words.concat();
    let is_json = serde_json::from_str::<Value>(&said).is_ok();
    // What reads conversations and memories has its own forms.
    match wanted.format()? {
        _ if wanted.request.schema.is_some() || is_json => {}
        Format::Text => {}
        Format::Json => plan.words = words_of(&json!({"reply": said}).to_string()),
        Format::Schema(schema) => plan.words = words_of(&example(schema, schema, 0).to_string()),
    }
    if let Some(stop) = &options.stop {
        let said = plan.words.concat();
        let end =
            stop.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| said.find(stop.as_str())).min();
        if let Some(end) = end {
            plan.words = words_of(&said[..end]);
        }
    }
    Ok(plan)
}

/// A small value of a schema. `root` holds what it refers to.
fn example(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Null;
    }
    let inner = |schema: &Value| example(schema, root, depth + 1);
    if let Some(reference) = schema["$ref"].as_str() {
        return root.pointer(reference.trim_start_matches('#')).map_or(Value::Null, inner);
    }
    for given in ["const", "default"] {
        if let Some(value) = schema.get(given) {
            return value.clone();
        }
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    for some in ["anyOf", "oneOf", "allOf"] {
        if let Some(one) =
            schema[some].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null"))
        {
            return inner(one);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("string") => json!("text"),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("array") => json!([inner(&schema["items"])]),
        Some("null") => Value::Null,
        _ => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            Value::Object(properties.map(|(name, of)| (name.clone(), inner(of))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_has_what_its_schema_asks_for() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"}, "age": {"type": ["integer", "null"], "minimum": 18},
                "kind": {"enum": ["a", "b"]}, "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
                "maybe": {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
            },
            "$defs": {"tag": {"type": "object", "properties": {"word": {"const": "x"}}}},
        });
        let expected =
            json!({"name": "text", "age": 18, "kind": "a", "tags": [{"word": "x"}], "maybe": true});
        assert_eq!(example(&schema, &schema, 0), expected);
        let endless = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert!(example(&endless, &endless, 0).is_object(), "it ends");
    }
}
