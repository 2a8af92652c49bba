//! `search_memory` and `save_memory`: the model looks into its user's memory, and proposes what to keep. What it saves is
//! pending: a model's word is no evidence until the user confirms it.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Caller, Tool, ToolError, read, spec};
use crate::{
    Error,
    domain::{memory::MemoryType, texts::Content},
    memory::rank::Mode,
    providers::ToolSpec,
    usecase::{
        memory::{
            edit,
            search::{self, Document, Query},
        },
        settings,
    },
};

#[derive(Deserialize, JsonSchema)]
struct SearchArguments {
    /// What to look for, in plain words.
    query: String,
    /// How many, 1 to 20; 5 when absent.
    limit: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
struct SaveArguments {
    /// One fact about the user, as a short sentence.
    content: String,
    /// preference, fact, topic, relationship, goal or experience; fact when absent.
    memory_type: Option<String>,
    /// 0 to 1; 0.5 when absent.
    importance: Option<f64>,
}

struct SearchMemory(ToolSpec);
struct SaveMemory(ToolSpec);

/// The tools that look into memory or write it, by name.
pub const NAMES: [&str; 2] = ["search_memory", "save_memory"];

pub fn all() -> Vec<Arc<dyn Tool>> {
    let search = "Searches what is remembered of this user from earlier conversations.";
    let save = "Proposes one fact about the user to be remembered; the user confirms it later.";
    vec![
        Arc::new(SearchMemory(spec::<SearchArguments>(NAMES[0], search))),
        Arc::new(SaveMemory(spec::<SaveArguments>(NAMES[1], save))),
    ]
}

fn failed(error: Error) -> ToolError {
    // The detail is made for people outside; a cause is not told.
    ToolError(error.detail)
}

#[async_trait]
impl Tool for SearchMemory {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    fn needs_memory(&self) -> bool {
        true
    }

    async fn call(&self, caller: &Caller<'_>, arguments: Value) -> Result<Value, ToolError> {
        let SearchArguments { query, limit } = read(arguments)?;
        let (ctx, user) = (caller.ctx, caller.user);
        let text: String = query.chars().take(1_000).collect();
        if text.trim().is_empty() {
            return Err(ToolError("query must not be empty".to_owned()));
        }
        let mut conn = ctx.db.read().await.map_err(|error| failed(error.into()))?;
        let settings = settings::get(&mut conn, user).await.map_err(failed)?.memory_settings;
        drop(conn);
        let mode = if settings.enable_semantic_search { Mode::Hybrid } else { Mode::Keyword };
        let mut query = Query::memories(&text, limit.unwrap_or(5).clamp(1, 20), mode);
        query.without_private = settings.without_private(caller.inside);
        let hits = search::search(ctx, user, &query).await.map_err(failed)?;
        let found: Vec<Value> = hits
            .into_iter()
            .filter_map(|hit| match hit.document {
                Document::Memory(memory) if !memory.awaits_user() => Some(
                    json!({"content": memory.content, "type": memory.memory_type, "status": memory.status}),
                ),
                _ => None,
            })
            .collect();
        Ok(json!({"memories": found}))
    }
}

#[async_trait]
impl Tool for SaveMemory {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn needs_memory(&self) -> bool {
        true
    }

    async fn call(&self, caller: &Caller<'_>, arguments: Value) -> Result<Value, ToolError> {
        let SaveArguments { content, memory_type, importance } = read(arguments)?;
        let memory_type = memory_type.unwrap_or_else(|| MemoryType::Fact.to_string());
        if memory_type.parse::<MemoryType>().is_err() {
            return Err(ToolError(format!("memory_type {}", MemoryType::one_of())));
        }
        let content = Content::try_from(content).map_err(|wrong| failed(Error::field("content", wrong)))?;
        let draft = edit::Draft {
            content: Some(content),
            memory_type: Some(memory_type),
            importance: Some(importance.unwrap_or(0.5).clamp(0.0, 1.0)),
            ..edit::Draft::default()
        };
        let session = caller.session.ok_or_else(|| ToolError("there is no session".to_owned()))?;
        let (saved, note) =
            edit::propose(caller.ctx, caller.user, (session, caller.message), draft).await.map_err(failed)?;
        Ok(json!({"saved": saved, "note": note}))
    }
}
