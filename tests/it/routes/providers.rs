//! The OpenAI-compatible adapter against `rapport mock-provider`, and what a failing provider does to a message.

use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack, sse::text_of},
};

both_stacks!(
    answers_come_over_openais_protocol,
    a_provider_that_fails_for_good_is_a_clear_problem_and_retry_works,
    a_provider_that_breaks_in_mid_answer_is_asked_again,
);

async fn answers_come_over_openais_protocol(stack: Stack) {
    let app = App::builder(stack).http_provider(&["--token-ms", "5"]).start().await;
    let user = app.user().await;
    let events = user.stream(&json!({"message": "/echo over the wire", "max_tokens": 3})).await.all().await;
    let done = &events.last().unwrap().data;
    assert_eq!((done["reply"].as_str(), done["provider"].as_str()), (Some("over the wire"), Some("openai")));
    assert_eq!(
        (done["model"].as_str(), done["usage"]["completion_tokens"].as_i64()),
        (Some("gpt-4o-mini"), Some(3))
    );
    let body = json!({"message": "/tokens 9", "provider": "openai", "model": "m", "max_tokens": 3, "temperature": 0});
    let cut = user.post("/chat", &body).await.expect(200);
    assert_eq!((cut["finish_reason"].as_str(), cut["model"].as_str()), (Some("length"), Some("m")));
    let models = user.get("/models").await.expect(200);
    assert_eq!(models["models"][0]["provider"], "openai");
    // A key is in no log.
    for process in app.apis.iter().chain(&app.workers) {
        assert!(!process.output().contains("sk-test-canary"));
    }
}

async fn a_provider_that_fails_for_good_is_a_clear_problem_and_retry_works(stack: Stack) {
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "2").start().await;
    let user = app.user().await;
    let session = user.new_session().await;
    let ask =
        async |message: &str| user.post("/chat", &json!({"message": message, "session_id": session})).await;
    for (message, status, code) in [
        ("/fail 500 x2 /echo at last", 502, "provider_failed"),
        ("/fail 504", 504, "provider_timeout"),
        ("/fail 400", 502, "provider_refused"),
        ("/fail 401", 502, "provider_misconfigured"),
        ("/fail 429", 502, "provider_rate_limited"),
    ] {
        let answer = ask(message).await;
        assert!(answer.headers["x-job-id"].to_str().unwrap().starts_with("job_"));
        answer.problem(status, code);
    }
    let messages = user.messages(&session).await;
    assert_eq!((messages.len(), messages[1]["status"].as_str()), (10, Some("failed")));
    let jobs = user.get("/jobs?status=failed").await.expect(200);
    let first = jobs["items"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (first["error"]["code"].as_str(), first["attempt"].as_u64()),
        (Some("provider_failed"), Some(2))
    );
    let id = first["id"].as_str().unwrap();
    let events = user.events(id, None).await.all().await;
    assert_eq!(events.last().unwrap().data["code"], "provider_failed");
    user.post(&format!("/jobs/{id}/retry"), &json!({})).await.expect(202);
    let again = user.get(&format!("/jobs/{id}?wait=20")).await.expect(200);
    assert_eq!(
        (again["status"].as_str(), again["result"]["reply"].as_str()),
        (Some("succeeded"), Some("at last"))
    );
    user.post(&format!("/jobs/{id}/retry"), &json!({})).await.problem(409, "wrong_state");
    let messages = user.messages(&session).await;
    assert_eq!((messages.len(), messages[1]["content"].as_str()), (10, Some("at last")));
    let listed = user.get(&format!("/chat/sessions/{session}")).await.expect(200);
    assert_eq!(listed["message_count"], 10);
}

async fn a_provider_that_breaks_in_mid_answer_is_asked_again(stack: Stack) {
    let builder = App::builder(stack).http_provider(&[]).env("QUEUE__MAX_ATTEMPTS", "2");
    let app = builder
        .env("AI_SERVICES__IDLE_TIMEOUT", "0.5")
        .env("AI_SERVICES__FIRST_BYTE_TIMEOUT", "0.5")
        .env("AI_SERVICES__BREAKER_FAILURES", "1000")
        .start()
        .await;
    let user = app.user().await;
    // With a pause between words, so that some are said before it breaks.
    for (model, code) in [
        ("mock-cut", "provider_failed"),
        ("mock-garbage", "provider_failed"),
        ("mock-hang-mid", "provider_timeout"),
        ("mock-hang", "provider_timeout"),
        ("mock-500", "provider_failed"),
        ("mock-429", "provider_rate_limited"),
    ] {
        let events = user.stream(&json!({"message": "/delay 5 /tokens 6", "model": model})).await.all().await;
        let last = events.last().unwrap();
        assert_eq!(
            (last.name.as_str(), last.data["code"].as_str()),
            ("error", Some(code)),
            "{model}: {events:?}"
        );
        assert_eq!(events.iter().filter(|event| event.name == "reset").count(), 1, "{model}: {events:?}");
        assert_ne!(text_of(&events), "w1 w2 w3 w4 w5 w6");
    }
}
