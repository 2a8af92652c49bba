//! `/mcp` as the official client uses it.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack, User, client::Answer, node, python},
};

both_stacks!(
    the_official_client_works_with_memory,
    what_is_no_request_is_said_in_json_rpc,
    resources_and_prompts_are_the_callers_own,
    a_task_is_its_callers_own,
    the_inspectors_command_line_works,
);

async fn key(user: &User, scopes: &[&str]) -> String {
    let made = user.post("/api-keys", &json!({"name": "program", "scopes": scopes})).await.expect(201);
    made["key"].as_str().unwrap().to_owned()
}

async fn the_official_client_works_with_memory(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let memory =
        ["add_memory", "search_memory", "list_memories", "verify_memory", "forget_memory", "memory_history"];
    let both: Vec<&str> = memory.iter().copied().chain(["send_message"]).collect();
    let cases =
        [(&["chat", "memory"][..], both), (&["memory"], memory.to_vec()), (&["chat"], vec!["send_message"])];
    for (scopes, tools) in cases {
        let key = key(&user, scopes).await;
        let mut client = Command::new(python::tool("python"));
        client.arg(python::script("mcp_client.py")).arg(format!("{}/mcp", app.url(0))).arg(key);
        let ran = tokio::task::spawn_blocking(move || client.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{scopes:?}: {said}{}", String::from_utf8_lossy(&ran.stderr));
        let seen: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        assert_eq!((&seen["tools"], &seen["server"]), (&json!(tools), &json!("rapport")), "{scopes:?}");
        let with = |scope: &str, what: &str| scopes.contains(&scope).then(|| what.to_owned());
        let templates: Vec<String> =
            [with("memory", "memory://{id}"), with("chat", "session://{id}")].into_iter().flatten().collect();
        assert_eq!(seen["templates"], json!(templates), "{scopes:?}");
        assert_eq!(seen["prompts"], json!(Vec::from_iter(with("memory", "about_me"))), "{scopes:?}");
    }
    assert_eq!(user.get("/memory").await.expect(200)["items"], json!([]), "what was forgotten is gone");
}

async fn what_is_no_request_is_said_in_json_rpc(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let url = format!("{}/mcp", app.url(0));
    let send = async |body: &Value| {
        let request = user.http.request(Method::POST, &url).bearer_auth(&user.token).json(body);
        Answer::of(request.send().await.unwrap()).await
    };
    let version = |version: &str| json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": version}});
    let told = send(&version("2025-06-18")).await.expect(200);
    assert_eq!((&told["result"]["protocolVersion"], &told["id"]), (&json!("2025-06-18"), &json!(1)));
    assert_eq!(send(&version("1999-01-01")).await.expect(200)["result"]["protocolVersion"], "2025-11-25");
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(send(&note).await.status, 202);
    for (body, code) in [
        (json!({"jsonrpc": "2.0", "id": "a", "method": "nothing"}), -32_601),
        (json!({"id": 1, "method": "ping"}), -32_600),
        (json!([]), -32_600),
        (json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "nothing"}}), -32_602),
    ] {
        assert_eq!(send(&body).await.expect(200)["error"]["code"], code, "{body}");
    }
    let get = user.http.get(&url).bearer_auth(&user.token).send().await.unwrap();
    assert_eq!(get.status(), 405, "it says nothing by itself");
    let nobody = user.http.post(&url).json(&note).send().await.unwrap();
    assert_eq!((nobody.status().as_u16(), nobody.headers().contains_key("www-authenticate")), (401, true));
}

async fn resources_and_prompts_are_the_callers_own(stack: Stack) {
    let app = App::start(stack).await;
    let (user, other) = (app.user().await, app.user().await);
    let url = format!("{}/mcp", app.url(0));
    let ask = async |token: &str, method: &str, params: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        Answer::of(user.http.post(&url).bearer_auth(token).json(&body).send().await.unwrap())
            .await
            .expect(200)
    };
    let chat = user.chat("/echo heliotrope").await;
    let open = user.add_memory("Loves durian").await;
    let private = user.add_memory("Sees a therapist").await;
    let body = json!({"memory_ids": [private], "is_private": true});
    user.post("/memory/privacy", &body).await.expect(200);
    let (memory, session) =
        (format!("memory://{open}"), format!("session://{}", chat["session_id"].as_str().unwrap()));
    // With the scopes of a key, and for a stranger, it is not there.
    let (memories, chats) = (key(&user, &["memory"]).await, key(&user, &["chat"]).await);
    for (token, uri, there) in [
        (&user.token, &memory, true),
        (&user.token, &session, true),
        (&memories, &memory, true),
        (&memories, &session, false),
        (&chats, &memory, false),
        (&chats, &session, true),
        (&other.token, &memory, false),
        (&other.token, &session, false),
    ] {
        let said = ask(token, "resources/read", json!({"uri": uri})).await;
        assert_eq!(said["result"]["contents"][0]["uri"] == **uri, there, "{uri}: {said}");
        assert_eq!(said["error"]["code"] == -32_002, !there, "{uri}: {said}");
    }
    let none = ask(&other.token, "resources/list", json!({})).await;
    assert_eq!(none["result"], json!({"resources": []}));
    // What is private stays out of a prompt for a model elsewhere, unless its user allows it.
    let introduced = async || {
        let said = ask(&user.token, "prompts/get", json!({"name": "about_me"})).await;
        said["result"]["messages"][0]["content"]["text"].as_str().unwrap().to_owned()
    };
    let said = introduced().await;
    assert!(said.contains("Loves durian") && !said.contains("therapist"), "{said}");
    let allow = json!({"memory_settings": {"allow_private_in_context": true}});
    user.send(Method::PATCH, "/settings", &allow).await.expect(200);
    assert!(introduced().await.contains("therapist"));
    assert_eq!(ask(&chats, "prompts/get", json!({"name": "about_me"})).await["error"]["code"], -32_602);
    let wrong = json!({"name": "about_me", "arguments": {"topic": 5}});
    assert_eq!(ask(&user.token, "prompts/get", wrong).await["error"]["code"], -32_602);
    // Pages.
    for number in 0..60 {
        user.post("/memory", &json!({"content": format!("Owns lamp number {number}")})).await.expect(201);
    }
    let first = ask(&user.token, "resources/list", json!({})).await;
    let next = ask(&user.token, "resources/list", json!({"cursor": first["result"]["nextCursor"]})).await;
    let count = |page: &Value| page["result"]["resources"].as_array().unwrap().len();
    assert_eq!((count(&first), count(&next)), (51, 12), "{next}");
    assert!(next["result"].get("nextCursor").is_none());
}

async fn a_task_is_its_callers_own(stack: Stack) {
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "1").start().await;
    let (user, other) = (app.user().await, app.user().await);
    let url = format!("{}/mcp", app.url(0));
    let ask = async |token: &str, method: &str, params: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request =
            user.http.post(&url).bearer_auth(token).header("accept", "application/json, text/event-stream");
        Answer::of(request.json(&body).send().await.unwrap()).await.expect(200)
    };
    let message = |text: &str| json!({"name": "send_message", "arguments": {"message": text}, "task": {}});
    let made = ask(&user.token, "tools/call", message("/fail 400")).await["result"]["task"].clone();
    assert_eq!((&made["status"], &made["ttl"]), (&json!("working"), &Value::Null), "{made}");
    let task = json!({"taskId": made["taskId"]});
    // It fails as the call would have, and says which task it was.
    let failed = ask(&user.token, "tasks/result", task.clone()).await["result"].clone();
    assert_eq!(
        (&failed["isError"], &failed["structuredContent"]["code"]),
        (&json!(true), &json!("provider_refused")),
        "{failed}"
    );
    assert_eq!(failed["_meta"]["io.modelcontextprotocol/related-task"], task);
    assert_eq!(ask(&user.token, "tasks/get", task.clone()).await["result"]["status"], "failed");
    // With a word for its progress, the result comes as events.
    let told = json!({"taskId": made["taskId"], "_meta": {"progressToken": "p"}});
    let events = ask(&user.token, "tasks/result", told).await;
    let events = events.as_str().unwrap();
    assert!(events.contains("\"progressToken\":\"p\"") && events.contains("provider_refused"), "{events}");
    // Nobody else's, with no scope but `chat`, and nothing that was no message.
    let memories = key(&user, &["memory"]).await;
    let job = user.post("/memory/extract", &json!({"backfill": true})).await;
    let another =
        json!({"taskId": job.body["id"].as_str().or(job.body["job_id"].as_str()).unwrap_or("job_x")});
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        for (token, task) in [(&other.token, &task), (&memories, &task), (&user.token, &another)] {
            assert_eq!(ask(token, method, task.clone()).await["error"]["code"], -32_602, "{method} {task}");
        }
    }
    assert_eq!(ask(&memories, "tools/call", message("x")).await["error"]["code"], -32_602);
    // What cannot be taken is told at once, and is no task.
    let refused = ask(&user.token, "tools/call", message("")).await;
    assert_eq!((&refused["result"]["isError"], refused["result"].get("task")), (&json!(true), None));
    for odd in [
        json!([1]),
        json!("x"),
        json!({"name": 5, "arguments": [], "task": 7, "_meta": {"progressToken": {}}}),
    ] {
        assert_eq!(ask(&user.token, "tools/call", odd).await["error"]["code"], -32_602);
    }
}

async fn the_inspectors_command_line_works(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let memory = user.add_memory("Plays the lute").await;
    let (url, key) = (format!("{}/mcp", app.url(0)), key(&user, &["memory", "chat"]).await);
    let program = node::inspector();
    let run = async |arguments: &[&str]| {
        let mut inspector = Command::new("node");
        inspector.arg(&program).arg("--cli").arg(&url).args(["--transport", "http", "--header"]);
        inspector.arg(format!("Authorization: Bearer {key}")).args(arguments);
        let ran = tokio::task::spawn_blocking(move || inspector.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&ran.stderr));
        serde_json::from_str::<Value>(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    };
    let uri = format!("memory://{memory}");
    let words = "message=/echo hello";
    let list = ["--method", "tools/list"];
    let call = ["--method", "tools/call", "--tool-name", "send_message", "--tool-arg", words];
    let read = ["--method", "resources/read", "--uri", &uri];
    let (tools, answer, read) = tokio::join!(run(&list), run(&call), run(&read));
    assert_eq!(tools["tools"].as_array().unwrap().len(), 7, "{tools}");
    assert_eq!(answer["structuredContent"]["reply"], "hello", "{answer}");
    assert!(read["contents"][0]["text"].as_str().unwrap().contains("Plays the lute"), "{read}");
}
