//! Every operation of the description, as everybody who might try it, with everybody's ids.

use std::{collections::HashMap, sync::LazyLock};

use rapport_api::{policy::Policy, rule_of};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack, User, client::Answer, client::PASSWORD, eventually},
};

/// Making it takes longer than most requests.
static DOCUMENT: LazyLock<Value> = LazyLock::new(rapport_api::document);

both_stacks!(everybody_may_what_the_policy_says);

#[test]
fn every_route_has_a_policy() {
    let document = &*DOCUMENT;
    for (path, item) in document["paths"].as_object().unwrap() {
        let short = below(path);
        for (method, operation) in item.as_object().unwrap() {
            let stated = rule_of(&method.to_uppercase(), short);
            let stated = stated.unwrap_or_else(|| panic!("{method} {path} is not in the table"));
            let open =
                operation["security"].as_array().is_some_and(|all| all.iter().all(|one| one == &json!({})));
            let is_public = operation.get("security").is_none() || open;
            assert_eq!(
                stated.who.is_public(),
                is_public,
                "{method} {path}: {stated:?} {}",
                operation["security"]
            );
        }
    }
}

/// As the table of routes has it: a path below `/api/v1`, or the whole one of another API.
fn below(path: &str) -> &str {
    path.strip_prefix("/api/v1").unwrap_or(path)
}

/// The user at OpenAI's API.
fn v1(user: &User) -> User {
    User { base: user.base.replace("/api/v1", "/v1"), ..user.clone() }
}

/// One of everything a user can have; by the name of the parameter and the beginning of the path.
async fn everything(user: &User) -> HashMap<&'static str, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let chat = user.chat("/echo mine").await;
    let memory = user.post("/memory", &json!({"content": "Likes tea"})).await.expect(201);
    let project = user.post("/projects", &json!({"name": "Desk"})).await.expect(201);
    let path = format!("/projects/{}/prompts", text(&project["id"]));
    let prompt = user.post(&path, &json!({"name": "p", "content": "x"})).await.expect(201);
    let path = format!("/projects/{}/tools", text(&project["id"]));
    let tool = user.post(&path, &json!({"name": "t", "url": "https://example.com/"})).await.expect(201);
    let file = user.upload("mine.txt", format!("This is mine: {}", user.name)).await.expect(201);
    let upload =
        user.request(Method::POST, "/files/uploads").header("upload-length", 10).send().await.unwrap();
    let upload = Answer::of(upload).await.expect(201);
    let hook = user
        .post("/webhooks", &json!({"url": "https://example.com/", "events": ["job.failed"]}))
        .await
        .expect(201);
    let key = user.post("/api-keys", &json!({"name": "k"})).await.expect(201);
    let me = user.get("/users/me").await.expect(200);
    let v1 = v1(user);
    let response = v1.post("/responses", &json!({"model": "mock", "input": "/echo mine"})).await.expect(200);
    let said = json!({"items": [{"role": "user", "content": "mine"}]});
    let conversation = v1.post("/conversations", &said).await.expect(200);
    let items = format!("/conversations/{}/items", text(&conversation["id"]));
    let item = v1.get(&items).await.expect(200)["data"][0]["id"].clone();
    let store = v1.post("/vector_stores", &json!({"name": "mine"})).await.expect(200);
    let batches = format!("/vector_stores/{}/file_batches", text(&store["id"]));
    let batch = v1.post(&batches, &json!({"file_ids": [file["id"]]})).await.expect(200);
    HashMap::from([
        ("store", text(&store["id"])),
        ("batch", text(&batch["id"])),
        ("conversation", text(&conversation["id"])),
        ("item", text(&item)),
        ("response", text(&response["id"])),
        ("session", text(&chat["session_id"])),
        ("job", text(&chat["job_id"])),
        ("message", text(&chat["message_id"])),
        ("memory", text(&memory["id"])),
        ("project", text(&project["id"])),
        ("prompt", text(&prompt["id"])),
        ("tool", text(&tool["id"])),
        ("file", text(&file["id"])),
        ("upload", text(&upload["id"])),
        ("webhook", text(&hook["id"])),
        ("key", text(&key["id"])),
        ("user", text(&me["id"])),
    ])
}

fn kind_of(path: &str) -> &'static str {
    for (start, kind) in [
        ("/chat/messages", "message"),
        ("/chat/sessions", "session"),
        ("/conversations", "session"),
        ("/files/uploads", "upload"),
        ("/files", "file"),
        ("/jobs", "job"),
        ("/memory", "memory"),
        ("/projects", "project"),
        ("/webhooks", "webhook"),
        ("/api-keys", "key"),
        ("/admin/users", "user"),
        ("/users/me/exports", "job"),
        ("/v1/responses", "response"),
        ("/v1/conversations", "conversation"),
        ("/v1/files", "file"),
        ("/v1/vector_stores", "store"),
    ] {
        if path.starts_with(start) {
            return kind;
        }
    }
    panic!("{path}: what is its id?");
}

fn fill(path: &str, ids: &HashMap<&str, String>) -> String {
    let mut path = path.to_owned();
    if path.contains("{id}") {
        let id = &ids[kind_of(&path)];
        path = path.replace("{id}", id);
    }
    path.replace("{prompt_id}", &ids["prompt"])
        .replace("{item_id}", &ids["item"])
        .replace("{tool_id}", &ids["tool"])
        .replace("{file_id}", &ids["file"])
        .replace("{batch_id}", &ids["batch"])
        .replace("{delivery_id}", "dlv_06dqz6ef8swq1bnx1rc6a2k8t4")
        .replace("{provider}", "openai")
        .replace("{queue}", "background")
        .replace("{model}", "nothing")
}

/// A body that a route might take, with the ids of whoever it is about.
fn body(path: &str, operation: &Value, ids: &HashMap<&str, String>) -> Value {
    let mut body = json!({
        "message": "x", "title": "x", "name": "x", "content": "x", "email": "a@example.com", "password": "Wrong-horse-1",
        "rating": "up", "query": "x", "action": "reject", "url": "https://example.com/", "events": ["job.failed"], "api_key": "sk-0123456789",
        "session_id": ids["session"], "from_message_id": ids["message"], "project_id": ids["project"], "memory_ids": [ids["memory"], ids["memory"]],
        "source_id": ids["memory"], "target_id": ids["memory"], "job_ids": [ids["job"]], "messages": [{"role": "user", "content": "x"}],
        "current_password": "Wrong-horse-1", "new_password": "Another-horse-2",
        "verifications": [{"memory_id": ids["memory"], "action": "reject"}], "is_private": true, "relationship_type": "supports",
        "names": ["t"], "file_ids": [ids["file"]], "images": [ids["file"]], "file_id": ids["file"], "items": [], "metadata": {}, "document": {"openapi": "3.1.0", "paths": {}},
    });
    // These would rather change the caller than fail.
    if path == "/settings" || path == "/settings/settings" {
        body = json!({});
    }
    if path == "/memory/link" {
        body["type"] = json!("supports");
    }
    // They come with a new message, and it is whose the session is that is asked here.
    if path == "/chat/branch"
        && let Some(fields) = body.as_object_mut()
    {
        fields.remove("images");
    }
    if path.starts_with("/v1/") {
        body["model"] = json!("auto");
    }
    let known = fields(operation);
    if let Some(fields) = body.as_object_mut().filter(|_| !known.is_empty()) {
        fields.retain(|name, _| known.contains(name));
    }
    body
}

/// What the body of an operation may hold, as the description says: everything else is refused.
fn fields(operation: &Value) -> Vec<String> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let either = schema["oneOf"].as_array().and_then(|all| all.iter().find(|one| one.get("$ref").is_some()));
    let reference = either.unwrap_or(schema)["$ref"].as_str().unwrap_or_default();
    let document = &*DOCUMENT;
    let whole = document.pointer(reference.trim_start_matches('#')).filter(|_| !reference.is_empty());
    let properties = whole.and_then(|whole| whole["properties"].as_object());
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

#[expect(clippy::too_many_lines, reason = "every route, as everybody who may call it or not")]
async fn everybody_may_what_the_policy_says(stack: Stack) {
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "1").start().await;
    let (owner, other, shut) = (app.user().await, app.user().await, app.user().await);
    let admin = super::admin::admin(&app).await;
    let ids = everything(&owner).await;
    let key_of = async |user: &User, scopes: Value| {
        let mut body = json!({"name": "k"});
        if !scopes.is_null() {
            body["scopes"] = scopes;
        }
        let made = user.post("/api-keys", &body).await.expect(201);
        User { token: made["key"].as_str().unwrap().to_owned(), ..user.clone() }
    };
    let others_key = key_of(&other, Value::Null).await;
    let mut scoped: HashMap<&str, User> = HashMap::new();
    for scope in ["chat", "memory", "projects", "account", "admin"] {
        // A key with every scope but this one.
        let rest: Vec<&str> = ["chat", "memory", "projects", "account", "admin"]
            .into_iter()
            .filter(|one| *one != scope)
            .collect();
        let whose = if scope == "admin" { &admin } else { &other };
        scoped.insert(scope, key_of(whose, json!(rest)).await);
    }
    let neither = key_of(&other, json!(["projects", "account"])).await;
    let expired = User { token: expired_token(&other), ..other.clone() };
    shut.post("/users/me/deactivate", &json!({"password": PASSWORD})).await.expect(200);
    eventually("it is shut out", std::time::Duration::from_secs(5), || async {
        (shut.get("/auth/me").await.status == 401).then_some(())
    })
    .await;

    let before = snapshot(&owner, &ids).await;
    let document = &*DOCUMENT;
    let mut checked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let short = below(path);
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let policy = rule_of(method.as_str(), short).unwrap().who;
            if policy.is_public() {
                continue;
            }
            let streams = ["/events", "/memory/events"].contains(&short);
            let socket = short == "/chat/ws" || short == "/chat/stream" && method == Method::GET;
            let ask = async |user: &User, token: bool| {
                let url = fill(short, &ids);
                let mount = if short == path { "" } else { "/api/v1" };
                let mut request = user
                    .http
                    .request(method.clone(), format!("{}{mount}{url}", app.url(0)))
                    .header("prefer", "wait=0");
                if token {
                    request = request.bearer_auth(&user.token);
                }
                if method != Method::GET {
                    request = request.json(&body(short, operation, &ids));
                }
                let response = request.send().await.unwrap();
                if response
                    .headers()
                    .get("content-type")
                    .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
                {
                    // It would never end; who got in is told by the status.
                    return Answer {
                        status: response.status().as_u16(),
                        headers: response.headers().clone(),
                        body: Value::Null,
                    };
                }
                Answer::of(response).await
            };
            let name = format!("{method} {short}");
            for nobody in [&expired, &shut] {
                let answer = ask(nobody, true).await;
                assert_eq!(
                    (answer.status, answer.headers.contains_key("www-authenticate")),
                    (401, true),
                    "{name}: {}",
                    answer.body
                );
            }
            assert_eq!(ask(&other, false).await.status, 401, "{name} as nobody");
            match policy {
                Policy::User(scope) => {
                    let answer = ask(&scoped[scope.as_str()], true).await;
                    assert_eq!(answer.status, 403, "{name} without scope {scope}: {}", answer.body);
                    let answer = ask(&others_key, true).await;
                    assert_ne!(answer.status, 403, "{name} by a key: {}", answer.body);
                }
                Policy::Both => {
                    let answer = ask(&others_key, true).await;
                    assert_ne!(answer.status, 403, "{name} by a key: {}", answer.body);
                    let answer = ask(&neither, true).await;
                    assert_eq!(answer.status, 403, "{name} without chat and memory: {}", answer.body);
                }
                Policy::Login => {
                    let answer = ask(&others_key, true).await;
                    assert_eq!(answer.status, 403, "{name} by a key: {}", answer.body);
                }
                Policy::Admin => {
                    assert_eq!(ask(&other, true).await.status, 403, "{name} by a user");
                    assert_eq!(
                        ask(&scoped["admin"], true).await.status,
                        403,
                        "{name} by an admin's key without the scope"
                    );
                }
                Policy::Public(_) => {}
            }
            // Whoever it is, admins too: what is another's is not there.
            if policy != Policy::Admin && short.contains('{') && !socket && !streams {
                for stranger in [&other, &admin] {
                    let answer = ask(stranger, true).await;
                    assert_eq!(answer.status, 404, "{name} as a stranger: {}", answer.body);
                }
            }
            // Ids in the body are another's as well.
            if [
                "/knowledge/search",
                "/chat",
                "/chat/stream",
                "/chat/branch",
                "/chat/regenerate",
                "/v1/chat/completions",
            ]
            .contains(&short)
                && method == Method::POST
            {
                assert_eq!(ask(&other, true).await.status, 404, "{name} with another's session");
            }
            checked += 1;
        }
    }
    let paths = document["paths"].as_object().unwrap().iter();
    let guarded =
        paths.flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (path, method)));
    let guarded = guarded.filter(|(path, method)| {
        let short = below(path);
        !rule_of(&method.to_uppercase(), short).unwrap().who.is_public()
    });
    assert_eq!(checked, guarded.count());
    assert_eq!(snapshot(&owner, &ids).await, before, "somebody changed what is the owner's");
}

async fn snapshot(owner: &User, ids: &HashMap<&str, String>) -> Value {
    let session = &ids["session"];
    json!([
        owner.messages(session).await,
        owner.get(&format!("/memory/{}", ids["memory"])).await.expect(200)["content"],
        owner.get(&format!("/projects/{}", ids["project"])).await.expect(200),
        owner.get(&format!("/projects/{}/prompts/{}", ids["project"], ids["prompt"])).await.expect(200),
        owner.get(&format!("/projects/{}/provider-keys", ids["project"])).await.expect(200),
        owner.get(&format!("/projects/{}/tools", ids["project"])).await.expect(200),
        owner.get(&format!("/files/{}", ids["file"])).await.expect(200)["name"],
        owner.get(&format!("/files/uploads/{}", ids["upload"])).await.expect(200),
        owner.get(&format!("/projects/{}/files", ids["project"])).await.expect(200),
        owner.get(&format!("/chat/sessions/{session}/files")).await.expect(200),
        owner.get("/webhooks").await.expect(200),
        owner.get("/users/me").await.expect(200),
        v1(owner).get(&format!("/conversations/{}/items", ids["conversation"])).await.expect(200),
        v1(owner).get(&format!("/vector_stores/{}", ids["store"])).await.expect(200)["name"],
        v1(owner).get(&format!("/vector_stores/{}/files", ids["store"])).await.expect(200)["data"][0]["id"],
        owner.get(&format!("/jobs/{}", ids["response"].replace("resp_", "job_"))).await.expect(200),
    ])
}

/// A token that was good once: ours, but for the time.
fn expired_token(user: &User) -> String {
    forged(user, "exp", json!(1_000_000_000))
}

/// A user's token with another claim, signed as ours are.
pub fn forged(user: &User, claim: &str, value: Value) -> String {
    use data_encoding::BASE64URL_NOPAD;
    use hmac::{Hmac, KeyInit, Mac};
    let parts: Vec<&str> = user.token.split('.').collect();
    let mut claims: Value =
        serde_json::from_slice(&BASE64URL_NOPAD.decode(parts[1].as_bytes()).unwrap()).unwrap();
    claims[claim] = value;
    let signed = format!("{}.{}", parts[0], BASE64URL_NOPAD.encode(claims.to_string().as_bytes()));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(crate::harness::app::SECRET_KEY.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&mac.finalize().into_bytes()))
}
