//! `/v1` as OpenAI's clients use it, and what becomes of their requests.

use std::{process::Command, time::Duration};

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack, User, client::Answer, eventually, python},
};

both_stacks!(
    openai_python_chats,
    openai_python_makes_responses,
    anthropics_sdk_sends_messages,
    a_request_leaves_nothing_but_its_usage,
    who_goes_away_cancels_and_a_key_keeps,
    a_request_can_be_sent_again,
    metadata_makes_a_turn_of_a_session,
    budgets_and_limits_are_told_in_openais_words,
    a_scope_opens_v1_and_its_errors_have_one_form,
    an_answer_that_begins_anew_is_given_once,
    wishes_of_a_wrong_form_are_refused_by_name,
);

/// A key with one scope, as a program has it.
pub async fn key(user: &User, scopes: &[&str]) -> String {
    let made = user.post("/api-keys", &json!({"name": "program", "scopes": scopes})).await.expect(201);
    made["key"].as_str().unwrap().to_owned()
}

/// Runs parts of a script with the official client.
pub async fn run(app: &App, key: &str, script: &str, parts: &[&str]) -> String {
    run_with(app, key, script, (parts, &[])).await
}

/// The same with more in its environment.
pub async fn run_with(
    app: &App,
    key: &str,
    script: &str,
    (parts, more): (&[&str], &[(&str, &str)]),
) -> String {
    let mut command = Command::new(python::tool("python"));
    command.arg(python::script(script)).args(parts);
    command.env("OPENAI_BASE_URL", format!("{}/v1", app.url(0))).env("OPENAI_API_KEY", key);
    command.env("ANTHROPIC_BASE_URL", app.url(0)).env("ANTHROPIC_API_KEY", key);
    command.envs(more.iter().copied());
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), parts.len(), "{said}");
    said
}

fn completions(app: &App, user: &User, body: &Value) -> reqwest::RequestBuilder {
    let url = format!("{}/v1/chat/completions", app.url(0));
    user.http.request(Method::POST, url).bearer_auth(&user.token).json(body)
}

fn asks(text: &str) -> Value {
    json!({"model": "mock", "messages": [{"role": "user", "content": text}]})
}

async fn sent(request: reqwest::RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

fn text(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap_or_default()
}

async fn openai_python_chats(stack: Stack) {
    // `/fail` fails once: what is repeated is told by its own tests.
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "1").start().await;
    let user = app.user().await;
    let key = key(&user, &["chat"]).await;
    let parts = ["chat", "stream", "tools", "structured", "logprobs", "errors", "models", "embeddings"];
    run(&app, &key, "openai_chat.py", &parts).await;
}

async fn openai_python_makes_responses(stack: Stack) {
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "1").start().await;
    let user = app.user().await;
    let key = key(&user, &["chat"]).await;
    let parts = [
        "create",
        "conversation",
        "stream",
        "tools",
        "structured",
        "background",
        "conversations",
        "cancel",
        "errors",
        "asynchronous",
    ];
    run(&app, &key, "openai_responses.py", &parts).await;
}

async fn anthropics_sdk_sends_messages(stack: Stack) {
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "1").start().await;
    let user = app.user().await;
    let key = key(&user, &["chat"]).await;
    run(&app, &key, "anthropic_messages.py", &["plain", "stream", "tools", "errors"]).await;
    // Its header is a key only where its clients show it.
    let shown = sent(user.http.get(format!("{}/v1/models", app.url(0))).header("x-api-key", &key)).await;
    assert_eq!(shown.expect(401)["error"]["code"], "invalid_api_key");
}

async fn a_request_leaves_nothing_but_its_usage(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let answer = sent(completions(&app, &user, &asks("/echo quincunx"))).await;
    let job = answer.headers["x-job-id"].to_str().unwrap().to_owned();
    let body = answer.expect(200);
    assert_eq!((text(&body), body["rapport"]["session_id"].is_null()), ("quincunx", true));
    assert_eq!(user.get("/chat/sessions").await.expect(200)["items"], json!([]));
    assert_eq!(user.get("/memory").await.expect(200)["items"], json!([]));
    let found = user.job(&job).await;
    assert_eq!((found["status"].as_str(), found["kind"].as_str()), (Some("succeeded"), Some("chat")));
    let db = app.db().await;
    let (prompts,): (i64,) =
        crate::faults::worker_dies::one(&db, "select count(*) from requests where prompt is not null").await;
    assert_eq!(prompts, 0, "what was asked is forgotten with the answer");
    eventually("it is counted", Duration::from_secs(30), || async {
        let usage = user.get("/analytics/usage").await.expect(200).to_string();
        usage.contains("mock-1").then_some(())
    })
    .await;
    // It goes after a day, and its job with it.
    for (hours, status) in [(23, 200), (25, 404)] {
        let then = rapport_common::clock::now() + chrono::TimeDelta::hours(hours);
        let mut conn = db.relaxed().await.unwrap();
        rapport_common::store::requests::prune(&mut conn, then).await.unwrap();
        drop(conn);
        assert_eq!(user.get(&format!("/jobs/{job}")).await.status, status);
    }
}

async fn who_goes_away_cancels_and_a_key_keeps(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let slow = |stream: bool| {
        let mut body = asks("/delay 100 /tokens 600");
        body["stream"] = json!(stream);
        body
    };
    let running = || async {
        let jobs = user.get("/jobs?kind=chat&status=running").await.expect(200);
        jobs["items"][0]["id"].as_str().map(str::to_owned)
    };
    for stream in [false, true] {
        let sending = tokio::spawn(completions(&app, &user, &slow(stream)).send());
        let job = eventually("it runs", Duration::from_secs(10), running).await;
        if stream {
            let mut bytes = sending.await.unwrap().unwrap().bytes_stream();
            bytes.next().await.unwrap().unwrap();
            drop(bytes);
        } else {
            sending.abort();
        }
        let ended = user.finished(&job, Duration::from_secs(10)).await;
        assert_eq!(ended["status"], "cancelled", "stream {stream}");
    }
    let keyed = completions(&app, &user, &asks("/delay 50 /tokens 20")).header("idempotency-key", "stays");
    let again = keyed.try_clone().unwrap();
    let sending = tokio::spawn(keyed.send());
    let job = eventually("it runs", Duration::from_secs(10), running).await;
    sending.abort();
    let answer = sent(again).await;
    assert_eq!(answer.headers["x-job-id"].to_str().unwrap(), job);
    assert!(text(&answer.expect(200)).ends_with("w20"));
}

async fn a_request_can_be_sent_again(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let mut body = asks("/echo once");
    body["n"] = json!(2);
    let ask = async |body: &Value| sent(completions(&app, &user, body).header("idempotency-key", "k1")).await;
    let first = ask(&body).await.expect(200);
    let again = ask(&body).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.expect(200)["rapport"]["job_ids"], first["rapport"]["job_ids"]);
    let other = ask(&asks("/echo other")).await;
    let should_retry = other.headers["x-should-retry"].clone();
    let problem = other.expect(400);
    assert_eq!(
        (problem["error"]["code"].as_str(), should_retry.as_bytes()),
        (Some("idempotency_mismatch"), &b"false"[..])
    );
    // Streams too, from the beginning.
    body["stream"] = json!(true);
    let mut streams = Vec::new();
    for _ in 0..2 {
        let request = completions(&app, &user, &body).header("idempotency-key", "k2");
        streams.push(request.send().await.unwrap().text().await.unwrap());
    }
    let ids = |stream: &str| stream.split("\"id\":\"").nth(1).unwrap()[..30].to_owned();
    assert_eq!(ids(&streams[0]), ids(&streams[1]));
    assert!(streams.iter().all(|stream| stream.contains("once") && stream.ends_with("data: [DONE]\n\n")));
}

async fn metadata_makes_a_turn_of_a_session(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    user.post("/memory", &json!({"content": "Lives in Dhaka"})).await.expect(201);
    let mut body = asks("Where do I live?");
    body["memory"] = json!(true);
    let first = sent(completions(&app, &user, &body)).await.expect(200);
    assert!(text(&first).contains("Dhaka"), "{first}");
    assert!(first["rapport"]["memories_used"].as_i64().unwrap() > 0);
    let session = first["rapport"]["session_id"].as_str().unwrap().to_owned();
    let turn = json!({
        "model": "auto", "metadata": {"session_id": session},
        "messages": [{"role": "system", "content": "Say it in French."}, {"role": "user", "content": "/system"}],
    });
    let second = sent(completions(&app, &user, &turn)).await.expect(200);
    assert!(text(&second).ends_with("Say it in French."), "{second}");
    assert_eq!(second["metadata"]["session_id"], session.as_str());
    assert_eq!(user.messages(&session).await.len(), 4);
    let project = user.post("/projects", &json!({"name": "Desk"})).await.expect(201);
    let mut of_project = asks("/echo x");
    of_project["metadata"] = json!({"project_id": project["id"]});
    let third = sent(completions(&app, &user, &of_project)).await.expect(200);
    let session = third["rapport"]["session_id"].as_str().unwrap();
    assert_eq!(user.get(&format!("/chat/sessions/{session}")).await.expect(200)["project_id"], project["id"]);
    // Our own tools, when they are asked for.
    let mut with_tools = asks("/tool current_time {}");
    with_tools["memory"] = json!(true);
    let without = sent(completions(&app, &user, &with_tools)).await.expect(200);
    assert!(text(&without).contains("no tool"), "{without}");
    with_tools["rapport_tools"] = json!(["current_time"]);
    let with = sent(completions(&app, &user, &with_tools)).await.expect(200);
    assert!(text(&with).contains("current_time says"), "{with}");
    // What a session cannot do is said.
    let mut history = turn.clone();
    history["messages"] = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}]);
    let refused = sent(completions(&app, &user, &history)).await.expect(400);
    assert_eq!(refused["error"]["param"], "messages");
    let stranger = app.user().await;
    assert_eq!(sent(completions(&app, &stranger, &turn)).await.status, 404);
}

async fn budgets_and_limits_are_told_in_openais_words(stack: Stack) {
    let app = App::builder(stack)
        .env("RATE_LIMIT__REQUESTS_PER_MINUTE", "3")
        .env("RATE_LIMIT__BURST_SIZE", "3")
        .env("QUOTA__DAILY_TOKENS", "550")
        .start()
        .await;
    let user = app.user().await;
    let ask = async || sent(completions(&app, &user, &asks("/tokens 60"))).await;
    let first = ask().await;
    assert_eq!(first.headers["x-ratelimit-limit-requests"], "3");
    assert_eq!(first.headers["x-ratelimit-remaining-requests"], "2");
    first.expect(200);
    let spent = ask().await;
    assert_eq!(spent.headers["x-should-retry"], "false", "{}", spent.body);
    assert_eq!(spent.expect(429)["error"]["code"], "insufficient_quota");
    let _third = ask().await;
    let limited = ask().await;
    assert!(limited.headers.contains_key("retry-after"));
    assert_eq!(limited.expect(429)["error"]["code"], "rate_limit_exceeded");
}

async fn a_scope_opens_v1_and_its_errors_have_one_form(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let of = |token: String| User { token, ..user.clone() };
    let may = of(key(&user, &["chat"]).await);
    sent(completions(&app, &may, &asks("/echo x"))).await.expect(200);
    let may_not = of(key(&user, &["memory"]).await);
    let refused = sent(completions(&app, &may_not, &asks("/echo x"))).await.expect(403);
    assert_eq!(refused["error"]["code"], "insufficient_permissions");
    let url = |path: &str| format!("{}{path}", app.url(0));
    let nobody = sent(user.http.post(url("/v1/chat/completions")).json(&asks("x"))).await;
    assert!(nobody.headers.contains_key("www-authenticate"));
    assert_eq!(nobody.headers["content-type"], "application/json");
    assert_eq!(nobody.expect(401)["error"]["code"], "invalid_api_key");
    let tried = [
        (Method::GET, "/v1/nowhere", 404),
        (Method::DELETE, "/v1/models", 405),
        (Method::POST, "/v1/chat/completions", 415),
    ];
    for (method, path, status) in tried {
        let request = user.http.request(method, url(path)).bearer_auth(&user.token);
        let answer = sent(request).await.expect(status);
        assert!(answer["error"]["message"].is_string() && answer["detail"].is_null(), "{path}: {answer}");
    }
    let broken = completions(&app, &user, &json!({})).body("{").send().await.unwrap();
    assert_eq!(broken.status(), 400);
    let nul = sent(completions(&app, &user, &asks("a\0b"))).await.expect(400);
    assert_eq!(nul["error"]["param"], "messages");
    // The other APIs keep their form.
    user.get("/nowhere").await.problem(404, "not_found");
}

/// None is left out without a word, none ends in a 500, and what is stored can be read again.
async fn wishes_of_a_wrong_form_are_refused_by_name(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let deep = (0..110).fold(json!("x"), |inside, _| json!([inside]));
    let url = format!("{}/v1/responses", app.url(0));
    for (field, value, param) in [
        ("text", json!("y"), "text"),
        ("text", json!([]), "text"),
        ("text", json!({"verbosity": 3}), "text.verbosity"),
        ("reasoning", json!("high"), "reasoning"),
        ("reasoning", json!({"effort": 1}), "reasoning.effort"),
        ("tools", json!([{"type": "function", "name": "f", "parameters": {"deep": deep}}]), "input"),
    ] {
        let mut body = json!({"model": "auto", "input": "/echo x"});
        body[field] = value;
        let request = user.http.post(&url).bearer_auth(&user.token).json(&body);
        let refused = sent(request).await.expect(400);
        assert_eq!(refused["error"]["param"], param, "{refused}");
    }
    for wrong in [json!({"memory": "yes"}), json!({"session_id": 7})] {
        let name = wrong.as_object().unwrap().keys().next().unwrap().clone();
        let mut body = asks("/echo x");
        body["metadata"] = wrong;
        let refused = sent(completions(&app, &user, &body)).await.expect(400);
        assert_eq!(refused["error"]["param"], format!("metadata.{name}"), "{refused}");
    }
}

/// The first provider breaks off in mid-answer; the second says the same words, and each is given once.
async fn an_answer_that_begins_anew_is_given_once(stack: Stack) {
    let app = App::builder(stack).workers(2).start().await;
    let mut app = app;
    let user = app.user().await;
    let words: String = (1..=60).map(|n| format!("w{n} ")).collect::<String>().trim().to_owned();
    let mut body = asks(&format!("/delay 50 /echo {words}"));
    body["stream"] = json!(true);
    if stack == Stack::Embedded {
        // One process: with it goes the connection. What is kept is the answer, for the same request again.
        let request = completions(&app, &user, &body).header("idempotency-key", "anew");
        let mut bytes = request.send().await.unwrap().bytes_stream();
        for _ in 0..5 {
            bytes.next().await.unwrap().unwrap();
        }
        app.kill_runner();
        app.start_runner();
        let request = completions(&app, &user, &body).header("idempotency-key", "anew");
        let whole = request.send().await.unwrap().text().await.unwrap();
        assert_eq!(said(&whole), words);
        return;
    }
    let response = completions(&app, &user, &body).send().await.unwrap();
    let job = response.headers()["x-job-id"].to_str().unwrap().to_owned();
    let mut bytes = response.bytes_stream();
    let mut stream = String::new();
    while stream.matches("content").count() < 6 {
        stream += std::str::from_utf8(&bytes.next().await.unwrap().unwrap()).unwrap();
    }
    let db = app.db().await;
    let sql = "select worker from jobs where status = 'running' and kind = 'chat'";
    let (worker,): (String,) = crate::faults::worker_dies::one(&db, sql).await;
    let pid: u32 = worker.rsplit('-').nth(1).unwrap().parse().unwrap();
    let index = app.workers.iter().position(|worker| worker.pid() == pid).unwrap();
    app.workers[index].kill();
    while let Some(more) = bytes.next().await {
        stream += std::str::from_utf8(&more.unwrap()).unwrap();
    }
    assert_eq!(said(&stream), words, "each word once, though it was said twice");
    assert!(stream.ends_with("data: [DONE]\n\n"));
    assert_eq!(user.job(&job).await["attempt"], 2);
}

/// The text of a stream's chunks.
fn said(stream: &str) -> String {
    let chunks = stream.lines().filter_map(|line| line.strip_prefix("data: {"));
    let chunks = chunks.map(|rest| serde_json::from_str::<Value>(&format!("{{{rest}")).unwrap());
    chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}
