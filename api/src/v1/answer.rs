//! Answers in the form of OpenAI's chat completions, whole or in chunks.

use rapport_common::{
    clock,
    domain::{ids::JobId, message::Usage},
    error::{Code, Error},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// An answer, as OpenAI's clients expect it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Completion {
    /// `chatcmpl-` and the job's id.
    #[schema(example = "chatcmpl-06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: String,
    #[schema(example = "chat.completion")]
    object: &'static str,
    created: i64,
    /// Who answered: `provider/model`.
    #[schema(example = "mock/mock-1")]
    model: String,
    #[schema(value_type = Vec<Object>)]
    choices: Vec<Value>,
    usage: UsedTokens,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// What OpenAI's answers do not have.
    rapport: Beside,
}

#[derive(Debug, Clone, Copy, Default, Serialize, utoipa::ToSchema)]
pub struct UsedTokens {
    prompt_tokens: i64,
    completion_tokens: i64,
    total_tokens: i64,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Beside {
    /// One for each choice.
    job_ids: Vec<String>,
    session_id: Option<String>,
    message_id: Option<String>,
    memories_used: i64,
}

impl std::ops::AddAssign for UsedTokens {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.total_tokens += other.total_tokens;
    }
}

/// One answer as its job has it: the data of `done`.
#[derive(Clone)]
pub struct Said(pub Value);

impl Said {
    pub fn usage(&self) -> UsedTokens {
        let usage: Usage = serde_json::from_value(self.0["usage"].clone()).unwrap_or_default();
        let Usage { prompt_tokens, completion_tokens, total_tokens, .. } = usage;
        UsedTokens { prompt_tokens, completion_tokens, total_tokens }
    }

    pub fn model(&self) -> String {
        let text = |field: &str| self.0[field].as_str().unwrap_or_default();
        format!("{}/{}", text("provider"), text("model"))
    }

    pub fn text(&self) -> &str {
        self.0["reply"].as_str().unwrap_or_default()
    }

    pub fn calls(&self) -> Vec<Value> {
        let calls = self.0["calls"].as_array().into_iter().flatten();
        calls
            .map(|call| {
                json!({"id": call["id"], "type": "function",
                       "function": {"name": call["name"], "arguments": call["arguments"]}})
            })
            .collect()
    }

    /// How likely its tokens were; null if nobody wanted to know.
    fn logprobs(&self) -> Value {
        match &self.0["logprobs"] {
            Value::Array(all) => json!({"content": all, "refusal": null}),
            _ => Value::Null,
        }
    }

    /// Why it ended, in OpenAI's words. An error: somebody cancelled it, and it is no answer.
    pub fn finish(&self) -> Result<&'static str, Error> {
        match self.0["finish_reason"].as_str() {
            _ if !self.calls().is_empty() => Ok("tool_calls"),
            Some("length") => Ok("length"),
            Some("content_filter") => Ok("content_filter"),
            Some("cancelled") => Err(cancelled()),
            _ => Ok("stop"),
        }
    }

    fn choice(&self, index: usize) -> Result<Value, Error> {
        let calls = self.calls();
        let content =
            if self.text().is_empty() && !calls.is_empty() { Value::Null } else { json!(self.text()) };
        let mut message =
            json!({"role": "assistant", "content": content, "refusal": null, "annotations": []});
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        Ok(
            json!({"index": index, "message": message, "logprobs": self.logprobs(), "finish_reason": self.finish()?}),
        )
    }
}

pub fn cancelled() -> Error {
    Error::new(Code::WrongState, "The answer was cancelled.")
}

/// `job_06…` as `chatcmpl-06…`.
pub fn completion_id(job: JobId) -> String {
    job.to_string().replacen("job_", "chatcmpl-", 1)
}

pub fn whole(
    jobs: &[JobId],
    said: &[Said],
    metadata: Option<Map<String, Value>>,
) -> Result<Completion, Error> {
    let none = || Error::internal("a request without an answer");
    let (job, first) = jobs.first().zip(said.first()).ok_or_else(none)?;
    let mut usage = UsedTokens::default();
    let mut choices = Vec::new();
    for (index, one) in said.iter().enumerate() {
        usage += one.usage();
        choices.push(one.choice(index)?);
    }
    let text = |field: &str| first.0[field].as_str().map(str::to_owned);
    let session_id = text("session_id");
    Ok(Completion {
        id: completion_id(*job),
        object: "chat.completion",
        created: clock::now().timestamp(),
        model: first.model(),
        choices,
        usage,
        metadata,
        rapport: Beside {
            job_ids: jobs.iter().map(JobId::to_string).collect(),
            message_id: text("message_id").filter(|_| session_id.is_some()),
            session_id,
            memories_used: first.0["memories_used"].as_i64().unwrap_or(0),
        },
    })
}

/// What all chunks of a stream say.
#[derive(Clone)]
pub struct Chunks {
    pub id: String,
    pub created: i64,
    pub model: String,
    /// Then all chunks name the usage, and all but the last say null.
    pub include_usage: bool,
}

impl Chunks {
    fn chunk(&self, choices: Value) -> Value {
        let Self { id, created, model, .. } = self;
        let mut chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": created, "model": model, "choices": choices,
        });
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    pub fn delta(&self, index: usize, delta: Value) -> Value {
        self.chunk(json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": null}]))
    }

    pub fn begin(&self, index: usize) -> Value {
        self.delta(index, json!({"role": "assistant", "content": "", "refusal": null}))
    }

    /// What comes after the last word.
    pub fn end(&self, index: usize, said: &Said) -> Result<Vec<Value>, Error> {
        let mut chunks = Vec::new();
        let finish = said.finish()?;
        let calls = said.calls();
        if !calls.is_empty() {
            let numbered = calls.into_iter().enumerate().map(|(number, mut call)| {
                call["index"] = json!(number);
                call
            });
            chunks.push(self.delta(index, json!({"tool_calls": numbered.collect::<Vec<_>>()})));
        }
        chunks.push(
            // All at once: a word that came may still be taken back, and its figures with it.
            self.chunk(
                json!([{"index": index, "delta": {}, "logprobs": said.logprobs(), "finish_reason": finish}]),
            ),
        );
        Ok(chunks)
    }

    pub fn usage(&self, usage: UsedTokens) -> Value {
        let mut chunk = self.chunk(json!([]));
        chunk["usage"] = json!(usage);
        chunk
    }
}
