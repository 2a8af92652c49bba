//! MCP servers that requests to `/v1/responses` name, as OpenAI's clients use them; and what such a server may do.

use serde_json::{Value, json};

use super::{
    openai::{key, run_with},
    tools::mcp_over_http,
};
use crate::{
    both_stacks,
    harness::{
        App, Stack, User, dump,
        replay::{Replay, Reply, Seen},
        servers::{folder, unique},
    },
};

both_stacks!(
    openai_python_calls_mcp_servers,
    what_is_longer_than_a_model_reads,
    a_server_may_do_what_it_wants
);

const HERE: &str = r#"["127.0.0.1"]"#;

async fn openai_python_calls_mcp_servers(stack: Stack) {
    let folder = folder().join(unique("mcp"));
    std::fs::create_dir_all(&folder).unwrap();
    let (server, url) = mcp_over_http(&folder);
    let app = App::builder(stack).env("TOOLS__HOSTS", HERE).env("RUST_LOG", "debug,sqlx=info").start().await;
    let user = app.user().await;
    let key = key(&user, &["chat"]).await;
    let parts = ["called", "functions", "files", "streamed", "approved", "agents", "errors"];
    run_with(&app, &key, "openai_mcp.py", (&parts, &[("MCP_URL", &url)])).await;
    let written = std::fs::read_to_string(folder.join("http.txt")).unwrap();
    assert_eq!(
        written, "approved\napproved\nin a conversation\nby an item\nby one that fails\nby an agent\n",
        "what was not allowed was not called"
    );
    // Keys and addresses are sealed while they are needed, and told to nobody but their server.
    let stored = dump::everything(&app.db().await).await;
    let port = url.split(['/', ':']).nth(4).unwrap();
    for secret in ["quincunx-token", &format!(":{port}/mcp")] {
        assert!(!stored.contains(secret), "{secret} is stored");
        for process in app.apis.iter().chain(&app.workers) {
            assert!(!process.output().contains(secret), "{secret} is logged");
        }
    }
    drop(server);
}

async fn what_is_longer_than_a_model_reads(stack: Stack) {
    let models = json!([{"name": "mock-1", "context_tokens": 300}]);
    let app = App::builder(stack).env("AI_SERVICES__MODELS", models).start().await;
    let user = app.user().await;
    let key = key(&user, &["chat"]).await;
    run_with(&app, &key, "openai_mcp.py", (&["truncated"], &[])).await;
}

/// Speaks MCP, with so many tools.
fn speaks(seen: &Seen, tools: usize) -> Reply {
    match speaks_of(seen, tools) {
        Value::Null => Reply::new(202, "text/plain", ""),
        told => Reply::json(200, told),
    }
}

fn speaks_of(seen: &Seen, tools: usize) -> Value {
    let asked = seen.json();
    let result = match asked["method"].as_str() {
        Some("initialize") => {
            json!({"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                   "serverInfo": {"name": "odd", "version": "1"}})
        }
        Some("tools/list") => {
            let tool = |n: usize| json!({"name": format!("t{n}"), "inputSchema": {"type": "object"}});
            json!({"tools": (0..tools).map(tool).collect::<Vec<_>>()})
        }
        Some("tools/call") => {
            json!({"content": [{"type": "text", "text": "x\u{0}y".repeat(9_000)}]})
        }
        _ => return Value::Null,
    };
    json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})
}

async fn a_server_may_do_what_it_wants(stack: Stack) {
    let server = Replay::start(|seen, _| match seen.line.split('/').nth(1).unwrap() {
        "rubbish" => Reply::json(200, "not { json"),
        "page" => Reply::new(200, "text/html", "<p>Hello"),
        "elsewhere" => Reply::new(307, "text/plain", "").header("location", "http://127.0.0.1:9/"),
        "refuses" => Reply::json(401, json!({"error": "no"})),
        "silent" => Reply { hangs_before: true, ..Reply::json(200, "") },
        "thousands" => speaks(seen, 3_000),
        "pings" if seen.json()["method"] == "tools/call" => {
            let ping = |n: usize| json!({"jsonrpc": "2.0", "id": format!("p{n}"), "method": "ping"});
            let event = |message: Value| format!("data: {message}\n\n");
            let pings: String = (0..20_000).map(|n| event(ping(n))).collect();
            Reply::sse(pings + &event(speaks_of(seen, 3)))
        }
        "pings" if seen.line.starts_with("GET") => Reply { hangs_after: true, ..Reply::sse("") },
        "pings" => speaks(seen, 3).header("mcp-session-id", "one"),
        _ => speaks(seen, 3),
    })
    .await;
    let app = App::builder(stack).env("TOOLS__HOSTS", HERE).start().await;
    let user = app.user().await;
    let v1 = User { base: user.base.replace("/api/v1", "/v1"), ..user.clone() };
    let ask = async |path: &str, input: &str, more: Value| {
        let mut tool = json!({"type": "mcp", "server_label": "odd", "server_url": format!("{}/{path}", server.url), "require_approval": "never"});
        tool.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        v1.post("/responses", &json!({"model": "mock", "input": input, "tools": [tool]})).await
    };
    let refused = |path: &'static str| {
        let asked = ask(path, "/echo x", json!({}));
        async move { asked.await.expect(424)["error"]["message"].as_str().unwrap().to_owned() }
    };
    let (rubbish, page, elsewhere, refuses, silent, thousands) = tokio::join!(
        refused("rubbish"),
        refused("page"),
        refused("elsewhere"),
        refused("refuses"),
        refused("silent"),
        refused("thousands"),
    );
    for told in [rubbish, page, elsewhere, refuses] {
        assert!(told.contains("'odd'") && told.contains("is no MCP server"), "{told}");
    }
    assert!(silent.contains("did not answer in time"), "{silent}");
    assert!(thousands.contains("more than 128 tools"), "{thousands}");
    // One that asks without end is answered a little, and is then not heard.
    let made = ask("pings", "/tool odd__t1 {} /tool odd__t2 {}", json!({})).await.expect(200);
    for call in &made["output"].as_array().unwrap()[1..3] {
        assert_eq!((&call["type"], &call["status"]), (&json!("mcp_call"), &json!("failed")), "{made}");
    }
    let of_pings: Vec<Seen> = server.seen().into_iter().filter(|seen| seen.line.contains("/pings")).collect();
    assert!(of_pings.iter().all(|seen| !seen.line.starts_with("GET")), "a stream of its own was opened");
    let answers = of_pings.iter().filter(|seen| seen.json()["result"].is_object()).count();
    assert!(answers <= 64, "{answers} of its requests were answered");
    let some = json!({"allowed_tools": ["t2999"]});
    let made = ask("thousands", "/tool odd__t2999 {}", some).await.expect(200);
    let call = &made["output"][1];
    assert_eq!((&call["name"], &call["status"]), (&json!("t2999"), &json!("completed")), "{made}");
    let output = call["output"].as_str().unwrap();
    assert!(output.starts_with("xyxy") && output.len() <= 8_000, "{} bytes", output.len());
}
