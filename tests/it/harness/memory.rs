//! Memory as a client sees it; in production with Qdrant's protocol: the stand-in, or the server TEST_QDRANT_URL names.

use std::time::Duration;

use rapport_tests::StandIn;
use serde_json::{Value, json};

use super::{App, Stack, User, app::Builder, eventually, servers::unique};

/// Sweeps and windows come quickly, so that tests need not wait for a quiet minute.
pub fn quick(stack: Stack) -> Builder {
    App::builder(stack).env("QUEUE__SWEEP_SECONDS", "0.2").env("MEMORY__IDLE_SECONDS", "0.2")
}

/// An app whose production stack has an index outside the database. The stand-in lives as long as what is given.
pub async fn app(stack: Stack) -> (App, Option<StandIn>) {
    let (builder, stand_in) = with_index(stack, quick(stack)).await;
    (builder.start().await, stand_in)
}

pub async fn with_index(stack: Stack, builder: Builder) -> (Builder, Option<StandIn>) {
    if stack == Stack::Embedded {
        return (builder, None);
    }
    let (builder, index) = with_index_on_any(builder).await;
    (builder, index.stand_in)
}

/// An index outside the database, of one test alone.
pub struct Index {
    pub stand_in: Option<StandIn>,
    url: String,
    prefix: String,
}

impl Index {
    /// Leaves nothing behind on a server that lives on.
    pub async fn forget(&self) {
        if self.stand_in.is_none() {
            forget_collections(&self.url, &self.prefix).await;
        }
    }
}

/// The server that TEST_QDRANT_URL names, or the stand-in.
pub async fn qdrant_server() -> (String, Option<StandIn>) {
    if let Some(url) = std::env::var_os("TEST_QDRANT_URL") {
        return (url.into_string().unwrap(), None);
    }
    let stand_in = StandIn::default();
    let (address, _serving) = stand_in.clone().serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    (format!("http://{address}"), Some(stand_in))
}

/// Drops the collections that a test made on a real server.
pub async fn forget_collections(url: &str, prefix: &str) {
    let client = qdrant_client::Qdrant::from_url(url).build().unwrap();
    for one in client.list_collections().await.unwrap().collections {
        if one.name.starts_with(prefix) {
            client.delete_collection(one.name).await.unwrap();
        }
    }
}

/// Also on the stack that usually searches its own database.
pub async fn with_index_on_any(builder: Builder) -> (Builder, Index) {
    let prefix = unique("test");
    let (url, stand_in) = qdrant_server().await;
    let builder = builder.env("QDRANT__COLLECTION_PREFIX", &prefix).env("QDRANT_URL", &url);
    (builder, Index { stand_in, url, prefix })
}

const PATIENCE: Duration = Duration::from_secs(30);

impl User {
    /// Says something in a new session and waits until it was read.
    pub async fn tell(&self, text: &str) -> String {
        let session = self.chat(text).await["session_id"].as_str().unwrap().to_owned();
        self.until_read(&session).await;
        session
    }

    /// Waits until all of a session was read, or given up.
    pub async fn until_read(&self, session: &str) {
        let turns = self.messages(session).await;
        let last = turns.iter().rposition(|turn| turn["role"] == "user").unwrap() as i64 + 1;
        eventually(&format!("{session} is read"), PATIENCE, || async {
            let runs = self.get("/memory/extract/runs?limit=200").await.expect(200);
            let read = runs.as_array()?.iter().filter(|run| run["session_id"] == session);
            let to = read.filter_map(|run| run["to_seq"].as_i64()).max()?;
            (to >= last).then_some(())
        })
        .await;
    }

    pub async fn memories(&self, status: &str) -> Vec<Value> {
        let list = self.get(&format!("/memory?limit=200&status={status}")).await.expect(200);
        list["items"].as_array().unwrap().clone()
    }

    pub async fn memory(&self, content: &str) -> Value {
        let all = self.memories("all").await;
        let found = all.iter().find(|memory| memory["content"] == content);
        found.unwrap_or_else(|| panic!("no {content:?} in {:?}", contents(&all))).clone()
    }

    pub async fn add_memory(&self, content: &str) -> String {
        let memory = self.post("/memory", &json!({"content": content})).await.expect(201);
        memory["id"].as_str().unwrap().to_owned()
    }

    pub async fn verify(&self, id: &str, action: &str) -> Value {
        self.post(&format!("/memory/{id}/verify"), &json!({"action": action})).await.expect(200)
    }

    pub async fn search(&self, body: Value) -> Vec<Value> {
        self.post("/memory/search", &body).await.expect(200).as_array().unwrap().clone()
    }

    /// Waits until a search by meaning alone finds what is wanted: its vector, and point, are in.
    pub async fn until_found(&self, query: &str, content: &str) {
        eventually(&format!("{content:?} is found by meaning"), PATIENCE, || async {
            let hits = self.search(json!({"query": query, "mode": "semantic", "limit": 20})).await;
            hits.iter().any(|hit| hit["memory"]["content"] == content).then_some(())
        })
        .await;
    }
}

/// What memories say, sorted.
pub fn contents(memories: &[Value]) -> Vec<String> {
    let mut all: Vec<String> =
        memories.iter().map(|memory| memory["content"].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

pub fn id(memory: &Value) -> &str {
    memory["id"].as_str().unwrap()
}
