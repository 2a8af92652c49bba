//! What a client may show its user to pick from, and read: memories, and conversations.

use axum::{Json as Answer, extract::State};
use futures::StreamExt;
use rapport_common::{
    Error, auth,
    domain::{ids::SessionId, user::Scope},
    store::{
        self,
        sessions::{Filter, Part},
    },
};
use serde_json::{Value, json};

use crate::{
    error::Result,
    extract::{Caller, ListQuery, MemoryPath, Query, Start},
    handlers::{
        memory::{crud, list, memory_id},
        session_export,
    },
    state::AppState,
};

const MEMORY: &str = "memory://";
const SESSION: &str = "session://";
/// Of each kind in one answer.
const PAGE: i64 = 50;
/// Bytes of a conversation that are given: what is longer is for an export.
const MOST: usize = 1 << 20;
/// Characters of a memory in its name.
const NAME: usize = 80;

/// One page of what the caller may read. A cursor is how many of each kind came before.
pub async fn listed(state: &AppState, caller: &auth::Caller, cursor: &Value) -> Result<Value> {
    let skip = cursor.as_str().and_then(|text| text.parse().ok()).unwrap_or(0).clamp(0, 10_000_000);
    let (mut resources, mut more) = (Vec::new(), false);
    if caller.may(Scope::Memory) {
        let (at, who) = (State(state.clone()), Caller(caller.clone()));
        let page = ListQuery { limit: PAGE, start: Start::Skip(skip) };
        let filter = serde_json::from_value(json!({})).map_err(Error::internal)?;
        let Answer(page) = list::list(at, who, Query(filter), page).await?;
        let page = serde_json::to_value(page).map_err(Error::internal)?;
        more |= !page["next_cursor"].is_null();
        resources.extend(page["items"].as_array().into_iter().flatten().map(|memory| {
            let content: String = memory["content"].as_str().unwrap_or_default().chars().take(NAME).collect();
            let id = memory["id"].as_str().unwrap_or_default();
            let about = format!("A memory, {}", memory["status"].as_str().unwrap_or_default());
            json!({"uri": format!("{MEMORY}{id}"), "name": content, "description": about, "mimeType": "application/json"})
        }));
    }
    if caller.may(Scope::Chat) {
        let filter = Filter { status: "active".to_owned(), project: None, q: None };
        let mut conn = state.ctx.db.read().await?;
        let (sessions, total) =
            store::sessions::list(&mut conn, caller.user, &filter, &Part { after: None, limit: PAGE, skip })
                .await?;
        more |= total > skip + PAGE;
        resources.extend(sessions.into_iter().map(|session| {
            let name = if session.title.is_empty() { "A conversation".to_owned() } else { session.title };
            json!({"uri": format!("{SESSION}{}", session.id), "name": name, "description": "A conversation",
                   "mimeType": "text/markdown"})
        }));
    }
    let mut page = json!({"resources": resources});
    if more {
        page["nextCursor"] = json!((skip + PAGE).to_string());
    }
    Ok(page)
}

/// How what is not listed is called.
pub fn templates(caller: &auth::Caller) -> Value {
    let mut templates = Vec::new();
    if caller.may(Scope::Memory) {
        templates
            .push(json!({"uriTemplate": "memory://{id}", "name": "memory", "mimeType": "application/json",
                              "description": "A memory with the sentence it came from"}));
    }
    if caller.may(Scope::Chat) {
        templates
            .push(json!({"uriTemplate": "session://{id}", "name": "session", "mimeType": "text/markdown",
                              "description": "A conversation with the user's assistant"}));
    }
    json!({"resourceTemplates": templates})
}

/// What a resource says. What is not there, another's, or beyond the key's scopes is 404.
pub async fn read(state: &AppState, caller: &auth::Caller, uri: &str) -> Result<Value> {
    let (kind, text) = if let Some(id) = uri.strip_prefix(MEMORY).filter(|_| caller.may(Scope::Memory)) {
        let (at, who) = (State(state.clone()), Caller(caller.clone()));
        let none = serde_json::from_value(json!({})).map_err(Error::internal)?;
        let Answer(memory) = crud::get(at, who, MemoryPath(memory_id(id)?), Query(none)).await?;
        ("application/json", serde_json::to_string(&memory).map_err(Error::internal)?)
    } else if let Some(id) = uri.strip_prefix(SESSION).filter(|_| caller.may(Scope::Chat)) {
        ("text/markdown", conversation(state, caller, id).await?)
    } else {
        return Err(Error::not_found("resource").into());
    };
    Ok(json!({"contents": [{"uri": uri, "mimeType": kind, "text": text}]}))
}

async fn conversation(state: &AppState, caller: &auth::Caller, id: &str) -> Result<String> {
    let id: SessionId = id.parse().map_err(|_| Error::not_found("session"))?;
    let session = store::sessions::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    let session = session.ok_or_else(|| Error::not_found("session"))?;
    let mut pieces = std::pin::pin!(session_export::pieces(state.ctx.clone(), caller.user, session, true));
    let mut text = String::new();
    while let Some(piece) = pieces.next().await {
        text.push_str(&String::from_utf8_lossy(&piece?));
        if text.len() > MOST {
            text.truncate(text.floor_char_boundary(MOST));
            text.push_str("\n\n(Here it is cut off: export the conversation for the rest.)\n");
            break;
        }
    }
    Ok(text)
}
