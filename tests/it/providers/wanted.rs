//! What callers want beyond the usual, in each provider's words; what one has no words for is refused, and it is not asked.

use rapport_common::providers::{ChatMessage, ChatRequest, ErrorClass, Options, Role};
use serde_json::{Value, json};

use super::{
    ask,
    formats::{ANTHROPIC, Format, GEMINI, GROQ, OPENAI},
    providers, question,
};
use crate::harness::replay::{Replay, Reply};

fn options(value: Value) -> Options {
    serde_json::from_value(value).unwrap()
}

/// What a provider was sent, or the class of the refusal.
async fn sent(format: &'static Format, request: ChatRequest) -> Result<Value, ErrorClass> {
    let server = Replay::start(move |_, _| Reply::json(200, format.plain)).await;
    let (url, key) = (
        format!("AI_SERVICES__{}_BASE_URL", format.variable),
        format!("AI_SERVICES__{}_API_KEY", format.variable),
    );
    let providers = providers(&[(&url, &server.url), (&key, "secret-key")]);
    let heard = ask(&providers, format.name, request).await;
    match (heard.error, server.seen().first()) {
        (None, Some(seen)) => Ok(seen.json()),
        (Some(error), None) => Err(error),
        other => panic!("{}: {other:?}", format.name),
    }
}

fn with(value: Value) -> ChatRequest {
    ChatRequest { options: options(value), ..question(false) }
}

fn all() -> Value {
    json!({
        "top_p": 0.5, "frequency_penalty": 0.25, "presence_penalty": -0.25, "stop": ["END"], "seed": 7, "logit_bias": {"5": 1},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        "tool_choice": {"type": "function", "function": {"name": "current_time"}}, "parallel_tool_calls": false,
        "reasoning_effort": "low", "verbosity": "low", "user": "u", "safety_identifier": "s", "prompt_cache_key": "k",
        "prompt_cache_retention": "24h", "service_tier": "flex", "prediction": {"type": "content", "content": "x"},
        "logprobs": true, "top_logprobs": 2,
    })
}

#[tokio::test]
async fn who_speaks_openais_way_gets_all_of_it_under_its_own_names() {
    for format in [&OPENAI, &GROQ] {
        let body = sent(format, with(all())).await.unwrap();
        for (name, value) in all().as_object().unwrap() {
            assert_eq!(&body[name], value, "{}: {name}", format.name);
        }
    }
    let plain = sent(&OPENAI, question(false)).await.unwrap();
    assert!(all().as_object().unwrap().keys().all(|name| plain.get(name).is_none()), "{plain}");
}

#[tokio::test]
async fn the_others_get_what_they_have_words_for() {
    let some = json!({
        "top_p": 0.5, "stop": ["END"], "user": "u", "tool_choice": "required", "parallel_tool_calls": false,
        "response_format": {"type": "json_object"},
    });
    let body = sent(&ANTHROPIC, with(some)).await.unwrap();
    assert_eq!((&body["top_p"], &body["stop_sequences"]), (&json!(0.5), &json!(["END"])));
    assert_eq!(body["metadata"]["user_id"], "u");
    assert_eq!(body["tool_choice"], json!({"type": "any", "disable_parallel_tool_use": true}));
    assert!(body["system"].as_str().unwrap().contains("one JSON object"), "{body}");
    let some = json!({
        "top_p": 0.5, "stop": ["END"], "seed": 7, "frequency_penalty": 0.25, "presence_penalty": -0.25,
        "tool_choice": {"type": "function", "function": {"name": "current_time"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "title": "x"}}},
    });
    let body = sent(&GEMINI, with(some)).await.unwrap();
    let config = &body["generationConfig"];
    for (name, value) in [
        ("topP", json!(0.5)),
        ("stopSequences", json!(["END"])),
        ("seed", json!(7)),
        ("frequencyPenalty", json!(0.25)),
        ("presencePenalty", json!(-0.25)),
        ("responseMimeType", json!("application/json")),
        ("responseSchema", json!({"type": "object"})),
    ] {
        assert_eq!(config[name], value, "{name}");
    }
    let calling = &body["toolConfig"]["functionCallingConfig"];
    assert_eq!(calling, &json!({"mode": "ANY", "allowedFunctionNames": ["current_time"]}));
}

#[tokio::test]
async fn what_one_has_no_words_for_is_refused_before_it_is_asked() {
    let foreign = [
        (&ANTHROPIC, json!({"seed": 7})),
        (&ANTHROPIC, json!({"logit_bias": {"5": 1}})),
        (&ANTHROPIC, json!({"reasoning_effort": "low"})),
        (&GEMINI, json!({"logit_bias": {"5": 1}})),
        (&GEMINI, json!({"user": "u"})),
        (&GEMINI, json!({"logprobs": true})),
        (&ANTHROPIC, json!({"logprobs": true, "top_logprobs": 2})),
        (&GEMINI, json!({"parallel_tool_calls": false})),
    ];
    for (format, value) in foreign {
        let told = format!("{}: {value}", format.name);
        assert_eq!(sent(format, with(value)).await.unwrap_err(), ErrorClass::Unsupported, "{told}");
    }
    // Somebody else may have it.
    let server = Replay::start(|_, _| Reply::json(200, OPENAI.plain)).await;
    let providers = providers(&[
        ("AI_SERVICES__ANTHROPIC_API_KEY", "k"),
        ("AI_SERVICES__OPENAI_API_KEY", "k"),
        ("AI_SERVICES__OPENAI_BASE_URL", &server.url),
        ("AI_SERVICES__ORDER", r#"["anthropic", "openai"]"#),
    ]);
    let heard = ask(&providers, "auto", with(json!({"seed": 7}))).await;
    assert_eq!((heard.provider.as_str(), heard.error), ("openai", None), "{heard:?}");
}

#[tokio::test]
async fn how_likely_tokens_were_is_given_back_as_it_came() {
    const PLAIN: &str = r#"{"choices":[{"message":{"content":"Hi!"},"finish_reason":"stop","logprobs":{"content":
        [{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[]},{"token":"!","logprob":-1,"bytes":[33],"top_logprobs":[]}]}}]}"#;
    let chunk = |token: &str| json!({"choices": [{"delta": {"content": token}, "logprobs": {"content": [{"token": token, "logprob": -0.5}], "refusal": null}}]});
    let end = json!({"choices": [{"delta": {}, "logprobs": null, "finish_reason": "stop"}]});
    let streamed: String =
        [chunk("Hi"), chunk("!"), end].iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let streamed = streamed + "data: [DONE]\n\n";
    for stream in [false, true] {
        let streamed = streamed.clone();
        let server = Replay::start(move |_, _| match stream {
            true => Reply::sse(streamed.clone()),
            false => Reply::json(200, PLAIN),
        });
        let server = server.await;
        let providers =
            providers(&[("AI_SERVICES__OPENAI_BASE_URL", &server.url), ("AI_SERVICES__OPENAI_API_KEY", "k")]);
        let request = ChatRequest { options: options(json!({"logprobs": true})), ..question(stream) };
        let heard = ask(&providers, "openai", request).await;
        let tokens: Vec<&str> = heard.logprobs.iter().map(|one| one["token"].as_str().unwrap()).collect();
        assert_eq!((heard.text.as_str(), tokens), ("Hi!", vec!["Hi", "!"]), "{heard:?}");
    }
}

fn with_part(part: Value) -> ChatRequest {
    let mut message = ChatMessage::new(Role::User, "what?");
    message.parts = Some(vec![json!({"type": "text", "text": "what?"}), part]);
    ChatRequest { messages: vec![message].into(), tools: Vec::new(), ..question(false) }
}

fn image() -> Value {
    json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}})
}

#[tokio::test]
async fn a_model_that_sees_nothing_is_passed_over() {
    assert_eq!(sent(&GROQ, with_part(image())).await.unwrap_err(), ErrorClass::Unsupported, "it is known");
    let mut other = with_part(image());
    other.model = Some("meta-llama/llama-4-scout-17b-16e-instruct".to_owned());
    assert_eq!(sent(&GROQ, other).await.unwrap()["messages"][0]["content"][1], image());
    for (status, words, passed) in [
        (404, "No endpoints found that support image input", true),
        (400, "messages[0].content must be a string", true),
        (400, "this model does not support image input", true),
        (400, "You uploaded an unsupported image.", false),
    ] {
        let blind = move |_: &_, _| Reply::json(status, json!({"error": {"message": words}}));
        let (blind, seeing) =
            (Replay::start(blind).await, Replay::start(|_, _| Reply::json(200, ANTHROPIC.plain)).await);
        let providers = providers(&[
            ("AI_SERVICES__OPEN_ROUTER_BASE_URL", &blind.url),
            ("AI_SERVICES__OPEN_ROUTER_API_KEY", "k"),
            ("AI_SERVICES__ANTHROPIC_BASE_URL", &seeing.url),
            ("AI_SERVICES__ANTHROPIC_API_KEY", "k"),
            ("AI_SERVICES__ORDER", r#"["openrouter", "anthropic"]"#),
        ]);
        let heard = ask(&providers, "auto", with_part(image())).await;
        let expected = if passed { None } else { Some(ErrorClass::BadRequest) };
        assert_eq!((heard.error, seeing.seen().len()), (expected, usize::from(passed)), "{words}");
        assert_eq!(blind.seen().len(), 1, "{words}");
        let heard = ask(&providers, "openrouter", with_part(image())).await;
        let class = if passed { ErrorClass::Unsupported } else { ErrorClass::BadRequest };
        assert_eq!(heard.error, Some(class), "{words}");
    }
}

/// Somebody who sees fails once, and beside it is somebody who sees nothing.
#[tokio::test]
async fn who_sees_nothing_makes_no_passing_failure_a_lasting_one() {
    let models = r#"[{"name": "claude-haiku-4-5", "images": false}]"#;
    for (known, expected, asked) in [(true, None, 2), (false, Some(ErrorClass::Overloaded), 1)] {
        let failing = |_: &_, before| match before {
            0 => Reply::json(503, "{}"),
            _ => Reply::json(200, OPENAI.plain),
        };
        let blind = |_: &_, _| Reply::json(400, r#"{"error":{"message":"content must be a string"}}"#);
        let (seeing, blind) = (Replay::start(failing).await, Replay::start(blind).await);
        let variable = if known { "ANTHROPIC" } else { "OPEN_ROUTER" };
        let (url, key) =
            (format!("AI_SERVICES__{variable}_BASE_URL"), format!("AI_SERVICES__{variable}_API_KEY"));
        let providers = providers(&[
            ("AI_SERVICES__OPENAI_BASE_URL", &seeing.url),
            (&url, &blind.url),
            (&key, "k"),
            ("AI_SERVICES__MODELS", models),
            ("AI_SERVICES__ORDER", r#"["openai", "anthropic", "openrouter"]"#),
        ]);
        let heard = ask(&providers, "auto", with_part(image())).await;
        assert_eq!((heard.error, seeing.seen().len()), (expected, asked), "{heard:?}");
        assert_eq!(blind.seen().len(), usize::from(!known), "configuration counts for every provider");
    }
}

#[tokio::test]
async fn images_and_recordings_go_to_those_who_take_them() {
    let image = image();
    let linked = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let moving = json!({"type": "image_url", "image_url": {"url": "data:image/gif;base64,QUJD"}});
    let audio = json!({"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}});
    let body = sent(&OPENAI, with_part(image.clone())).await.unwrap();
    assert_eq!(body["messages"][0]["content"][1], image);
    let body = sent(&ANTHROPIC, with_part(image.clone())).await.unwrap();
    let source = json!({"type": "base64", "media_type": "image/png", "data": "QUJD"});
    assert_eq!(body["messages"][0]["content"][1], json!({"type": "image", "source": source}));
    let body = sent(&ANTHROPIC, with_part(linked.clone())).await.unwrap();
    assert_eq!(body["messages"][0]["content"][1]["source"]["url"], "https://example.com/a.png");
    let body = sent(&GEMINI, with_part(image)).await.unwrap();
    assert_eq!(
        body["contents"][0]["parts"][1]["inlineData"],
        json!({"mimeType": "image/png", "data": "QUJD"})
    );
    let body = sent(&GEMINI, with_part(audio.clone())).await.unwrap();
    assert_eq!(body["contents"][0]["parts"][1]["inlineData"]["mimeType"], "audio/wav");
    for (format, part) in [(&ANTHROPIC, audio), (&GEMINI, linked), (&GEMINI, moving)] {
        assert_eq!(
            sent(format, with_part(part)).await.unwrap_err(),
            ErrorClass::Unsupported,
            "{}",
            format.name
        );
    }
}
