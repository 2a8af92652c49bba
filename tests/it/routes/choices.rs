//! A provider or a model that is not there is refused when it is named.

use reqwest::Method;
use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack},
};

both_stacks!(
    what_is_not_there_is_refused_when_it_is_named,
    a_project_names_a_provider_once_it_has_its_key,
    the_mock_answers_under_its_own_name_only,
);

async fn what_is_not_there_is_refused_when_it_is_named(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    for (choice, field) in [
        (json!({"provider": "openai"}), "provider"),
        (json!({"provider": "openai", "model": "gpt-4o"}), "provider"),
        (json!({"provider": "mock", "model": "gpt-4o"}), "model"),
        (json!({"provider": "auto", "model": "gpt-4o"}), "model"),
        (json!({"model": "gpt-4o"}), "model"),
    ] {
        let refused = |answer: serde_json::Value, prefix: &str| {
            let named = answer["errors"][0]["field"].as_str().unwrap().to_owned();
            assert_eq!(named, format!("{prefix}{field}"), "{answer}");
        };
        let mut body = choice.clone();
        body["message"] = json!("hello");
        refused(user.post("/chat", &body).await.problem(422, "validation_failed"), "");
        refused(user.post("/chat/stream", &body).await.problem(422, "validation_failed"), "");
        let mut defaults = json!({});
        for (name, value) in choice.as_object().unwrap() {
            defaults[format!("default_{name}")] = value.clone();
        }
        let settings = json!({"chat_settings": defaults});
        let answer = user.send(Method::PUT, "/settings", &settings).await;
        refused(answer.problem(422, "validation_failed"), "chat_settings.default_");
        defaults["name"] = json!("Project");
        refused(user.post("/projects", &defaults).await.problem(422, "validation_failed"), "default_");
    }
    let session = user.chat("hello").await["session_id"].clone();
    for body in [
        json!({"session_id": session, "provider": "openai"}),
        json!({"session_id": session, "model": "gpt-4o"}),
    ] {
        user.post("/chat/regenerate", &body).await.problem(422, "validation_failed");
    }
    assert_eq!(user.chat("hello").await["model"], "mock-1");
}

async fn a_project_names_a_provider_once_it_has_its_key(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let project = user.post("/projects", &json!({"name": "Own"})).await.expect(201);
    let place = format!("/projects/{}", project["id"].as_str().unwrap());
    let change = json!({"default_provider": "openai", "default_model": "gpt-4o"});
    let refused = user.send(Method::PATCH, &place, &change).await.problem(422, "validation_failed");
    assert!(refused["detail"].as_str().unwrap().contains("provider-keys"), "{refused}");
    let keys = format!("{place}/provider-keys/openai");
    let key = user.send(Method::PUT, &keys, &json!({"api_key": "sk-0123456789"})).await;
    assert_eq!(key.status, 204);
    user.send(Method::PATCH, &place, &change).await.expect(200);
}

/// A model that was set while its provider was there is not answered by the mock under that name.
async fn the_mock_answers_under_its_own_name_only(stack: Stack) {
    let mut app = App::builder(stack)
        .env("AI_SERVICES__OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        .env("AI_SERVICES__OPENAI_API_KEY", "sk-0123456789")
        .start()
        .await;
    let user = app.user().await;
    let settings = json!({"chat_settings": {"default_provider": "openai", "default_model": "gpt-4o"}});
    user.send(Method::PUT, "/settings", &settings).await.expect(200);
    app.set_env("AI_SERVICES__OPENAI_BASE_URL", "");
    app.set_env("AI_SERVICES__OPENAI_API_KEY", "");
    app.restart_api(0);
    if stack == Stack::Production {
        app.kill_runner();
        app.start_runner();
    }
    let answer = user.chat("/echo hello").await;
    assert_eq!(
        (answer["provider"].as_str(), answer["model"].as_str()),
        (Some("mock"), Some("mock-1")),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_the_service_are_refused_at_the_start() {
    let app = App::builder(Stack::Embedded).apis(0).start().await;
    assert!(app.command().arg("migrate").status().unwrap().success());
    for (key, value, word) in [
        ("MEMORY__PROVIDER", "groq", "MEMORY__PROVIDER"),
        ("MEMORY__MODEL", "gpt-4o", "MEMORY__MODEL"),
        ("AI_SERVICES__ORDER", r#"["groq"]"#, "AI_SERVICES__ORDER"),
        ("AI_SERVICES__ORDER", r#"["grok"]"#, "grok"),
        ("LLM_PROVIDER", "grok", "LLM_PROVIDER"),
    ] {
        let output = app.command().arg("reindex").env(key, value).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(word), "{key}={value}: {text}");
    }
}
