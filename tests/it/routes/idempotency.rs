use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack, User, client::Answer},
};

both_stacks!(
    the_same_key_is_the_same_request,
    strangers_do_not_share_a_key,
    a_failed_answer_is_no_refusal_and_a_repeat_tries_it_again,
);

async fn with_key(user: &User, path: &str, key: &str, body: &Value) -> Answer {
    let request = user.request(Method::POST, path).header("idempotency-key", key).json(body);
    Answer::of(request.send().await.unwrap()).await
}

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn the_same_key_is_the_same_request(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let body = json!({"message": "/echo once"});
    let first = with_key(&user, "/chat", "k1", &body).await;
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let first = first.expect(200);
    let again = with_key(&user, "/chat", "k1", &body).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.expect(200), first);
    assert_eq!(user.messages(first["session_id"].as_str().unwrap()).await.len(), 2);
    with_key(&user, "/chat", "k1", &json!({"message": "/echo other"}))
        .await
        .problem(422, "idempotency_mismatch");
    // Another user's key is another key.
    let other = app.user().await;
    assert_ne!(with_key(&other, "/chat", "k1", &body).await.expect(200)["job_id"], first["job_id"]);
    // While the first is running the second is told so.
    let slow = json!({"message": "/delay 100 /tokens 20"});
    let request =
        user.request(Method::POST, "/chat").header("idempotency-key", "k2").header("prefer", "respond-async");
    let job = Answer::of(request.json(&slow).send().await.unwrap()).await.expect(202);
    with_key(&user, "/chat", "k2", &slow).await.problem(409, "idempotency_in_progress");
    user.get(&format!("/jobs/{}?wait=30", job["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(with_key(&user, "/chat", "k2", &slow).await.expect(200)["job_id"], job["id"]);
    // Many at once: one is accepted.
    let body = json!({"message": "/echo race"});
    let racing = (0..8).map(|_| with_key(&user, "/chat", "k3", &body));
    let answers = futures::future::join_all(racing).await;
    let mut jobs: Vec<String> = Vec::new();
    for answer in answers {
        match answer.status {
            200 => jobs.push(answer.body["job_id"].as_str().unwrap().to_owned()),
            _ => drop(answer.problem(409, "idempotency_in_progress")),
        }
    }
    jobs.dedup();
    assert_eq!(jobs.len(), 1);
    // Sessions and accounts too.
    let session = with_key(&user, "/chat/sessions", "k4", &json!({"title": "T"})).await.expect(201);
    let again = with_key(&user, "/chat/sessions", "k4", &json!({"title": "T"})).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.expect(201)["id"], session["id"]);
    let session = first["session_id"].as_str().unwrap();
    let point = user.messages(session).await[0]["id"].clone();
    let desk = user.post("/projects", &json!({"name": "Desk"})).await.expect(201);
    let tools = format!("/projects/{}/tools", desk["id"].as_str().unwrap());
    for (path, body, status, field) in [
        (tools.as_str(), json!({"name": "twin", "url": "https://example.com/"}), 201, "secret"),
        ("/projects", json!({"name": "Twin"}), 201, "id"),
        ("/api-keys", json!({"name": "twin"}), 201, "key"),
        ("/webhooks", json!({"url": "https://example.com/", "events": ["job.failed"]}), 201, "secret"),
        ("/conversations", json!({}), 201, "id"),
        (
            "/chat/branch",
            json!({"session_id": session, "from_message_id": point, "new_message": "/echo twin"}),
            201,
            "new_session_id",
        ),
        ("/chat/regenerate", json!({"session_id": session}), 200, "message_id"),
    ] {
        let made =
            with_key(&user, path, &format!("twin {path}").replace(' ', "-"), &body).await.expect(status);
        let again = with_key(&user, path, &format!("twin {path}").replace(' ', "-"), &body).await;
        assert_eq!(again.headers["idempotent-replayed"], "true", "{path}");
        assert_eq!(again.expect(status)[field], made[field], "{path}");
        assert!(made[field].is_string(), "{path}");
        let other = with_key(&user, path, &format!("twin {path}").replace(' ', "-"), &json!({"name": "other", "session_id": session, "from_message_id": point, "url": "https://example.com/", "events": ["job.failed"]})).await;
        assert_eq!(other.status, 422, "{path}: {}", other.body);
    }
    assert_eq!(user.get("/projects").await.expect(200)["total"], 2);
    let account = json!({"username": format!("{}-twin", user.name), "password": "Correct-horse-1"});
    let made = with_key(&user, "/auth/register", "k5", &account).await.expect(201);
    let again = with_key(&user, "/auth/register", "k5", &account).await.expect(201);
    assert_eq!(made["user"], again["user"]);
    // A repeat signs in, and so it asks for the password of today.
    let twin = User { token: made["access_token"].as_str().unwrap().to_owned(), ..user.clone() };
    let change = json!({"current_password": "Correct-horse-1", "new_password": "Another-horse-2"});
    twin.post("/auth/change-password", &change).await.expect(200);
    with_key(&user, "/auth/register", "k5", &account).await.problem(401, "invalid_credentials");
    for bad in ["", "a b", &"x".repeat(256)] {
        with_key(&user, "/chat", bad, &body).await.problem(400, "malformed_request");
    }
}

async fn strangers_do_not_share_a_key(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let name = |n: usize| format!("{}-{n}", user.name);
    let account = |n: usize, password: &str| json!({"username": name(n), "password": password});
    let ann = with_key(&user, "/auth/register", "1", &account(1, "Correct-horse-1")).await.expect(201);
    // Somebody else who counts their requests from 1 makes an account of their own.
    let bob = with_key(&user, "/auth/register", "1", &account(2, "Correct-horse-1")).await;
    assert!(!bob.headers.contains_key("idempotent-replayed"));
    assert_ne!(bob.expect(201)["user"]["id"], ann["user"]["id"]);
    // Each can still repeat.
    let again = with_key(&user, "/auth/register", "1", &account(1, "Correct-horse-1")).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.expect(201)["user"]["id"], ann["user"]["id"]);
    // Who knows the key and the name does not get in without the password, and cannot try many.
    for n in 0..10 {
        let guess = account(1, &format!("Wrong-horse-{n}"));
        with_key(&user, "/auth/register", "1", &guess).await.problem(422, "idempotency_mismatch");
    }
    with_key(&user, "/auth/register", "1", &account(1, "Wrong-horse-11")).await.problem(429, "rate_limited");
}

async fn a_failed_answer_is_no_refusal_and_a_repeat_tries_it_again(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    // All three tries fail; a fourth would not.
    let body = json!({"message": "/fail 503 x3 /echo at last"});
    let failed = with_key(&user, "/chat", "f1", &body).await;
    assert!(failed.status >= 500, "{}", failed.body);
    let job = failed.headers["x-job-id"].to_str().unwrap().to_owned();
    assert_eq!(failed.headers["x-should-retry"], "false", "a client must not send it as a new message");
    assert!(!failed.headers.contains_key("retry-after"));
    assert_eq!(failed.body["job_id"], job);
    let detail = failed.body["detail"].as_str().unwrap();
    assert!(detail.contains("was accepted") && detail.contains(&format!("/jobs/{job}/retry")), "{detail}");
    // The keyed repeat is that retry: the same job, the same message, now answered.
    let again = with_key(&user, "/chat", "f1", &body).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let again = again.expect(200);
    assert_eq!((&again["job_id"], &again["reply"]), (&json!(job), &json!("at last")));
    assert_eq!(user.messages(again["session_id"].as_str().unwrap()).await.len(), 2);
    // What cannot pass is not tried again.
    let body = json!({"message": "/fail 400"});
    let refused = with_key(&user, "/chat", "f2", &body).await;
    let job = user.job(refused.body["job_id"].as_str().unwrap()).await;
    let again = with_key(&user, "/chat", "f2", &body).await;
    assert_eq!((again.status, &again.body["job_id"]), (refused.status, &job["id"]));
    assert_eq!(user.job(job["id"].as_str().unwrap()).await["attempt"], job["attempt"]);
    // The simple conversations tell the job too.
    let conversation = user.post("/conversations", &json!({})).await.expect(201);
    let path = format!("/conversations/{}/messages", conversation["id"].as_str().unwrap());
    let failed = user.post(&path, &json!({"content": "/fail 400"})).await;
    assert!(failed.headers.contains_key("x-job-id") && failed.body["job_id"].is_string(), "{}", failed.body);
}
