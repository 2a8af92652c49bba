//! What counts as used: calls that were made, and none that were only meant to be.

use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack, User, servers::free_port},
};

both_stacks!(calls_that_were_never_made_cost_nothing, calls_that_broke_off_count_as_the_provider_saw_them);

/// About 2,000 tokens.
fn long(words: &str) -> String {
    format!("{words} {}", "many words ".repeat(700))
}

async fn used(user: &User) -> i64 {
    user.get("/analytics/quota").await.expect(200)["tokens_used"].as_i64().unwrap()
}

async fn calls_that_were_never_made_cost_nothing(stack: Stack) {
    let app = App::builder(stack)
        .env("AI_SERVICES__OPENAI_BASE_URL", format!("http://127.0.0.1:{}/v1", free_port()))
        .env("QUEUE__PROVIDER_PATIENCE", "1")
        .env("MEMORY__PROVIDER", "mock")
        .env("QUOTA__DAILY_TOKENS", "3000")
        .start()
        .await;
    let user = app.user().await;
    let ask = async |provider: &str| {
        let body = json!({"message": long("/echo hi"), "provider": provider, "max_tokens": 100, "enable_memory": false});
        user.post("/chat", &body).await
    };
    for _ in 0..6 {
        let failed = ask("openai").await;
        let code = failed.body["code"].as_str().unwrap_or_default().to_owned();
        assert!(code.starts_with("provider_"), "{}", failed.body);
    }
    assert_eq!(used(&user).await, 0);
    let report = user.get("/analytics/usage").await.expect(200);
    assert_eq!(report["lines"], json!([]));
    // What the failed ones held is free again: there is room for just one such message.
    ask("mock").await.expect(200);
    assert!(used(&user).await > 1_500);
    ask("mock").await.problem(429, "budget_spent");
}

async fn calls_that_broke_off_count_as_the_provider_saw_them(stack: Stack) {
    let app = App::builder(stack)
        .http_provider(&[])
        .env("QUEUE__MAX_ATTEMPTS", "2")
        .env("AI_SERVICES__BREAKER_FAILURES", "1000")
        .env("AI_SERVICES__FIRST_BYTE_TIMEOUT", "0.5")
        .env("MEMORY__PROVIDER", "mock")
        .start()
        .await;
    let user = app.user().await;
    let mut calls = 0;
    for (model, tried) in [("mock-cut", 2), ("mock-500", 6), ("mock-hang", 2)] {
        let body = json!({"message": "/delay 5 /tokens 40", "model": model, "enable_memory": false});
        let failed = user.post("/chat", &body).await;
        assert!(failed.status >= 500, "{model}: {}", failed.body);
        calls += tried;
        let seen = app.mock_stats().await;
        assert_eq!(seen["requests"], calls, "{model}");
        let report = user.get("/analytics/usage").await.expect(200);
        assert_eq!(report["total"]["prompt_tokens"], seen["prompt_tokens"], "{model}: {report}");
        assert_eq!(report["total"]["requests"], calls, "{model}: {report}");
        let named = |line: &Value| line["provider"] == "openai" && line["kind"] == "chat";
        assert!(report["lines"].as_array().unwrap().iter().all(named), "{report}");
        // Half of the forty words, in each of two attempts; the others said nothing.
        let said = report["total"]["completion_tokens"].as_i64().unwrap();
        assert!((20..=60).contains(&said), "{model}: {report}");
    }
    // A call that is answered counts once, with what the provider says of it.
    let before = user.get("/analytics/usage").await.expect(200)["total"].clone();
    let answered =
        user.post("/chat", &json!({"message": "/tokens 7", "enable_memory": false})).await.expect(200);
    let after = user.get("/analytics/usage").await.expect(200);
    let chat: i64 = after["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["kind"] == "chat")
        .map(|line| line["prompt_tokens"].as_i64().unwrap())
        .sum();
    assert_eq!(
        chat - before["prompt_tokens"].as_i64().unwrap(),
        answered["usage"]["prompt_tokens"].as_i64().unwrap()
    );
}
