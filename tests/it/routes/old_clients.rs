//! What clients of the systems we replace look for: names of fields, spellings of parameters, habits.

use std::process::Command;

use futures::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::{
    both_stacks,
    harness::{
        App, Stack, User,
        app::client,
        client::{Answer, PASSWORD},
        python,
        servers::unique,
    },
};

both_stacks!(
    token_frames_carry_the_text_so_far,
    answers_have_the_names_that_clients_look_for,
    accounts_look_as_clients_expect,
    requests_may_be_spelt_as_clients_spell_them,
    a_named_provider_falls_back_when_told,
    a_failed_answer_can_be_a_friendly_message,
    a_project_takes_its_sessions_along_when_told,
    password_rules_are_the_deployments,
    the_old_systems_own_clients_run,
);

fn at(user: &User, app: &App, prefix: &str) -> User {
    User { base: format!("{}{prefix}", app.url(0)), ..user.clone() }
}

/// The frames of one answer.
async fn frames(app: &App, path: &str, user: &User) -> Vec<Value> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let url = format!("{}{path}{separator}token={}", app.url(0).replace("http", "ws"), user.token);
    let (mut socket, _) = connect_async(url).await.unwrap();
    let body = json!({"message": "/delay 20 /tokens 4"}).to_string();
    socket.send(Message::text(body)).await.unwrap();
    let mut heard: Vec<Value> = Vec::new();
    while heard.last().is_none_or(|last| last["type"] != "done" && last["type"] != "error") {
        let next = tokio::time::timeout(std::time::Duration::from_secs(30), socket.next()).await.unwrap();
        if let Message::Text(text) = next.unwrap().unwrap() {
            heard.push(serde_json::from_str(&text).unwrap());
        }
    }
    heard
}

fn tokens(frames: &[Value]) -> Vec<&Value> {
    frames.iter().filter(|frame| frame["type"] == "token").collect()
}

async fn token_frames_carry_the_text_so_far(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    for path in
        ["/api/chat/ws", "/api/chat/stream", "/api/v1/chat/ws?accumulate=true", "/chat/ws?accumulate=true"]
    {
        let heard = frames(&app, path, &user).await;
        assert!(heard.iter().all(|frame| frame["type"].is_string()), "{path}: {heard:?}");
        let tokens = tokens(&heard);
        assert!(tokens.len() > 1, "{path}: {heard:?}");
        let mut so_far = String::new();
        for token in tokens {
            so_far += token["delta"].as_str().unwrap();
            assert_eq!(token["content"], so_far, "{path}");
        }
        let done = heard.last().unwrap();
        assert_eq!((done["reply"].as_str(), so_far.as_str()), (Some("w1 w2 w3 w4"), "w1 w2 w3 w4"), "{path}");
    }
    // Who does not ask is not sent the same words again and again.
    let heard = frames(&app, "/api/v1/chat/ws", &user).await;
    assert!(tokens(&heard).iter().all(|token| token["content"].is_null()), "{heard:?}");
    let body = json!({"message": "/tokens 4"});
    let request = user.request(Method::POST, "/chat/stream?accumulate=true").json(&body);
    let events = crate::harness::sse::Events::of(request.send().await.unwrap()).all().await;
    let last = events.iter().rev().find(|event| event.name == "token").unwrap();
    assert_eq!(last.data["content"], "w1 w2 w3 w4");
}

async fn answers_have_the_names_that_clients_look_for(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let me = user.get("/auth/me").await.expect(200);
    let reply = user.chat("/echo hello").await;
    let usage = &reply["usage"];
    assert!(usage["tokens"].as_i64().unwrap() > 0 && usage["tokens"] == usage["total_tokens"], "{usage}");
    let messages = user.messages(reply["session_id"].as_str().unwrap()).await;
    assert_eq!(messages[1]["usage"]["tokens"], usage["tokens"]);
    for prefix in ["/api", ""] {
        let listed = at(&user, &app, prefix).get("/chat/sessions").await.expect(200);
        assert_eq!((&listed["sessions"], listed["total"].as_i64()), (&listed["items"], Some(1)));
        assert_eq!(listed["sessions"][0]["id"], reply["session_id"]);
    }
    assert!(user.get("/chat/sessions").await.expect(200)["sessions"].is_null());
    let memory = async |content: &str| {
        let made = user.post("/memory", &json!({"content": content, "importance": 0.5})).await.expect(201);
        assert_eq!(made["user_id"], me["id"]);
        made["id"].clone()
    };
    let (one, two) = (memory("Plays the oud").await, memory("Owns a red bicycle").await);
    let link = json!({"source_id": one, "target_id": two, "relationship_type": "supports"});
    for status in [201, 200] {
        let linked = user.post("/memory/link", &link).await.expect(status);
        for field in ["source_id", "target_id", "relationship_type"] {
            assert_eq!(linked[field], link[field], "{linked}");
        }
        assert!(linked["created_at"].is_string() && linked["source"] == one, "{linked}");
    }
    let figures = user.get("/memory/analytics/dashboard").await.expect(200)["overview"].clone();
    for (new, old) in [
        ("verified_count", "confirmed"),
        ("pending_count", "pending"),
        ("rejected_count", "rejected"),
        ("avg_importance", "average_importance"),
        ("avg_confidence", "average_confidence"),
    ] {
        assert!(figures[new].is_number() && figures[new] == figures[old], "{new}: {figures}");
    }
    assert_eq!(
        (figures["verified_count"].as_i64(), figures["avg_importance"].as_f64()),
        (Some(2), Some(0.5))
    );
}

async fn accounts_look_as_clients_expect(stack: Stack) {
    let app = App::start(stack).await;
    let email = format!("{}@example.com", unique("reader"));
    let post = async |path: &str, body: Value| {
        let url = format!("{}{path}", app.url(0));
        Answer::of(client().post(url).json(&body).send().await.unwrap()).await
    };
    let short = json!({"email": email, "password": PASSWORD, "name": "A"});
    let problem = post("/api/auth/register", short).await.problem(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "name");
    let made = post("/api/auth/register", json!({"email": email, "password": PASSWORD, "name": "Al"})).await;
    let made = made.expect(201);
    assert_eq!(made["email"], email);
    for field in ["id", "email", "created_at"] {
        assert!(made[field].is_string() && made[field] == made["user"][field], "{field}: {made}");
    }
    let token = made["access_token"].as_str().unwrap();
    let payload = data_encoding::BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((&payload["email"], &payload["sub"]), (&made["email"], &made["id"]));
    // Who has no address has none in the token.
    let name = unique("nobody");
    let made = post("/auth/register", json!({"username": name, "password": PASSWORD})).await.expect(201);
    assert!(made["email"].is_null() && made["id"].is_string());
    let again = post("/auth/login", json!({"username": name, "password": PASSWORD})).await.expect(200);
    let token = again["access_token"].as_str().unwrap();
    let user = User { token: token.to_owned(), ..app.user().await };
    user.send(Method::PATCH, "/users/me", &json!({"name": "X"})).await.problem(422, "validation_failed");
}

async fn requests_may_be_spelt_as_clients_spell_them(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    user.post("/memory", &json!({"content": "Sings in a choir"})).await.expect(201);
    let bulk = async |before: &str| {
        let body = json!({"filter_criteria": {"created_before": before}, "dry_run": true});
        user.send(Method::DELETE, "/memory/bulk", &body).await
    };
    assert_eq!(bulk("2020-01-01").await.expect(200)["deleted"], 0);
    assert_eq!(bulk("2999-01-01").await.expect(200)["deleted"], 1);
    assert_eq!(bulk("2999-01-01T00:00:00").await.expect(200)["deleted"], 1);
    let problem = bulk("yesterday").await.problem(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "filter_criteria.created_before");
    let search = json!({"query": "choir", "as_of": "2999-01-01"});
    user.post("/memory/search", &search).await.expect(200);
    let project = user.post("/projects", &json!({"name": "Desk", "description": "d"})).await.expect(201);
    let place = format!("/projects/{}", project["id"].as_str().unwrap());
    let put = user.send(Method::PUT, &place, &json!({"name": "Table", "description": "e"})).await.expect(200);
    assert_eq!((put["name"].as_str(), put["description"].as_str()), (Some("Table"), Some("e")));
    let session = user.chat("/echo some words").await["session_id"].as_str().unwrap().to_owned();
    let markdown = user.get(&format!("/chat/sessions/{session}/export?format=markdown")).await;
    assert_eq!(markdown.headers["content-type"], "text/markdown; charset=utf-8");
    assert!(markdown.headers["content-disposition"].to_str().unwrap().contains(".md\""));
    assert!(markdown.expect(200).as_str().unwrap().contains("some words"));
    let deleted = user.get("/chat/sessions?status=deleted").await.expect(200);
    assert_eq!((deleted["items"].as_array().unwrap().len(), deleted["total"].as_i64()), (0, Some(0)));
}

async fn a_named_provider_falls_back_when_told(stack: Stack) {
    // Nobody listens on port 9; groq has no key.
    let app = App::builder(stack)
        .env("AI_SERVICES__OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        .env("AI_SERVICES__OPENAI_API_KEY", "sk-test-canary")
        .env("AI_SERVICES__ORDER", r#"["mock"]"#)
        .env("MEMORY__PROVIDER", "mock")
        .env("QUEUE__MAX_ATTEMPTS", "1")
        .env("QUEUE__PROVIDER_PATIENCE", "0")
        .start()
        .await;
    let user = app.user().await;
    let ask = async |mut body: Value| {
        body["message"] = json!("/echo here");
        user.post("/chat", &body).await
    };
    for provider in ["openai", "groq"] {
        let said = ask(json!({"provider": provider, "fallback": true, "model": "gpt-4o"})).await.expect(200);
        assert_eq!(
            (said["provider"].as_str(), said["model"].as_str()),
            (Some("mock"), Some("mock-1")),
            "{provider}"
        );
    }
    assert!(ask(json!({"provider": "openai"})).await.status >= 500);
    ask(json!({"provider": "groq"})).await.problem(422, "validation_failed");
    let project = json!({"name": "Desk", "default_provider": "openai", "fallback": true});
    let project = user.post("/projects", &project).await.expect(201);
    assert_eq!(project["fallback"], true);
    let said = ask(json!({"project_id": project["id"]})).await.expect(200);
    assert_eq!(said["provider"], "mock");
    // What the request says counts.
    assert!(ask(json!({"project_id": project["id"], "fallback": false})).await.status >= 500);
    let place = format!("/projects/{}", project["id"].as_str().unwrap());
    let changed = user.send(Method::PATCH, &place, &json!({"fallback": false})).await.expect(200);
    assert_eq!(changed["fallback"], false);
    assert!(ask(json!({"project_id": project["id"]})).await.status >= 500);
}

async fn a_failed_answer_can_be_a_friendly_message(stack: Stack) {
    const SORRY: &str = "Sorry, I cannot answer right now.";
    let app = App::builder(stack)
        .env("CHAT__FALLBACK_MESSAGE", SORRY)
        .env("QUEUE__MAX_ATTEMPTS", "1")
        .start()
        .await;
    let user = app.user().await;
    let said = user.chat("/fail 500").await;
    assert_eq!((said["reply"].as_str(), said["finish_reason"].as_str()), (Some(SORRY), Some("fallback")));
    let session = said["session_id"].as_str().unwrap();
    // The job tells the truth.
    let job = user.job(said["job_id"].as_str().unwrap()).await;
    assert_eq!(
        (job["status"].as_str(), job["error"]["code"].as_str()),
        (Some("failed"), Some("provider_failed"))
    );
    let message = user.messages(session).await[1].clone();
    assert_eq!((message["content"].as_str(), message["status"].as_str()), (Some(SORRY), Some("failed")));
    assert_eq!(message["id"], said["message_id"]);
    // No model is shown it as its own words, and the conversation goes on.
    assert_eq!(user.chat_in(session, "/echo and now?").await["reply"], "and now?");
    // Streams show it to those who only read tokens.
    let events = user.stream(&json!({"message": "/fail 500"})).await.all().await;
    assert_eq!(crate::harness::sse::text_of(&events), SORRY);
    let done = events.last().unwrap();
    assert_eq!((done.name.as_str(), done.data["finish_reason"].as_str()), ("done", Some("fallback")));
    let job = done.data["job_id"].as_str().unwrap();
    let again = user.events(job, None).await.all().await;
    assert_eq!(crate::harness::sse::text_of(&again), SORRY);
    // The simple shape has it as well, and later, the ledger.
    let made = user.post("/conversations", &json!({})).await.expect(201);
    let path = format!("/conversations/{}/messages", made["id"].as_str().unwrap());
    let line = user.post(&path, &json!({"content": "/fail 500"})).await.expect(200);
    assert_eq!((line["sender"].as_str(), line["content"].as_str()), (Some("ai"), Some(SORRY)));
    // What the user can mend is told as it is.
    user.post("/chat", &json!({"message": " "})).await.problem(422, "validation_failed");
    // A retry puts a real answer in its place, or the same words once more.
    let retried = user.post(&format!("/jobs/{job}/retry"), &json!({})).await;
    assert!(retried.status < 300, "{}", retried.body);
    let ended = user.finished(job, std::time::Duration::from_secs(20)).await;
    assert_eq!((ended["status"].as_str(), ended["result"]["reply"].as_str()), (Some("failed"), Some(SORRY)));
}

async fn a_project_takes_its_sessions_along_when_told(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    for (query, status) in [("?sessions=delete", 404), ("?sessions=keep", 200), ("", 200)] {
        let project = user.post("/projects", &json!({"name": "Desk"})).await.expect(201)["id"].clone();
        let body = json!({"message": "/echo x", "project_id": project});
        let inside = user.post("/chat", &body).await.expect(200)["session_id"].clone();
        let outside = user.chat("/echo y").await["session_id"].clone();
        let place = format!("/projects/{}", project.as_str().unwrap());
        user.send(Method::DELETE, &format!("{place}?sessions=burn"), &json!({}))
            .await
            .problem(400, "invalid_query");
        assert_eq!(user.send(Method::DELETE, &format!("{place}{query}"), &json!({})).await.status, 204);
        let found = user.get(&format!("/chat/sessions/{}", inside.as_str().unwrap())).await;
        assert_eq!(found.status, status, "{query}");
        user.get(&format!("/chat/sessions/{}", outside.as_str().unwrap())).await.expect(200);
        user.send(Method::DELETE, &format!("{place}{query}"), &json!({})).await.problem(404, "not_found");
    }
}

async fn password_rules_are_the_deployments(stack: Stack) {
    let app = App::builder(stack)
        .env("PASSWORD__REQUIRE_UPPER", "false")
        .env("PASSWORD__REQUIRE_DIGIT", "false")
        .env("PASSWORD__MIN_LENGTH", "10")
        .start()
        .await;
    let register = async |password: &str| {
        let body = json!({"username": unique("user"), "password": password});
        let url = format!("{}/auth/register", app.url(0));
        Answer::of(client().post(url).json(&body).send().await.unwrap()).await
    };
    let made = register("testpass onetwo").await.expect(201);
    let problem = register("testpass1").await.problem(422, "validation_failed");
    assert!(problem["detail"].as_str().unwrap().contains("at least 10"), "{problem}");
    let user = User { token: made["access_token"].as_str().unwrap().to_owned(), ..app.user().await };
    let change = |new: &str| json!({"current_password": "testpass onetwo", "new_password": new});
    user.post("/auth/change-password", &change("another")).await.problem(422, "validation_failed");
}

/// The clients under tests/python/clients are written as the replaced systems' documentation shows them.
async fn the_old_systems_own_clients_run(stack: Stack) {
    let sorry = "Sorry, I could not answer. Please try again in a moment.";
    let app = App::builder(stack)
        .env("PASSWORD__REQUIRE_UPPER", "false")
        .env("CHAT__FALLBACK_MESSAGE", sorry)
        .env("QUEUE__MAX_ATTEMPTS", "1")
        .start()
        .await;
    for name in ["support_bot", "chat_api", "chatbot_platform", "assistant"] {
        let (url, script) = (app.url(0), python::script(&format!("clients/{name}.py")));
        let ran = tokio::task::spawn_blocking(move || {
            Command::new(python::tool("python")).arg(script).arg(url).env("NO_PROXY", "*").output().unwrap()
        });
        let ran = ran.await.unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && said.ends_with("ok\n"), "{name}: {said}");
    }
}
