//! What is described is listed, called, signed, and switched off.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Desk, SECRET, answer, app_with, names, number};
use crate::{
    both_stacks,
    harness::{
        Stack, User,
        client::Answer,
        replay::{Replay, Seen},
    },
    routes::webhooks::verify,
};

both_stacks!(tools_are_described_called_signed_and_switched_off);

/// Standard Webhooks' own check wants a body of JSON: a call without one is checked by hand, over its path and query.
fn signs_the_address(secret: &str, seen: &Seen) -> bool {
    let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap().as_bytes()).unwrap();
    let target = seen.line.split(' ').nth(1).unwrap();
    let signed = format!("{}.{}.{target}", seen.headers["webhook-id"], seen.headers["webhook-timestamp"]);
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(signed.as_bytes());
    seen.headers["webhook-signature"] == format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
}

async fn tools_are_described_called_signed_and_switched_off(stack: Stack) {
    let server = Replay::start(answer).await;
    let app = app_with(stack, &server).await;
    let (user, other) = (app.user().await, app.user().await);
    the_operators(&user, &server).await;
    let desk = Desk::new(&user).await;
    let find = json!({
        "name": "find_order", "description": "Finds an order.", "url": format!("{}/orders/{{number}}?v=2", server.url),
        "method": "get", "parameters": number("string"), "headers": {"Authorization": "Bearer canary-of-the-owner"},
    });
    let made = desk.describe(find.clone()).await.expect(201);
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert_eq!(
        (&made["changes_something"], &made["headers"], &made["is_enabled"]),
        (&json!(false), &json!(["authorization"]), &json!(true))
    );
    let done = desk.say(r#"/tool find_order {"number":"A/7"}"#).await;
    assert!(done["reply"].as_str().unwrap().contains("shipped"), "{done}");
    assert_eq!(done["tool_calls"][0]["ok"], true);
    assert!(done.to_string().contains("[hidden]") && !done.to_string().contains("canary"), "{done}");
    let seen = server.seen().pop().unwrap();
    assert_eq!(seen.line, "GET /orders/A%2F7?v=2");
    assert_eq!(seen.headers["authorization"], "Bearer canary-of-the-owner");
    assert_eq!(seen.headers["idempotency-key"], format!("{}:1", done["job_id"].as_str().unwrap()));
    assert!(signs_the_address(&secret, &seen));
    // Elsewhere it is not there, and nobody sees what it sends along.
    assert!(
        user.chat(r#"/tool find_order {"number":"1"}"#).await["reply"].as_str().unwrap().contains("no tool")
    );
    let shown = user.get(&desk.tools()).await.expect(200);
    let one = user.get(&format!("{}/{}", desk.tools(), made["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(shown["items"], json!([one]));
    assert!(!shown.to_string().contains("canary") && !shown.to_string().contains(&secret));
    named_in_a_chat(&desk, &other).await;
    switched_off(&desk).await;
    described_wrongly(&desk, &find, &made).await;
    imported(&desk, &server).await;
}

/// Everybody has what configuration describes.
async fn the_operators(user: &User, server: &Replay) {
    let listed = user.get("/tools").await.expect(200);
    let ours = ["current_time", "search_memory", "save_memory", "stock"];
    assert_eq!(names(&listed["tools"])[..4], ours.map(str::to_owned));
    let of =
        |name: &str| listed["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap();
    assert_eq!((&of("add_pet")["read_only"], &of("list_pets")["read_only"]), (&json!(false), &json!(true)));
    assert!(!listed.to_string().contains("unwanted") && !listed.to_string().contains("canary"));
    let done = user.chat(r#"/tool stock {"number":7} /tool add_pet {"body":{"name":"Rex"}}"#).await;
    assert!(done["reply"].as_str().unwrap().contains("Rex"), "{done}");
    let mut seen = server.seen();
    seen.sort_by_key(|seen| seen.line.clone());
    assert_eq!((seen[0].line.as_str(), seen[0].text.as_str()), ("GET /stock?number=7", ""));
    assert_eq!(seen[0].headers["x-api-key"], "canary-of-the-operator");
    assert!(signs_the_address(SECRET, &seen[0]));
    assert_eq!((seen[1].line.as_str(), seen[1].json()), ("POST /pets", json!({"name": "Rex"})));
    // Nobody gave the document's tools a secret.
    assert!(!seen[1].headers.contains_key("webhook-signature"));
}

async fn named_in_a_chat(desk: &Desk, other: &User) {
    let named = |project: Value| json!({"message": "/tool find_order {\"number\":\"A/7\"}", "project_id": project, "tools": ["find_order"]});
    let done = desk.user.post("/chat", &named(json!(desk.project))).await.expect(200);
    assert_eq!(done["tool_calls"][0]["ok"], true);
    // The session knows its project.
    let body = json!({"message": "/echo x", "session_id": done["session_id"], "tools": ["find_order"]});
    desk.user.post("/chat", &body).await.expect(200);
    desk.user.post("/chat", &named(Value::Null)).await.problem(422, "validation_failed");
    other.post("/chat", &named(json!(desk.project))).await.problem(404, "not_found");
    other.get(&format!("/tools?project_id={}", desk.project)).await.problem(404, "not_found");
    other.get("/tools?project_id=proj_x").await.problem(404, "not_found");
    // What a project is about is not for keys that chat alone.
    let key = desk.user.post("/api-keys", &json!({"name": "k", "scopes": ["chat"]})).await.expect(201);
    let key = User { token: key["key"].as_str().unwrap().to_owned(), ..desk.user.clone() };
    key.get(&format!("/tools?project_id={}", desk.project)).await.problem(403, "key_not_allowed");
    key.get("/tools").await.expect(200);
    // A tool hears conversations and outlives a key: no key makes one.
    let key = desk.user.post("/api-keys", &json!({"name": "p", "scopes": ["projects"]})).await.expect(201);
    let key = User { token: key["key"].as_str().unwrap().to_owned(), ..desk.user.clone() };
    key.get(&desk.tools()).await.expect(200);
    key.post(&desk.tools(), &json!({"name": "x", "url": "https://example.com/"}))
        .await
        .problem(403, "key_not_allowed");
}

async fn switched_off(desk: &Desk) {
    let path = format!("/projects/{}/disabled-tools", desk.project);
    assert!(desk.offered().await.contains(&"find_order".to_owned()));
    let off = json!({"names": ["find_order", "stock", "find_order", "not-there-yet"]});
    let off = desk.user.send(Method::PUT, &path, &off).await.expect(200);
    assert_eq!(off["names"], json!(["find_order", "not-there-yet", "stock"]));
    assert_eq!(desk.user.get(&path).await.expect(200), off);
    let offered = desk.offered().await;
    assert!(!offered.contains(&"find_order".to_owned()) && !offered.contains(&"stock".to_owned()));
    assert!(offered.contains(&"current_time".to_owned()));
    assert_eq!(desk.user.get(&desk.tools()).await.expect(200)["items"][0]["is_enabled"], false);
    for directive in [r#"/tool find_order {"number":"1"}"#, r#"/tool stock {"number":1}"#] {
        let done = desk.say(directive).await;
        assert!(done["reply"].as_str().unwrap().contains("no tool called"), "{done}");
    }
    let named = json!({"message": "x", "project_id": desk.project, "tools": ["stock"]});
    desk.user.post("/chat", &named).await.problem(422, "validation_failed");
    // In other chats it is as ever.
    assert_eq!(desk.user.chat(r#"/tool stock {"number":1}"#).await["tool_calls"][0]["ok"], true);
    for wrong in [json!({"names": [""]}), json!({"names": ["x".repeat(65)]}), json!({"names": 5})] {
        desk.user.send(Method::PUT, &path, &wrong).await.problem(422, "validation_failed");
    }
    desk.user.send(Method::PUT, &path, &json!({"names": []})).await.expect(200);
    assert!(desk.offered().await.contains(&"find_order".to_owned()));
}

async fn described_wrongly(desk: &Desk, find: &Value, made: &Value) {
    desk.describe(find.clone()).await.problem(409, "conflict");
    let with = |field: &str, value: Value| {
        let mut body = find.clone();
        body["name"] = json!("another");
        body[field] = value;
        body
    };
    for (field, value) in [
        ("name", json!("stock")),
        ("name", json!("two words")),
        ("url", json!("http://10.0.0.1/")),
        ("url", json!("https://example.com/")),
        ("url", json!("file:///etc/passwd")),
        ("url", json!("http://u:p@127.0.0.1/")),
        ("url", json!("http://127.0.0.1/{nobody}")),
        ("method", json!("CONNECT")),
        ("timeout_seconds", json!(0)),
        ("timeout_seconds", json!(31)),
        ("parameters", json!({"type": "array"})),
        ("headers", json!({"Host": "x"})),
        ("headers", json!({"X": "a\r\nb: c"})),
        ("colour", json!("red")),
    ] {
        let problem = desk.describe(with(field, value.clone())).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{value}: {problem}");
    }
    let path = format!("{}/{}", desk.tools(), made["id"].as_str().unwrap());
    let change = json!({"description": "x", "timeout_seconds": 3, "changes_something": true, "headers": {}});
    let changed = desk.user.send(Method::PATCH, &path, &change).await.expect(200);
    assert_eq!(
        (&changed["timeout_seconds"], &changed["changes_something"], &changed["headers"], &changed["url"]),
        (&json!(3), &json!(true), &json!([]), &made["url"])
    );
    desk.user
        .send(Method::PATCH, &path, &json!({"timeout_seconds": 99}))
        .await
        .problem(422, "validation_failed");
    // By the path of another project it is not there.
    let elsewhere = Desk::new(&desk.user).await;
    let wrong = format!("{}/{}", elsewhere.tools(), made["id"].as_str().unwrap());
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        desk.user.send(method, &wrong, &json!({})).await.problem(404, "not_found");
    }
    assert_eq!(desk.user.send(Method::DELETE, &path, &json!({})).await.status, 204);
    desk.user.get(&path).await.problem(404, "not_found");
}

async fn imported(desk: &Desk, server: &Replay) {
    let document = json!({"openapi": "3.0.0", "paths": {
        "/notes": {"post": {"operationId": "add note", "summary": "Adds a note.", "parameters": [
            {"name": "lang", "in": "query", "schema": {"type": "string"}},
            {"name": "X-Trace", "in": "header", "schema": {"type": "string"}}],
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object"}}}}}},
        "/stock": {"get": {"operationId": "stock"}, "put": {}},
    }});
    let body = json!({"document": document, "base_url": server.url, "headers": {"X-Team": "blue"}});
    let path = format!("{}/import", desk.tools());
    let send = || desk.user.request(Method::POST, &path).header("idempotency-key", "once").json(&body).send();
    let made = Answer::of(send().await.unwrap()).await.expect(201);
    assert_eq!(names(&made["tools"]), ["add_note"]);
    let skipped: Vec<&str> =
        made["skipped"].as_array().unwrap().iter().map(|one| one["operation"].as_str().unwrap()).collect();
    assert_eq!(skipped, ["PUT /stock", "stock"]);
    let again = Answer::of(send().await.unwrap()).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let again = again.expect(201);
    assert_eq!((&again["tools"], &again["secret"]), (&made["tools"], &made["secret"]));
    let done = desk.say(r#"/tool add_note {"body":{"text":"hi"},"lang":"bn","X-Trace":"t1"}"#).await;
    assert_eq!(done["tool_calls"][0]["ok"], true, "{done}");
    let seen = server.seen().pop().unwrap();
    assert_eq!((seen.line.as_str(), seen.json()), ("POST /notes?lang=bn", json!({"text": "hi"})));
    assert_eq!((seen.headers["x-trace"].as_str(), seen.headers["x-team"].as_str()), ("t1", "blue"));
    assert!(verify(made["secret"].as_str().unwrap(), &seen));
    for (directive, why) in [
        (r#"/tool add_note {"body":{},"colour":"red"}"#, "no argument `colour`"),
        ("/tool add_note {}", "`body` is missing"),
        (r#"/tool add_note {"body":{},"X-Trace":"a\nb"}"#, "cannot be sent as a header"),
    ] {
        let done = desk.say(directive).await;
        assert!(done["reply"].as_str().unwrap().contains(why), "{done}");
    }
    // Once more: what is there stays, or goes, as its owner says.
    let stays = desk.user.post(&path, &body).await.expect(201);
    assert_eq!((&stays["tools"], &stays["secret"]), (&json!([]), &Value::Null));
    let mut anew = body.clone();
    anew["replace"] = json!(true);
    let anew = desk.user.post(&path, &anew).await.expect(201);
    assert_eq!(names(&anew["tools"]), ["add_note"]);
    assert_ne!(anew["secret"], made["secret"]);
    for wrong in [
        json!({"document": {}}),
        json!({"document": "x"}),
        json!({"document": {"openapi": "3.1.0", "paths": []}}),
        json!({}),
    ] {
        desk.user.post(&path, &wrong).await.problem(422, "validation_failed");
    }
    let paths: serde_json::Map<String, Value> =
        (0..70).map(|n| (format!("/p{n}"), json!({"get": {"operationId": format!("op{n}")}}))).collect();
    let many = json!({"document": {"openapi": "3.1.0", "paths": paths}, "base_url": server.url});
    desk.user.post(&path, &many).await.problem(409, "conflict");
    assert_eq!(names(&desk.user.get(&desk.tools()).await.expect(200)["items"]), ["add_note"]);
}
