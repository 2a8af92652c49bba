//! Branches that share their past, other answers, feedback, and keys that a project brings along.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        App, Stack, User,
        replay::{Replay, Reply},
    },
    providers::formats::OPENAI,
};

both_stacks!(
    branches_share_the_past_without_copying_it,
    an_answer_is_made_again_and_the_old_one_stays,
    a_project_brings_its_own_key,
);

async fn contents(user: &User, session: &str) -> Vec<String> {
    user.messages(session).await.iter().map(|one| one["content"].as_str().unwrap().to_owned()).collect()
}

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn branches_share_the_past_without_copying_it(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let session = user.new_session().await;
    for text in ["one", "two", "three"] {
        user.chat_in(&session, &format!("/echo {text}")).await;
    }
    let ids: Vec<String> =
        user.messages(&session).await.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    let branch = async |session: &str, from: &str, message: Option<&str>| -> (String, Value) {
        let mut body = json!({"session_id": session, "from_message_id": from});
        if let Some(message) = message {
            body["new_message"] = json!(message);
        }
        let made = user.post("/chat/branch", &body).await.expect(201);
        if let Some(job) = made["job_id"].as_str() {
            user.finished(job, Duration::from_secs(20)).await;
        }
        (made["new_session_id"].as_str().unwrap().to_owned(), made)
    };
    // After the second answer; in place of the second question; of the first.
    let (after, made) = branch(&session, &ids[3], Some("/echo another")).await;
    assert_eq!(
        (made["parent_session_id"].as_str(), made["branch_point"].as_str()),
        (Some(session.as_str()), Some(ids[3].as_str()))
    );
    assert_eq!(
        contents(&user, &after).await,
        ["/echo one", "one", "/echo two", "two", "/echo another", "another"]
    );
    let (edited, _) = branch(&session, &ids[2], Some("/echo edited")).await;
    assert_eq!(contents(&user, &edited).await, ["/echo one", "one", "/echo edited", "edited"]);
    let (anew, _) = branch(&session, &ids[0], Some("/echo anew")).await;
    assert_eq!(contents(&user, &anew).await, ["/echo anew", "anew"]);
    let (silent, made) = branch(&session, &ids[1], None).await;
    assert_eq!((contents(&user, &silent).await.len(), &made["job_id"]), (2, &Value::Null));
    // A branch of a branch, from a message of the first.
    let (deep, _) = branch(&after, &ids[1], Some("/echo deep")).await;
    assert_eq!(contents(&user, &deep).await, ["/echo one", "one", "/echo deep", "deep"]);
    // The model sees the shared past: the mock counts turns.
    let told = user.chat_in(&after, "what now").await;
    assert!(told["reply"].as_str().unwrap().contains("message 4 of"), "{told}");
    let view = user.get(&format!("/chat/sessions/{after}")).await.expect(200);
    assert_eq!(
        (view["message_count"].as_i64(), view["parent_session_id"].as_str()),
        (Some(8), Some(session.as_str()))
    );
    assert_eq!(contents(&user, &session).await.len(), 6, "the parent is as it was");
    // The parent goes; what is shared stays readable, and goes with the last branch.
    assert_eq!(user.send(Method::DELETE, &format!("/chat/sessions/{session}"), &json!({})).await.status, 204);
    user.get(&format!("/chat/sessions/{session}")).await.problem(404, "not_found");
    assert_eq!(contents(&user, &after).await.len(), 8);
    let db = app.db().await;
    let rows = async || {
        let mut conn = db.read().await.unwrap();
        crate::harness::dump::count(&mut conn, "select count(*) from sessions").await
    };
    assert_eq!(rows().await, 6);
    for branch in [&after, &edited, &anew, &silent, &deep] {
        assert_eq!(
            user.send(Method::DELETE, &format!("/chat/sessions/{branch}"), &json!({})).await.status,
            204
        );
    }
    assert_eq!(rows().await, 0, "nothing is kept for nobody");
    // Nonsense.
    let session = user.new_session().await;
    user.post("/chat/branch", &json!({"session_id": session, "from_message_id": ids[0]}))
        .await
        .problem(404, "not_found");
    user.post("/chat/branch", &json!({"session_id": session, "from_message_id": "msg_x"}))
        .await
        .problem(404, "not_found");
    user.post("/chat/branch", &json!({"session_id": session})).await.problem(422, "validation_failed");
}

async fn an_answer_is_made_again_and_the_old_one_stays(stack: Stack) {
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "1").start().await;
    let user = app.user().await;
    let session = user.new_session().await;
    let first = user.chat_in(&session, "/fail 500 x0 tell me a story").await;
    user.chat_in(&session, "/echo later").await;
    let question = user.messages(&session).await[0]["id"].as_str().unwrap().to_owned();
    let again = user
        .post("/chat/regenerate", &json!({"session_id": session, "message_id": question, "model": "mock-2"}))
        .await
        .expect(200);
    assert_ne!(again["message_id"], first["message_id"]);
    let messages = user.messages(&session).await;
    assert_eq!(
        (messages.len(), &messages[1]["id"], messages[1]["variants"].as_i64()),
        (4, &again["message_id"], Some(1))
    );
    assert_eq!(
        (messages[1]["model"].as_str(), messages[3]["content"].as_str()),
        (Some("mock-2"), Some("later"))
    );
    let variants = user.get(&format!("/chat/messages/{question}/variants")).await.expect(200);
    assert_eq!(
        (&variants["items"][0]["id"], &variants["items"][0]["content"]),
        (&first["message_id"], &first["reply"])
    );
    assert_eq!(user.get(&format!("/chat/sessions/{session}")).await.expect(200)["message_count"], 4);
    // The last one when none is named; without waiting.
    let last = user
        .request(Method::POST, "/chat/regenerate")
        .header("prefer", "respond-async")
        .json(&json!({"session_id": session}));
    let job = crate::harness::client::Answer::of(last.send().await.unwrap()).await.expect(202);
    assert_eq!(
        user.finished(job["id"].as_str().unwrap(), Duration::from_secs(20)).await["result"]["reply"],
        "later"
    );
    // One that fails leaves the answer there was.
    let failing = user.chat_in(&session, "/echo kept").await;
    let body = json!({"session_id": session, "provider": "mock", "model": "x".repeat(300)});
    user.post("/chat/regenerate", &body).await.problem(422, "validation_failed");
    assert_eq!(user.messages(&session).await[5]["id"], failing["message_id"]);
    user.post("/chat/regenerate", &json!({"session_id": session, "message_id": failing["message_id"]}))
        .await
        .problem(422, "validation_failed");
    let empty = user.new_session().await;
    user.post("/chat/regenerate", &json!({"session_id": empty})).await.problem(404, "not_found");
    // What one thinks of it.
    let place = format!("/chat/messages/{}/feedback", failing["message_id"].as_str().unwrap());
    assert_eq!(user.post(&place, &json!({"rating": "up", "comment": "good"})).await.status, 204);
    assert_eq!(user.messages(&session).await[5]["feedback"]["rating"], "up");
    user.post(&place, &json!({"rating": "sideways"})).await.problem(422, "validation_failed");
    user.post(&format!("/chat/messages/{question}/feedback"), &json!({"rating": "up"}))
        .await
        .problem(404, "not_found");
}

async fn a_project_brings_its_own_key(stack: Stack) {
    let openai = Replay::start(|seen, _| match seen.headers.get("authorization").map(String::as_str) {
        Some("Bearer sk-own-canary-42") => Reply::sse(OPENAI.streamed),
        _ => Reply::json(401, json!({"error": {"message": "no such key", "code": "invalid_api_key"}})),
    })
    .await;
    let app = App::builder(stack)
        .env("AI_SERVICES__OPENAI_BASE_URL", &openai.url)
        .env("AI_SERVICES__OPENAI_API_KEY", "sk-of-the-house")
        .env("AI_SERVICES__ORDER", r#"["mock"]"#)
        .env("QUEUE__MAX_ATTEMPTS", "1")
        .start()
        .await;
    let user = app.user().await;
    let project =
        user.post("/projects", &json!({"name": "Own", "default_provider": "openai"})).await.expect(201);
    let id = project["id"].as_str().unwrap();
    let ask = async || user.post("/chat", &json!({"message": "hello", "project_id": id})).await;
    ask().await.problem(502, "provider_misconfigured");
    let place = format!("/projects/{id}/provider-keys/openai");
    assert_eq!(user.send(Method::PUT, &place, &json!({"api_key": "sk-own-canary-42"})).await.status, 204);
    assert_eq!(ask().await.expect(200)["reply"], "Hello, wörld!");
    let listed = user.get(&format!("/projects/{id}/provider-keys")).await.expect(200);
    assert_eq!(listed["items"][0]["provider"], "openai");
    assert!(!listed.to_string().contains("canary-42"));
    let hex: String = "canary-42".bytes().map(|byte| format!("{byte:02x}")).collect();
    let stored = crate::harness::dump::everything(&app.db().await).await;
    assert!(!stored.contains("canary-42") && !stored.contains(&hex));
    for process in app.apis.iter().chain(&app.workers) {
        assert!(!process.output().contains("canary-42"));
    }
    for (provider, key, status) in [
        ("nobody", "sk-0123456789", 404),
        ("mock", "sk-0123456789", 404),
        ("openai", "short", 422),
        ("openai", "with space 0123", 422),
    ] {
        let answer = user
            .send(Method::PUT, &format!("/projects/{id}/provider-keys/{provider}"), &json!({"api_key": key}))
            .await;
        assert_eq!(answer.status, status, "{provider} {key}");
    }
    assert_eq!(user.send(Method::DELETE, &place, &json!({})).await.status, 204);
    ask().await.problem(502, "provider_misconfigured");
}
