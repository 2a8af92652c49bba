//! Answers in the form of Anthropic's messages.

use rapport_common::{Error, domain::ids::JobId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::v1::answer::{Said, cancelled};

/// An answer, as Anthropic's clients expect it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AnthropicMessage {
    /// `msg_` and the job's id.
    #[schema(example = "msg_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: String,
    #[serde(rename = "type")]
    #[schema(example = "message")]
    kind: &'static str,
    #[schema(example = "assistant")]
    role: &'static str,
    /// Who answered: `provider/model`.
    #[schema(example = "mock/mock-1")]
    model: String,
    #[schema(value_type = Vec<Object>)]
    content: Vec<Value>,
    #[schema(example = "end_turn")]
    stop_reason: &'static str,
    stop_sequence: Option<String>,
    #[schema(value_type = Object)]
    usage: Value,
}

pub fn message_id(job: JobId) -> String {
    job.to_string().replacen("job_", "msg_", 1)
}

pub fn whole(job: JobId, said: &Said) -> Result<AnthropicMessage, Error> {
    let mut content = Vec::new();
    let calls = calls(said);
    if !said.text().is_empty() || calls.is_empty() {
        content.push(json!({"type": "text", "text": said.text(), "citations": null}));
    }
    content.extend(calls);
    Ok(AnthropicMessage {
        id: message_id(job),
        kind: "message",
        role: "assistant",
        model: said.model(),
        content,
        stop_reason: stop_reason(said)?,
        stop_sequence: None,
        usage: usage(said),
    })
}

/// Calls of the client's functions. What a model wrote that is no object comes as an object that holds it.
pub fn calls(said: &Said) -> Vec<Value> {
    let calls = said.0["calls"].as_array().into_iter().flatten();
    calls
        .map(|call| {
            let text = call["arguments"].as_str().unwrap_or_default();
            let input: Value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
            let input = if input.is_object() { input } else { json!({"arguments": input}) };
            json!({"type": "tool_use", "id": call["id"], "name": call["name"], "input": input})
        })
        .collect()
}

pub fn stop_reason(said: &Said) -> Result<&'static str, Error> {
    match said.finish()? {
        "length" => Ok("max_tokens"),
        "tool_calls" => Ok("tool_use"),
        "content_filter" => Ok("refusal"),
        "stop" => Ok("end_turn"),
        _ => Err(cancelled()),
    }
}

pub fn usage(said: &Said) -> Value {
    let count = |field: &str| said.0["usage"][field].as_i64().unwrap_or(0);
    json!({"input_tokens": count("prompt_tokens"), "output_tokens": count("completion_tokens")})
}
