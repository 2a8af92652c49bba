//! The same answer in six providers' words gives the same events.

use std::time::Duration;

use rapport_common::{
    domain::message::Usage,
    providers::{ChatMessage, ErrorClass, Role, ToolCall},
};
use serde_json::{Value, json};

use super::{
    Heard, ask,
    formats::{ALL, Format},
    providers, question,
};
use crate::harness::replay::{Replay, Reply};

/// Asks the provider of a format, whose server answers so.
async fn answer(format: &Format, stream: bool, reply: Reply) -> (Heard, Replay) {
    let server = Replay::start(move |_, _| reply.clone()).await;
    let url = format!("AI_SERVICES__{}_BASE_URL", format.variable);
    let key = format!("AI_SERVICES__{}_API_KEY", format.variable);
    let providers = providers(&[(&url, &server.url), (&key, "secret-key")]);
    (ask(&providers, format.name, question(stream)).await, server)
}

fn is_the_answer(name: &str, heard: &Heard) {
    assert_eq!(heard.error, None, "{name}: {heard:?}");
    assert_eq!(heard.text, "Hello, wörld!", "{name}");
    assert_eq!((heard.usage, heard.finish), (Some(Usage::new(9, 3)), Some("stop")), "{name}");
    assert!(heard.calls.is_empty());
}

fn are_the_calls(name: &str, heard: &Heard) {
    assert_eq!(heard.error, None, "{name}: {heard:?}");
    assert_eq!((heard.usage, heard.finish), (Some(Usage::new(20, 15)), Some("tool_calls")), "{name}");
    let calls: Vec<(&str, Value)> = heard
        .calls
        .iter()
        .map(|call| (call.name.as_str(), serde_json::from_str(&call.arguments).unwrap()))
        .collect();
    assert_eq!(
        calls,
        [("get_weather", json!({"location": "London"})), ("current_time", json!({}))],
        "{name}"
    );
    let [a, b] = &heard.calls[..] else { panic!("{name}") };
    assert!(!a.id.is_empty() && !b.id.is_empty() && a.id != b.id, "{name}");
    assert_eq!(a.signature.as_deref(), (name == "gemini").then_some("c2ln"));
}

#[tokio::test]
async fn plain_and_streamed_answers_and_calls_are_the_same_from_all() {
    for format in &ALL {
        let (heard, _) = answer(format, false, Reply::json(200, format.plain)).await;
        is_the_answer(format.name, &heard);
        let (heard, _) = answer(format, true, Reply::sse(format.streamed)).await;
        is_the_answer(format.name, &heard);
        let (heard, _) = answer(format, false, Reply::json(200, format.plain_tools)).await;
        are_the_calls(format.name, &heard);
        let (heard, _) = answer(format, true, Reply::sse(format.streamed_tools)).await;
        are_the_calls(format.name, &heard);
        // Whoever is asked for a stream and answers plainly is understood too.
        let (heard, _) = answer(format, true, Reply::json(200, format.plain)).await;
        is_the_answer(format.name, &heard);
    }
}

#[tokio::test]
async fn a_stream_cut_at_any_byte_is_a_broken_one_and_never_another_answer() {
    for format in &ALL {
        let whole = format.streamed.as_bytes();
        let server = Replay::start(move |seen, _| {
            // The model's name says where to cut.
            let model = seen.line.rsplit("cut-").next().unwrap_or_default();
            let from_path: String = model.chars().take_while(char::is_ascii_digit).collect();
            let from_body =
                seen.json()["model"].as_str().and_then(|name| name.strip_prefix("cut-")?.parse().ok());
            let at: usize = from_body.or_else(|| from_path.parse().ok()).unwrap();
            Reply::sse(&whole[..at])
        })
        .await;
        let url = format!("AI_SERVICES__{}_BASE_URL", format.variable);
        let providers = providers(&[(&url, &server.url), ("AI_SERVICES__BREAKER_FAILURES", "1000000")]);
        let mut broken = 0;
        for at in 0..=whole.len() {
            let mut request = question(true);
            request.model = Some(format!("cut-{at}"));
            request.within = Some(Duration::ZERO); // one try
            let heard = ask(&providers, format.name, request).await;
            assert!("Hello, wörld!".starts_with(&heard.text), "{} at {at}: {heard:?}", format.name);
            if heard.error.is_some() {
                broken += 1;
                assert_eq!(heard.error, Some(ErrorClass::Network), "{} at {at}", format.name);
            } else {
                assert_eq!(
                    (heard.text.as_str(), heard.finish),
                    ("Hello, wörld!", Some("stop")),
                    "{} at {at}",
                    format.name
                );
            }
        }
        // Once the reason is there the answer is whole, with or without what follows.
        assert!(broken > whole.len() / 2, "{}", format.name);
        let (heard, _) =
            answer(format, true, Reply { breaks_off: true, ..Reply::sse(&whole[..whole.len() / 2]) }).await;
        assert_eq!(heard.error, Some(ErrorClass::Network), "{}", format.name);
    }
}

#[tokio::test]
async fn every_class_of_error_is_told_apart() {
    use ErrorClass::*;
    let openai = |message: &str, kind: &str, code: &str| {
        json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
    };
    let google = |code: u16, status: &str, reason: &str| {
        json!({"error": {"code": code, "message": "x", "status": status, "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]}})
            .to_string()
    };
    let anthropic = |kind: &str| {
        json!({"type": "error", "error": {"type": kind, "message": "x"}, "request_id": "req_1"}).to_string()
    };
    let retry = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]}});
    let cases: Vec<(&str, u16, String, ErrorClass)> = vec![
        ("openai", 400, openai("x", "invalid_request_error", "context_length_exceeded"), BadRequest),
        ("openai", 400, openai("x", "invalid_request_error", "content_policy_violation"), Refused),
        ("openai", 401, openai("Incorrect API key provided: secret-key", "invalid_request_error", "invalid_api_key"), Auth),
        ("openai", 403, openai("Country not supported", "request_forbidden", "unsupported_country_region_territory"), Auth),
        ("openai", 404, openai("The model does not exist", "invalid_request_error", "model_not_found"), Auth),
        ("openai", 429, openai("Rate limit reached", "requests", "rate_limit_exceeded"), RateLimited),
        ("openai", 429, openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), Auth),
        ("openai", 500, openai("The server had an error", "server_error", "x"), Overloaded),
        ("openai", 503, openai("Overloaded", "server_error", "x"), Overloaded),
        ("openrouter", 402, json!({"error": {"code": 402, "message": "Insufficient credits"}}).to_string(), Auth),
        ("openrouter", 403, json!({"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["moderation"]}}}).to_string(), Refused),
        ("openrouter", 404, json!({"error": {"code": 404, "message": "No endpoints found that support tool use"}}).to_string(), NoTools),
        ("openrouter", 408, json!({"error": {"code": 408, "message": "timed out"}}).to_string(), Timeout),
        ("openrouter", 502, json!({"error": {"code": 502, "message": "model is down"}}).to_string(), Overloaded),
        ("groq", 400, openai("Failed to call a function", "invalid_request_error", "tool_use_failed"), Malformed),
        ("groq", 413, openai("Request too large", "tokens", "rate_limit_exceeded"), BadRequest),
        ("groq", 498, openai("Flex tier capacity exceeded", "x", "capacity_exceeded"), Overloaded),
        ("ollama", 400, json!({"error": {"message": "registry.ollama.ai/library/x does not support tools", "type": "api_error"}}).to_string(), NoTools),
        ("ollama", 404, json!({"error": {"message": "model 'x' not found", "type": "not_found_error"}}).to_string(), Auth),
        ("gemini", 400, google(400, "INVALID_ARGUMENT", "x"), BadRequest),
        ("gemini", 400, google(400, "INVALID_ARGUMENT", "API_KEY_INVALID"), Auth),
        ("gemini", 403, google(403, "PERMISSION_DENIED", "x"), Auth),
        ("gemini", 404, google(404, "NOT_FOUND", "x"), Auth),
        ("gemini", 429, retry.to_string(), RateLimited),
        ("gemini", 500, google(500, "INTERNAL", "x"), Overloaded),
        ("gemini", 503, google(503, "UNAVAILABLE", "x"), Overloaded),
        ("gemini", 504, google(504, "DEADLINE_EXCEEDED", "x"), Timeout),
        ("anthropic", 400, anthropic("invalid_request_error"), BadRequest),
        ("anthropic", 401, anthropic("authentication_error"), Auth),
        ("anthropic", 403, anthropic("permission_error"), Auth),
        ("anthropic", 404, anthropic("not_found_error"), Auth),
        ("anthropic", 413, anthropic("request_too_large"), BadRequest),
        ("anthropic", 429, anthropic("rate_limit_error"), RateLimited),
        ("anthropic", 500, anthropic("api_error"), Overloaded),
        ("anthropic", 529, anthropic("overloaded_error"), Overloaded),
    ];
    for (name, status, body, class) in cases {
        let format = ALL.iter().find(|format| format.name == name).unwrap();
        let (heard, _) = answer(format, true, Reply::json(status, &body).header("retry-after", "7")).await;
        let told = heard.tries.first().unwrap().error;
        assert_eq!(told, class.as_str(), "{name} {status} {body}");
        assert_eq!(heard.tries[0].retry_after_ms, Some(7_000));
    }
    // Without a header, Google's own word for when.
    let format = ALL.iter().find(|format| format.name == "gemini").unwrap();
    let (heard, _) = answer(format, true, Reply::json(429, &retry)).await;
    assert_eq!(heard.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn errors_inside_an_answer_are_errors() {
    use ErrorClass::*;
    let begun = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n";
    let cases: Vec<(&str, Reply, ErrorClass)> = vec![
        (
            "openrouter",
            Reply::json(200, json!({"error": {"code": 429, "message": "Rate limited"}})),
            RateLimited,
        ),
        (
            "openrouter",
            Reply::sse(
                "data: {\"error\":{\"code\":502,\"message\":\"Provider disconnected\"},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n",
            ),
            Overloaded,
        ),
        (
            "openrouter",
            Reply::sse(format!(
                "{begun}data: {{\"error\":{{\"code\":\"server_error\",\"message\":\"x\"}}}}\n\n"
            )),
            Overloaded,
        ),
        (
            "openai",
            Reply::sse(format!(
                "{begun}data: {{\"error\":{{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\"}}}}\n\n"
            )),
            Auth,
        ),
        ("openai", Reply::sse(format!("{begun}data: <html>502 Bad Gateway</html>\n\n")), Malformed),
        ("openai", Reply::json(200, "<html>hello</html>"), Malformed),
        (
            "groq",
            Reply::sse(
                "event: error\ndata: {\"error\":{\"message\":\"x\",\"type\":\"invalid_request_error\",\"code\":\"tool_use_failed\",\"status_code\":400}}\n\n",
            ),
            Malformed,
        ),
        (
            "gemini",
            Reply::json(
                200,
                json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}),
            ),
            Refused,
        ),
        (
            "gemini",
            Reply::json(200, json!({"candidates": [{"finishReason": "SAFETY", "index": 0}]})),
            Refused,
        ),
        (
            "gemini",
            Reply::json(200, json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]})),
            Malformed,
        ),
        (
            "gemini",
            Reply::sse(
                "data: {\"error\":{\"code\":503,\"message\":\"overloaded\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n",
            ),
            Overloaded,
        ),
        (
            "anthropic",
            Reply::sse(
                "event: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"overloaded_error\", \"message\": \"Overloaded\"}}\n\n",
            ),
            Overloaded,
        ),
        (
            "anthropic",
            Reply::json(
                200,
                json!({"type": "message", "content": [], "stop_reason": "refusal", "usage": {}}),
            ),
            Refused,
        ),
        ("anthropic", Reply::sse("data: not json\n\n"), Malformed),
        ("openai", Reply { hangs_after: true, ..Reply::sse(begun) }, Timeout),
        (
            "anthropic",
            Reply { hangs_after: true, ..Reply::sse("event: ping\ndata: {\"type\": \"ping\"}\n\n") },
            Timeout,
        ),
    ];
    for (name, reply, class) in cases {
        let format = ALL.iter().find(|format| format.name == name).unwrap();
        let (heard, _) = answer(format, true, reply.clone()).await;
        assert_eq!(
            heard.tries.first().map(|failed| failed.error),
            Some(class.as_str()),
            "{name}: {heard:?} {reply:?}"
        );
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "each adapter's request, whole")]
async fn what_is_sent_is_what_the_documentation_wants() {
    let call = ToolCall {
        id: "call_1".to_owned(),
        name: "get_weather".to_owned(),
        arguments: r#"{"location":"London"}"#.to_owned(),
        signature: Some("c2ln".to_owned()),
    };
    for format in &ALL {
        let server = Replay::start(|_, _| Reply::json(200, "{}")).await;
        let url = format!("AI_SERVICES__{}_BASE_URL", format.variable);
        let key = format!("AI_SERVICES__{}_API_KEY", format.variable);
        let providers = providers(&[(&url, &server.url), (&key, "secret-key")]);
        let mut request = question(true);
        let mut turn = ChatMessage::new(Role::Assistant, "I look.");
        turn.tool_calls = vec![call.clone(), ToolCall { id: "call_2".to_owned(), ..call.clone() }];
        std::sync::Arc::make_mut(&mut request.messages).push(turn);
        for id in ["call_1", "call_2"] {
            let mut told = ChatMessage::new(Role::Tool, r#"{"ok":true,"result":5}"#);
            told.answers = Some((id.to_owned(), "get_weather".to_owned()));
            std::sync::Arc::make_mut(&mut request.messages).push(told);
        }
        ask(&providers, format.name, request).await;
        let seen = server.seen().remove(0);
        let body = seen.json();
        match format.name {
            "gemini" => {
                assert_eq!(seen.line, "POST /models/gemini-2.5-flash:streamGenerateContent?alt=sse");
                assert_eq!(seen.headers["x-goog-api-key"], "secret-key");
                assert_eq!(body["systemInstruction"]["parts"][0]["text"], "Be kind.");
                assert_eq!(body["contents"][0]["role"], "user");
                assert_eq!(body["contents"][1]["role"], "model");
                assert_eq!(body["contents"][1]["parts"][1]["functionCall"]["args"]["location"], "London");
                assert_eq!(body["contents"][1]["parts"][1]["thoughtSignature"], "c2ln");
                assert_eq!(body["contents"][2]["parts"].as_array().unwrap().len(), 2);
                assert_eq!(body["contents"][2]["parts"][1]["functionResponse"]["response"]["result"], 5);
                assert_eq!(body["generationConfig"]["maxOutputTokens"], 50);
                let declared = &body["tools"][0]["functionDeclarations"];
                assert_eq!(declared[0]["parameters"]["required"], json!(["location"]));
                assert!(declared[0]["parameters"].get("additionalProperties").is_none());
                assert!(declared[1].get("parameters").is_none());
            }
            "anthropic" => {
                assert_eq!(seen.line, "POST /messages");
                assert_eq!(
                    (seen.headers["x-api-key"].as_str(), seen.headers["anthropic-version"].as_str()),
                    ("secret-key", "2023-06-01")
                );
                assert_eq!(
                    (body["system"].as_str(), body["max_tokens"].as_i64()),
                    (Some("Be kind."), Some(50))
                );
                assert_eq!(body["messages"][1]["content"][1]["type"], "tool_use");
                assert_eq!(body["messages"][1]["content"][1]["input"]["location"], "London");
                assert_eq!(body["messages"][2]["role"], "user");
                assert_eq!(body["messages"][2]["content"][1]["tool_use_id"], "call_2");
                assert_eq!(body["tools"][0]["input_schema"]["type"], "object");
                assert_eq!(body["stream"], true);
            }
            name => {
                assert_eq!(seen.line, "POST /chat/completions");
                assert_eq!(seen.headers["authorization"], "Bearer secret-key");
                assert_eq!(seen.headers.contains_key("x-title"), name == "openrouter");
                assert_eq!(body["messages"][0], json!({"role": "system", "content": "Be kind."}));
                assert_eq!(body["messages"][2]["tool_calls"][1]["id"], "call_2");
                assert_eq!(body["messages"][3]["role"], "tool");
                assert_eq!(body["messages"][3]["tool_call_id"], "call_1");
                assert_eq!(body["tools"][0]["function"]["name"], "get_weather");
                assert_eq!(body["stream_options"]["include_usage"], true);
                assert_eq!(body["max_tokens"], 50);
            }
        }
    }
}
