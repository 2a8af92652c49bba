//! Failing over, resting, rotating: who is asked, and how often.

use std::time::Duration;

use super::{
    ask,
    formats::{ANTHROPIC, OPENAI},
    providers, question,
};
use crate::harness::replay::{Replay, Reply};
use rapport_common::providers::{ErrorClass, Providers};

/// OpenAI's form first, answering as told, and Anthropic's behind it, answering well.
async fn two(first: impl Fn(usize) -> Reply + Send + Sync + 'static) -> (Replay, Replay, Providers) {
    let first = Replay::start(move |_, before| first(before)).await;
    let second = Replay::start(|_, _| Reply::sse(ANTHROPIC.streamed)).await;
    let providers = providers(&[
        ("AI_SERVICES__OPENAI_BASE_URL", &first.url),
        ("AI_SERVICES__ANTHROPIC_BASE_URL", &second.url),
        ("AI_SERVICES__BREAKER_FAILURES", "3"),
        ("AI_SERVICES__BREAKER_REST", "0.3"),
    ]);
    (first, second, providers)
}

fn begun() -> String {
    let end = OPENAI.streamed.find("wörld").unwrap();
    let end = OPENAI.streamed[..end].rfind("data:").unwrap();
    OPENAI.streamed[..end].to_owned()
}

#[tokio::test]
async fn whatever_the_first_does_the_next_gives_one_whole_answer() {
    let cases: Vec<(&str, Reply, &str, bool)> = vec![
        ("429", Reply::json(429, "{}").header("retry-after", "30"), "rate_limited", false),
        ("500", Reply::json(500, "{}"), "overloaded", false),
        (
            "hangs before the first byte",
            Reply { hangs_before: true, ..Reply::json(200, "") },
            "timeout",
            false,
        ),
        ("hangs in mid-stream", Reply { hangs_after: true, ..Reply::sse(begun()) }, "timeout", true),
        ("garbage", Reply::sse(begun() + "data: <html>\n\n"), "malformed", true),
        ("closes early", Reply::sse(begun()), "network", true),
        ("breaks off", Reply { breaks_off: true, ..Reply::sse(begun()) }, "network", true),
        ("wrong key", Reply::json(401, "{}"), "auth", false),
    ];
    for (what, reply, class, in_answer) in cases {
        let (_first, _second, providers) = two(move |_| reply.clone()).await;
        let heard = ask(&providers, "auto", question(true)).await;
        assert_eq!((heard.error, heard.text.as_str()), (None, "Hello, wörld!"), "{what}: {heard:?}");
        assert_eq!(heard.provider, "anthropic", "{what}");
        let tries: Vec<_> =
            heard.tries.iter().map(|one| (one.provider.as_str(), one.error, one.in_answer)).collect();
        assert_eq!(tries, [("openai", class, in_answer)], "{what}");
        assert_eq!(heard.restarts, usize::from(in_answer), "{what}");
    }
}

#[tokio::test]
async fn what_cannot_succeed_is_not_tried_again_anywhere() {
    for (status, body) in [
        (400, r#"{"error":{"code":"context_length_exceeded"}}"#),
        (400, r#"{"error":{"code":"content_policy_violation"}}"#),
    ] {
        let (first, second, providers) = two(move |_| Reply::json(status, body)).await;
        let heard = ask(&providers, "auto", question(true)).await;
        assert!(matches!(heard.error, Some(ErrorClass::BadRequest | ErrorClass::Refused)), "{heard:?}");
        assert_eq!((first.seen().len(), second.seen().len()), (1, 0));
    }
    // A named provider is asked, and no other.
    let (first, second, providers) = two(|_| Reply::json(500, "{}")).await;
    let heard = ask(&providers, "openai", question(true)).await;
    assert_eq!(heard.error, Some(ErrorClass::Overloaded));
    assert_eq!((first.seen().len(), second.seen().len()), (3, 0), "tried again twice");
    // A model that knows no tools is asked without them.
    let (first, second, providers) = two(|before| match before {
        0 => Reply::json(400, r#"{"error":{"message":"llama does not support tools"}}"#),
        _ => Reply::sse(OPENAI.streamed),
    })
    .await;
    let heard = ask(&providers, "auto", question(true)).await;
    assert_eq!((heard.error, heard.text.as_str()), (None, "Hello, wörld!"));
    assert_eq!((first.seen().len(), second.seen().len()), (2, 0));
    assert!(first.seen()[1].json().get("tools").is_none());
}

#[tokio::test]
async fn an_open_breaker_costs_no_time_and_closes_again() {
    let (first, _second, providers) = two(|before| match before {
        0..3 => Reply::json(503, "{}"),
        _ => Reply::sse(OPENAI.streamed),
    })
    .await;
    for _ in 0..3 {
        assert_eq!(ask(&providers, "auto", question(true)).await.provider, "anthropic");
    }
    assert_eq!(first.seen().len(), 3);
    // Open: not asked at all, under `auto` or by name.
    let heard = ask(&providers, "auto", question(true)).await;
    assert_eq!((heard.provider.as_str(), heard.tries[0].error), ("anthropic", "unavailable"));
    let alone = ask(&providers, "openai", question(true)).await;
    assert_eq!(alone.error, Some(ErrorClass::Unavailable));
    assert!(alone.retry_after.is_some());
    assert_eq!(first.seen().len(), 3);
    // After its rest one request tries, and it is back.
    let back = async {
        loop {
            let heard = ask(&providers, "auto", question(true)).await;
            if heard.provider == "openai" {
                return heard;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(10), back).await.expect("the breaker closes");
    assert_eq!((heard.text.as_str(), heard.tries.len()), ("Hello, wörld!", 0));
}

#[tokio::test]
async fn keys_take_turns_and_one_that_is_used_up_rests() {
    let server = Replay::start(|seen, _| match seen.headers["authorization"].as_str() {
        "Bearer one" => Reply::json(429, "{}").header("retry-after", "30"),
        "Bearer two" => Reply::json(401, "{}"),
        _ => Reply::sse(OPENAI.streamed)
            .header("x-ratelimit-limit-requests", "10")
            .header("x-ratelimit-remaining-requests", "9"),
    })
    .await;
    let providers = providers(&[
        ("AI_SERVICES__OPENAI_BASE_URL", &server.url),
        ("AI_SERVICES__OPENAI_API_KEY", "one"),
        ("AI_SERVICES__OPENAI_API_KEY_1", "two"),
        ("AI_SERVICES__OPENAI_API_KEY_2", "three"),
    ]);
    let heard = ask(&providers, "auto", question(true)).await;
    let tries: Vec<_> = heard.tries.iter().map(|one| (one.key, one.error)).collect();
    assert_eq!((heard.error, tries), (None, vec![(0, "rate_limited"), (1, "auth")]));
    for _ in 0..5 {
        let heard = ask(&providers, "auto", question(true)).await;
        assert_eq!((heard.error, heard.tries.len()), (None, 0));
    }
    let keys: Vec<String> =
        server.seen().into_iter().map(|seen| seen.headers["authorization"].clone()).collect();
    assert_eq!(keys[..3], ["Bearer one", "Bearer two", "Bearer three"]);
    assert!(keys[3..].iter().all(|key| key == "Bearer three"), "{keys:?}");
}

#[tokio::test]
async fn a_rate_the_provider_told_is_kept_without_asking() {
    let server = Replay::start(|_, _| {
        Reply::sse(OPENAI.streamed)
            .header("x-ratelimit-limit-requests", "100")
            .header("x-ratelimit-remaining-requests", "0")
            .header("x-ratelimit-reset-requests", "10m0s")
    })
    .await;
    let providers =
        providers(&[("AI_SERVICES__OPENAI_BASE_URL", &server.url), ("AI_SERVICES__OPENAI_API_KEY", "k")]);
    assert_eq!(ask(&providers, "openai", question(true)).await.error, None);
    let heard = ask(&providers, "openai", question(true)).await;
    assert_eq!((heard.error, server.seen().len()), (Some(ErrorClass::RateLimited), 1));
    assert!(
        heard.retry_after.is_some_and(|wait| wait <= Duration::from_secs(6)),
        "one of a hundred in ten minutes"
    );
}

#[tokio::test]
async fn a_short_rest_is_waited_out_when_nobody_else_can_answer() {
    let server = Replay::start(|_, before| match before {
        0 => Reply::json(429, "{}").header("retry-after-ms", "50"),
        1 => Reply::json(500, "{}"),
        _ => Reply::sse(OPENAI.streamed),
    })
    .await;
    let providers = providers(&[("AI_SERVICES__OPENAI_BASE_URL", &server.url)]);
    let heard = ask(&providers, "auto", question(true)).await;
    assert_eq!(
        (heard.error, heard.text.as_str(), heard.tries.len()),
        (None, "Hello, wörld!", 2),
        "{heard:?}"
    );
}
