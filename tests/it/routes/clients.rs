//! Clients and frameworks of others, unmodified, against one service: openai-node, the AI SDK, MCP's TypeScript client, OpenAI's Agents
//! SDK, LangChain, `llm`, LlamaIndex. Those that have tests of their own: openai-python and Anthropic's (`openai`), MCP's Python client (`mcp`).

use std::process::Command;

use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack, binary::binary, node, python},
};

both_stacks!(clients_of_others_work_unmodified);

/// Runs parts of a script; each says that it is done.
async fn run(app: &App, key: &str, mut command: Command, parts: &[&str]) {
    command.args(parts).env("OPENAI_BASE_URL", format!("{}/v1", app.url(0))).env("OPENAI_API_KEY", key);
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), parts.len(), "{said}");
}

fn with_node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(node::script(script));
    command
}

fn with_python(script: &str) -> Command {
    let mut command = Command::new(python::tool("python"));
    command.arg(python::script(script));
    command
}

async fn clients_of_others_work_unmodified(stack: Stack) {
    // `/fail` fails once.
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "1").start().await;
    let user = app.user().await;
    let made =
        user.post("/api-keys", &json!({"name": "program", "scopes": ["chat", "memory"]})).await.expect(201);
    let key = made["key"].as_str().unwrap();
    let openai_node = ["chat", "stream", "tools", "responses", "background", "files", "embeddings", "errors"];
    let ai_sdk = ["text", "stream", "tools", "object", "embeddings", "errors"];
    let mut mcp = with_node("mcp_client.mjs");
    mcp.arg(format!("{}/mcp", app.url(0))).arg(key).arg(binary());
    let node = async {
        run(&app, key, with_node("openai_node.mjs"), &openai_node).await;
        run(&app, key, with_node("ai_sdk.mjs"), &ai_sdk).await;
        run(&app, key, with_node("use_chat.mjs"), &["reload", "cut"]).await;
        run(&app, key, mcp, &[]).await;
    };
    let python = async {
        run(&app, key, with_python("frameworks.py"), &["agents", "langchain", "llm"]).await;
        let mut llamaindex = with_python("llamaindex.py");
        llamaindex.env("PYTHONPATH", python::folder("llamaindex"));
        run(&app, key, llamaindex, &["chat"]).await;
    };
    tokio::join!(node, python);
}
