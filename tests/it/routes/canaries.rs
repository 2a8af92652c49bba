//! Keys stay where they are used: not in logs, errors, events, metrics, or the database.

use serde_json::json;

use crate::{
    both_stacks,
    harness::{
        App, Stack, dump,
        replay::{Replay, Reply},
    },
};

both_stacks!(keys_are_found_nowhere);

const VARIABLES: [(&str, &str); 12] = [
    ("AI_SERVICES__OPENAI_API_KEY", "canary-openai-qx7431"),
    ("AI_SERVICES__OPENAI_API_KEY_1", "canary-openai-one-qx7431"),
    ("AI_SERVICES__OPEN_ROUTER_API_KEY", "canary-openrouter-qx7431"),
    ("AI_SERVICES__GROQ_API_KEY", "canary-groq-qx7431"),
    ("AI_SERVICES__GEMINI_API_KEY", "canary-gemini-qx7431"),
    ("AI_SERVICES__ANTHROPIC_API_KEY", "canary-anthropic-qx7431"),
    ("AI_SERVICES__OLLAMA_API_KEY", "canary-ollama-qx7431"),
    ("AI_SERVICES__EMBEDDING_API_KEY", "canary-embedding-qx7431"),
    ("WEATHER_API_KEY", "canary-weather-qx7431"),
    ("TAVILY_API_KEY", "canary-tavily-qx7431"),
    ("MCP_HEADER", "canary-mcp-qx7431"),
    ("QDRANT_API_KEY", "canary-qdrant-qx7431"),
];
const CANARY: &str = "-qx7431";

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn keys_are_found_nowhere(stack: Stack) {
    // A server that repeats every key it hears, in every kind of error.
    let echo = Replay::start(|seen, before| {
        let heard = format!("{} {:?} {}", seen.line, seen.headers, seen.text);
        let body = json!({"error": {"message": heard, "code": "invalid_api_key"}, "detail": heard});
        match before % 4 {
            0 => Reply::json(401, body),
            1 => Reply::json(500, body),
            2 => Reply::json(400, body),
            _ => Reply::sse(format!("data: {body}\n\n")),
        }
    })
    .await;
    let mut builder = App::builder(stack)
        .env("RUST_LOG", "trace,h2=info,sqlx=info")
        .env("QUEUE__MAX_ATTEMPTS", "1")
        .env("EGRESS__ALLOW", r#"["127.0.0.1"]"#)
        .env("MEMORY__PROVIDER", "mock")
        .env("MCP__SERVERS", json!([{"name": "m", "url": format!("{}/mcp", echo.url), "headers": {"x-key": "canary-mcp-qx7431"}}]));
    let tool = json!([{"name": "repeats", "method": "GET", "url": format!("{}/repeats", echo.url),
        "headers": {"authorization": "Bearer canary-tool-qx7431", "x-key": "canary-tool-qx7431"}}]);
    builder = builder.env("TOOLS__HTTP", tool);
    for (variable, key) in VARIABLES {
        builder = builder.env(variable, key);
    }
    for provider in ["OPENAI", "OPEN_ROUTER", "GROQ", "GEMINI", "ANTHROPIC", "OLLAMA", "EMBEDDING"] {
        builder = builder.env(&format!("AI_SERVICES__{provider}_BASE_URL"), &echo.url);
    }
    let app = builder.env("WEATHER_API_BASE_URL", &echo.url).env("TAVILY_BASE_URL", &echo.url).start().await;
    let user = app.user().await;
    let mut said = String::new();
    for provider in ["openai", "openrouter", "groq", "gemini", "anthropic", "ollama", "auto"] {
        for _ in 0..3 {
            let events = user.stream(&json!({"message": "hello", "provider": provider})).await.all().await;
            said.push_str(&format!("{events:?}"));
        }
    }
    for tool in [
        r#"get_current_weather {"location":"x"}"#,
        r#"web_search {"query":"x"}"#,
        r#"search_locations {"query":"x"}"#,
        "repeats {}",
        "repeats {}",
        "repeats {}",
        "repeats {}",
    ] {
        let done = user.post("/chat", &json!({"message": format!("/tool {tool}"), "provider": "mock"})).await;
        said.push_str(&done.body.to_string());
    }
    assert!(echo.seen().len() >= 10, "the keys were used");
    let jobs = user.get("/jobs?limit=100").await.expect(200);
    for job in jobs["items"].as_array().unwrap() {
        said.push_str(&user.job(job["id"].as_str().unwrap()).await.to_string());
    }
    for path in ["/models", "/tools", "/settings"] {
        said.push_str(&user.get(path).await.body.to_string());
    }
    let metrics = crate::harness::app::client().get(format!("{}/metrics", app.url(0))).send().await.unwrap();
    said.push_str(&metrics.text().await.unwrap());
    let doctor = app.command().arg("doctor").output().unwrap();
    said.push_str(&String::from_utf8_lossy(&doctor.stdout));
    said.push_str(&String::from_utf8_lossy(&doctor.stderr));
    assert!(!said.contains(CANARY), "said: {}", around(&said));
    for process in app.apis.iter().chain(&app.workers) {
        let output = process.output();
        assert!(output.len() > 1_000 && !output.contains(CANARY), "logged: {}", around(&output));
    }
    let stored = dump::everything(&app.db().await).await;
    assert!(stored.len() > 1_000 && !stored.contains(CANARY), "stored: {}", around(&stored));
}

fn around(text: &str) -> String {
    let at = text.find(CANARY).unwrap_or(0);
    text.chars().skip(text[..at].chars().count().saturating_sub(300)).take(600).collect()
}
