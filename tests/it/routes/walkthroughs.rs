//! Four kinds of client, each from its first request to its last, over HTTP and in the contract's shapes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        App, Stack,
        app::client,
        client::{Answer, PASSWORD, User},
        mail,
        servers::unique,
    },
};

both_stacks!(a_support_bot, a_chat_api, a_platform, an_assistant);

async fn post(url: String, body: &Value) -> Answer {
    Answer::of(client().post(url).json(body).send().await.unwrap()).await
}

/// Somebody with a token, at a base path of choice.
fn at(base: String, tokens: &Value) -> User {
    let text = |field: &str| tokens[field].as_str().unwrap().to_owned();
    let (token, refresh_token) = (text("access_token"), text("refresh_token"));
    User { http: client(), base, name: String::new(), token, refresh_token }
}

async fn a_support_bot(stack: Stack) {
    let app = App::start(stack).await;
    let base = app.url(0);
    let name = unique("shopper");
    post(format!("{base}/auth/register"), &json!({"username": name, "password": PASSWORD})).await.expect(201);
    let form = [("username", name.as_str()), ("password", PASSWORD), ("grant_type", "password")];
    let tokens = client().post(format!("{base}/auth/token")).form(&form).send().await.unwrap();
    let tokens = Answer::of(tokens).await.expect(200);
    assert_eq!(tokens["token_type"], "bearer");
    let user = at(base, &tokens);
    let made = user.post("/conversations", &json!({})).await.expect(201);
    let id = made["id"].as_str().unwrap();
    let answer = user
        .post(&format!("/conversations/{id}/messages"), &json!({"content": "/echo We open at nine."}))
        .await
        .expect(200);
    assert_eq!(
        (answer["sender"].as_str(), answer["content"].as_str()),
        (Some("ai"), Some("We open at nine."))
    );
    let messages = user.get(&format!("/conversations/{id}/messages")).await.expect(200);
    let senders: Vec<&str> =
        messages.as_array().unwrap().iter().map(|one| one["sender"].as_str().unwrap()).collect();
    assert_eq!((senders, &messages[1]["id"]), (vec!["user", "ai"], &answer["id"]));
    let listed = user.get("/conversations").await.expect(200);
    assert_eq!(
        (listed["conversations"][0]["id"].as_str(), listed["conversations"][0]["message_count"].as_i64()),
        (Some(id), Some(2))
    );
    user.post(&format!("/conversations/{id}/messages"), &json!({"content": " "}))
        .await
        .problem(422, "validation_failed");
    let deleted = user.send(Method::DELETE, &format!("/conversations/{id}"), &json!({})).await.expect(200);
    assert!(deleted["msg"].is_string());
    user.get(&format!("/conversations/{id}/messages")).await.problem(404, "not_found");
    assert_eq!(user.get("/conversations/").await.expect(200)["conversations"], json!([]));
}

async fn a_chat_api(stack: Stack) {
    use futures::{SinkExt, StreamExt};
    let app = App::start(stack).await;
    let base = format!("{}/api", app.url(0));
    let email = format!("{}@example.com", unique("chatter"));
    let account = json!({"email": email, "password": PASSWORD, "name": "Chatter"});
    post(format!("{base}/auth/register"), &account).await.expect(201);
    let tokens =
        post(format!("{base}/auth/login"), &json!({"email": email, "password": PASSWORD})).await.expect(200);
    let user = at(base.clone(), &tokens);
    let first = user.post("/chat", &json!({"message": "/echo one", "session_id": null})).await.expect(200);
    let session = first["session_id"].as_str().unwrap();
    let second =
        user.post("/chat", &json!({"message": "/echo two", "session_id": session})).await.expect(200);
    assert_eq!((second["session_id"].as_str(), second["reply"].as_str()), (Some(session), Some("two")));
    let events =
        user.stream(&json!({"message": "/echo three words here", "session_id": session})).await.all().await;
    assert_eq!(crate::harness::sse::text_of(&events), "three words here");
    let url = format!("{}/chat/ws?token={}", base.replace("http://", "ws://"), user.token);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let body = json!({"message": "/echo over a socket", "session_id": session}).to_string();
    socket.send(tokio_tungstenite::tungstenite::Message::text(body)).await.unwrap();
    let reply = loop {
        let message = socket.next().await.unwrap().unwrap();
        let Ok(event) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default()) else {
            continue;
        };
        if event["type"] == "done" {
            break event["reply"].clone();
        }
    };
    assert_eq!(reply, "over a socket");
    let page = user.get(&format!("/chat/history?session_id={session}&limit=3")).await.expect(200);
    assert_eq!((page["messages"].as_array().unwrap().len(), page["total"].as_i64()), (3, Some(8)));
    let cursor = page["next_cursor"].as_str().unwrap();
    let next =
        user.get(&format!("/chat/history?session_id={session}&limit=200&cursor={cursor}")).await.expect(200);
    assert_eq!(next["messages"].as_array().unwrap().len(), 5);
    let history = user.get("/history?page=1&per_page=10").await.expect(200);
    assert_eq!(
        (history["total"].as_i64(), history["items"][0]["session_id"].as_str()),
        (Some(1), Some(session))
    );
    assert_eq!(user.get("/auth/me").await.expect(200)["email"], email);
}

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn a_platform(stack: Stack) {
    let app = App::start(stack).await;
    let (ann, bob) = (app.user().await, app.user().await);
    let desk = ann
        .post(
            "/projects",
            &json!({"name": "Desk", "description": "Help", "default_provider": "mock", "temperature": 0.2}),
        )
        .await
        .expect(201);
    let id = desk["id"].as_str().unwrap();
    let content = "You are the desk of {{ project.name }} for {{ user.name }}, selling {{ product }}.";
    let prompt = json!({"name": "support", "content": content, "variables": {"product": "lamps"}});
    let prompt = ann.post(&format!("/projects/{id}/prompts"), &prompt).await.expect(201);
    assert_eq!((prompt["version"].as_i64(), prompt["is_active"].as_bool()), (Some(1), Some(true)));
    // The mock repeats its system prompt on request.
    let said = ann.post("/chat", &json!({"message": "/system", "project_id": id})).await.expect(200);
    let expected = format!("You are the desk of Desk for {}, selling lamps.", ann.name);
    assert!(said["reply"].as_str().unwrap().starts_with(&expected), "{said}");
    let session = said["session_id"].as_str().unwrap();
    assert_eq!(ann.get(&format!("/chat/sessions/{session}")).await.expect(200)["project_id"], id);
    assert_eq!(ann.get(&format!("/chat/sessions?project_id={id}")).await.expect(200)["total"], 1);
    // Another text is another version; both can be gone back to.
    let place = format!("/projects/{id}/prompts/{}", prompt["id"].as_str().unwrap());
    let second =
        ann.send(Method::PATCH, &place, &json!({"content": "Second: {{ product }}"})).await.expect(200);
    assert_eq!(second["version"], 2);
    let say = async || ann.chat_in(session, "/system").await["reply"].as_str().unwrap().to_owned();
    assert!(say().await.starts_with("Second: lamps"));
    ann.send(Method::PATCH, &place, &json!({"version": 1})).await.expect(200);
    assert!(say().await.starts_with(&expected));
    assert_eq!(ann.get(&format!("{place}/versions")).await.expect(200)["items"].as_array().unwrap().len(), 2);
    ann.send(Method::PATCH, &place, &json!({"is_active": false})).await.expect(200);
    assert!(say().await.starts_with("You are a helpful"));
    // Errors of templates say where.
    let wrong = ann
        .post(&format!("/projects/{id}/prompts/preview"), &json!({"content": "one\ntwo {{ nobody }}"}))
        .await;
    let problem = wrong.problem(422, "validation_failed");
    assert!(problem["detail"].as_str().unwrap().contains("line 2"), "{problem}");
    for content in ["{% for", "{{ user.age }}", "{% include 'x' %}", ""] {
        let body = json!({"name": "x", "content": content});
        ann.post(&format!("/projects/{id}/prompts"), &body).await.problem(422, "validation_failed");
    }
    let preview = ann
        .post(
            &format!("/projects/{id}/prompts/preview"),
            &json!({"content": "Hi {{ user.name }} {{ x }}", "variables": {"x": 5}}),
        )
        .await
        .expect(200);
    assert_eq!(preview["rendered"], format!("Hi {} 5", ann.name));
    // The other tenant sees nothing of it.
    for path in [
        format!("/projects/{id}"),
        format!("/projects/{id}/prompts"),
        place.clone(),
        format!("/projects/{id}/provider-keys"),
    ] {
        bob.get(&path).await.problem(404, "not_found");
    }
    bob.post("/chat", &json!({"message": "x", "project_id": id})).await.problem(404, "not_found");
    bob.send(Method::PATCH, &format!("/projects/{id}"), &json!({"name": "mine"}))
        .await
        .problem(404, "not_found");
    bob.send(Method::DELETE, &place, &json!({})).await.problem(404, "not_found");
    assert_eq!(bob.get("/projects").await.expect(200)["total"], 0);
    // A project has a budget of its own.
    let budget = format!("/projects/{id}/budget");
    assert_eq!(ann.send(Method::PUT, &budget, &json!({"daily_tokens": 50})).await.status, 204);
    ann.post("/chat", &json!({"message": "x", "session_id": session, "max_tokens": 500}))
        .await
        .problem(429, "budget_spent");
    ann.chat("outside of it").await;
    let left = ann.get(&format!("/analytics/quota?project_id={id}")).await.expect(200);
    assert_eq!((left["daily_tokens"].as_i64(), left["tokens_left"].as_i64()), (Some(50), Some(0)));
    bob.send(Method::PUT, &budget, &json!({})).await.problem(404, "not_found");
    bob.get(&format!("/analytics/quota?project_id={id}")).await.problem(404, "not_found");
    ann.send(Method::PUT, &budget, &json!({"daily_cost": -1})).await.problem(422, "validation_failed");
    assert_eq!(ann.send(Method::PUT, &budget, &json!({})).await.status, 204);
    // The project goes; its sessions stay.
    assert_eq!(ann.send(Method::DELETE, &format!("/projects/{id}"), &json!({})).await.status, 204);
    assert_eq!(ann.get(&format!("/chat/sessions/{session}")).await.expect(200)["project_id"], Value::Null);
    assert!(say().await.starts_with("You are a helpful"));
}

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn an_assistant(stack: Stack) {
    let app = App::start(stack).await;
    let base = format!("{}/api/v1", app.url(0));
    let email = format!("{}@example.com", unique("helper"));
    let account = json!({"email": email, "username": unique("helper_"), "password": PASSWORD});
    let tokens = post(format!("{base}/auth/register"), &account).await.expect(201);
    let user = at(base.clone(), &tokens);
    assert_eq!(tokens["user"]["is_verified"], false);
    let sent = post(format!("{base}/auth/request-otp"), &json!({"email": email})).await.expect(200);
    assert_eq!(sent["expires_in"], 300);
    let code = mail::code(&mail::to(&app, &email, 1).await[0]);
    post(format!("{base}/auth/verify-otp"), &json!({"email": email, "otp": code})).await.expect(200);
    assert_eq!(user.get("/users/me").await.expect(200)["is_verified"], true);

    let body = json!({"message": "/tokens 5", "provider": "mock", "temperature": 0.7, "max_tokens": 3, "enable_memory": false, "tools": "none"});
    let first = user.post("/chat", &body).await.expect(200);
    assert_eq!(
        (first["reply"].as_str(), first["finish_reason"].as_str()),
        (Some("w1 w2 w3"), Some("length"))
    );
    let session = first["session_id"].as_str().unwrap();
    user.chat_in(session, "/echo second").await;
    let messages = user.messages(session).await;
    // From the second question, with other words: the first exchange is shared.
    let point = messages[2]["id"].as_str().unwrap();
    let branch = json!({"session_id": session, "from_message_id": point, "new_message": "/echo another way"});
    let branch = user.post("/chat/branch", &branch).await.expect(201);
    let new = branch["new_session_id"].as_str().unwrap();
    user.finished(branch["job_id"].as_str().unwrap(), std::time::Duration::from_secs(20)).await;
    let shared: Vec<Value> = user.messages(new).await.iter().map(|one| one["content"].clone()).collect();
    assert_eq!(shared, ["/tokens 5", "w1 w2 w3", "/echo another way", "another way"]);
    assert_eq!(user.messages(session).await.len(), 4);

    let activity = user.get("/analytics/activity?time_range=7d").await.expect(200);
    assert_eq!(
        (
            activity["total_messages"].as_i64(),
            activity["total_sessions"].as_i64(),
            activity["active_days"].as_i64()
        ),
        (Some(6), Some(2), Some(1))
    );
    let models = user.get("/analytics/models").await.expect(200);
    assert_eq!(
        (
            models["by_provider"]["mock"]["count"].as_i64(),
            models["by_provider"]["mock"]["percentage"].as_f64()
        ),
        (Some(3), Some(100.0))
    );
    let settings = json!({"chat_settings": {"system_prompt": "Be a pirate.", "language": "bn"}, "memory_settings": {"auto_memory_extraction": false}});
    user.send(Method::PUT, "/settings", &settings).await.expect(200);
    let kept = user
        .send(Method::PATCH, "/settings", &json!({"chat_settings": {"temperature": 0.1}}))
        .await
        .expect(200);
    assert_eq!(
        (kept["chat_settings"]["system_prompt"].as_str(), kept["chat_settings"]["temperature"].as_f64()),
        (Some("Be a pirate."), Some(0.1))
    );
    assert_eq!(kept["memory_settings"]["auto_memory_extraction"], false);
    let said = user.chat("/system").await;
    assert!(said["reply"].as_str().unwrap().starts_with("Be a pirate.\n\nAnswer in Bengali."), "{said}");
    let wrong = json!({"chat_settings": {"language": "xx", "temperature": 9, "default_provider": "nobody"}});
    let problem = user.send(Method::PATCH, "/settings", &wrong).await.problem(422, "validation_failed");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 3);

    // Out as JSON, in again, out the same.
    let export = user.get(&format!("/chat/sessions/{session}/export?format=json")).await.expect(200);
    let again = user
        .post("/chat/sessions/import", &json!({"title": export["title"], "messages": export["messages"]}))
        .await
        .expect(201);
    let again = user
        .get(&format!("/chat/sessions/{}/export", again["session_id"].as_str().unwrap()))
        .await
        .expect(200);
    assert_eq!(again["messages"], export["messages"]);
    let markdown = user.get(&format!("/chat/sessions/{new}/export?format=md")).await.expect(200);
    assert!(markdown.as_str().unwrap().contains("another way"));
    user.get(&format!("/chat/sessions/{new}/export?format=pdf")).await.problem(400, "invalid_query");
}
