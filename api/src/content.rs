//! What of a job, an answer or an event a caller may see, as [`Content`] says: the rest is taken out of it.

use rapport_common::{
    auth::Caller,
    domain::{event::Event, job::Job},
    tools::MEMORY_TOOLS,
};
use serde_json::Value;

use crate::policy::Content;

/// A job of another kind than a key's stays in lists, with its state and nothing it says.
pub fn job(caller: &Caller, mut job: Job) -> Job {
    if !Content::of_job(job.kind).is_for(caller) {
        (job.progress, job.result, job.error) = (None, None, None);
    }
    job.result = job.result.map(|result| answer(caller, result));
    job
}

/// An answer names the tools that were called, and what they were asked.
pub fn answer(caller: &Caller, mut answer: Value) -> Value {
    if !Content::Memories.is_for(caller)
        && let Some(calls) = answer.get_mut("tool_calls").and_then(Value::as_array_mut)
    {
        for call in calls {
            without_memories(call);
        }
    }
    answer
}

/// A call of a tool that looks into memory keeps its name and its outcome.
fn without_memories(call: &mut Value) {
    if call["name"].as_str().is_some_and(|name| MEMORY_TOOLS.contains(&name))
        && let Some(call) = call.as_object_mut()
    {
        for field in ["arguments", "result"] {
            call.entry(field).and_modify(|value| *value = Value::Null);
        }
    }
}

/// An event of a chat's stream.
pub fn event(caller: &Caller, mut event: Event) -> Event {
    if Content::Memories.is_for(caller) {
        return event;
    }
    match event.name.as_str() {
        "memory" => {
            for memory in event.data["memories"].as_array_mut().into_iter().flatten() {
                if let Some(memory) = memory.as_object_mut() {
                    memory.retain(|field, _| field == "id" || field == "score");
                }
            }
        }
        "tool_call" | "tool_result" => without_memories(&mut event.data),
        "done" => event.data = answer(caller, event.data),
        _ => {}
    }
    event
}

#[cfg(test)]
mod tests {
    use rapport_common::{
        auth::Proof,
        domain::{
            event::EventId,
            ids::{KeyId, UserId},
        },
    };
    use serde_json::json;

    use super::*;

    fn key(scopes: &[&str]) -> Caller {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        Caller {
            user: UserId::new(),
            proof: Proof::Key(KeyId::new(), Some(scopes)),
            role: rapport_common::domain::user::UserRole::User,
        }
    }

    #[test]
    fn streams_of_chats_keep_memories_from_keys_without_the_scope() {
        let called = json!({"id": "1", "name": "save_memory", "arguments": {"content": "quincunx"}});
        let told = json!({"id": "1", "name": "search_memory", "ok": true, "result": {"memories": ["quincunx"]}, "ms": 3});
        let done = json!({"reply": "heliotrope", "tool_calls": [
            {"name": "search_memory", "arguments": {"query": "quincunx"}, "ok": true, "ms": 3},
            {"name": "weather", "arguments": {"city": "Dhaka"}, "ok": true, "ms": 3}]});
        let recalled = json!({"memories": [{"id": "mem_1", "content": "quincunx", "score": 0.5}]});
        for (name, data) in
            [("memory", recalled), ("tool_call", called), ("tool_result", told), ("done", done)]
        {
            let before = Event::new(EventId::new(1, 1), name, data);
            assert_eq!(event(&key(&["chat", "memory"]), before.clone()), before);
            let seen = event(&key(&["chat"]), before.clone());
            assert_eq!((seen.id, &seen.name), (before.id, &before.name));
            let text = seen.data.to_string();
            assert!(!text.contains("quincunx") && text.len() > 20, "{name}: {text}");
            assert_eq!(text.contains("heliotrope") && text.contains("Dhaka"), name == "done", "{text}");
        }
    }
}
