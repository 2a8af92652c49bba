//! A provider that fails in every way it can: the user gets one whole answer from the next, or a clear problem.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::json;

use crate::{
    both_stacks,
    harness::{
        App, Stack,
        replay::{Replay, Reply},
        sse::text_of,
    },
    providers::formats::{ANTHROPIC, OPENAI},
};

both_stacks!(
    the_next_provider_answers_and_the_transcript_holds_only_that,
    with_all_down_the_message_is_kept_and_retry_works,
    breakers_are_shared_and_told,
    budgets_are_kept_by_many_at_once,
);

fn begun() -> String {
    let end = OPENAI.streamed.find("wörld").unwrap();
    let end = OPENAI.streamed[..end].rfind("data:").unwrap();
    OPENAI.streamed[..end].to_owned()
}

async fn app(stack: Stack, first: &Replay, second: &Replay) -> App {
    App::builder(stack)
        .env("AI_SERVICES__OPENAI_BASE_URL", &first.url)
        .env("AI_SERVICES__ANTHROPIC_BASE_URL", &second.url)
        .env("AI_SERVICES__IDLE_TIMEOUT", "0.5")
        .env("AI_SERVICES__FIRST_BYTE_TIMEOUT", "0.5")
        .env("MEMORY__PROVIDER", "mock")
        .start()
        .await
}

async fn the_next_provider_answers_and_the_transcript_holds_only_that(stack: Stack) {
    let faults: Vec<(Reply, &str, bool)> = vec![
        (Reply::json(429, "{}").header("retry-after", "1"), "rate_limited", false),
        (Reply::json(500, "{}"), "overloaded", false),
        (Reply { hangs_before: true, ..Reply::json(200, "") }, "timeout", false),
        (Reply { hangs_after: true, ..Reply::sse(begun()) }, "timeout", true),
        (Reply::sse(begun() + "data: <html>\n\n"), "malformed", true),
        (Reply::sse(begun()), "network", true),
    ];
    let turn = Arc::new(AtomicUsize::new(0));
    let (now, script) = (Arc::clone(&turn), faults.clone());
    let first = Replay::start(move |_, _| script[now.load(Ordering::SeqCst)].0.clone()).await;
    let second = Replay::start(|_, _| Reply::sse(ANTHROPIC.streamed)).await;
    let app = App::builder(stack)
        .env("AI_SERVICES__OPENAI_BASE_URL", &first.url)
        .env("AI_SERVICES__ANTHROPIC_BASE_URL", &second.url)
        .env("AI_SERVICES__IDLE_TIMEOUT", "0.5")
        .env("AI_SERVICES__FIRST_BYTE_TIMEOUT", "0.5")
        .env("AI_SERVICES__BREAKER_FAILURES", "1000")
        .env("MEMORY__PROVIDER", "mock")
        .start()
        .await;
    let user = app.user().await;
    for (index, (_, class, in_answer)) in faults.iter().enumerate() {
        turn.store(index, Ordering::SeqCst);
        if index > 0 {
            // The first one's key rests for the second it was told to.
            let asked = first.seen().len();
            crate::harness::eventually(
                "the first is asked again",
                std::time::Duration::from_secs(20),
                || async {
                    let events =
                        user.stream(&json!({"message": "hello", "enable_memory": false})).await.all().await;
                    assert_eq!(events.last().unwrap().name, "done", "{events:?}");
                    (first.seen().len() > asked).then_some(())
                },
            )
            .await;
        }
        let events = user.stream(&json!({"message": "hello"})).await.all().await;
        let done = &events.last().unwrap().data;
        assert_eq!(
            (done["reply"].as_str(), done["provider"].as_str()),
            (Some("Hello, wörld!"), Some("anthropic"))
        );
        let resets = events.iter().filter(|event| event.name == "reset").count();
        assert_eq!(resets, usize::from(*in_answer), "{class}: {events:?}");
        // What a reader who heeds `reset` has is the answer.
        assert_eq!(text_of(&events), "Hello, wörld!", "{class}: {events:?}");
        let session = done["session_id"].as_str().unwrap();
        let messages = user.messages(session).await;
        assert_eq!((messages.len(), messages[1]["content"].as_str()), (2, Some("Hello, wörld!")));
        let job = user.job(done["job_id"].as_str().unwrap()).await;
        let tries = job["tries"].as_array().unwrap();
        assert_eq!((tries.len(), job["attempt"].as_i64()), (1, Some(1)), "{job}");
        assert_eq!(
            (tries[0]["provider"].as_str(), tries[0]["error"].as_str(), tries[0]["in_answer"].as_bool()),
            (Some("openai"), Some(*class), Some(*in_answer))
        );
    }
}

async fn with_all_down_the_message_is_kept_and_retry_works(stack: Stack) {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let first = Replay::start(|_, _| Reply::json(500, "{}")).await;
    let second = Replay::start(move |_, _| match is_up.load(Ordering::SeqCst) {
        true => Reply::sse(ANTHROPIC.streamed),
        false => Reply::json(529, "{}"),
    })
    .await;
    let app = App::builder(stack)
        .env("AI_SERVICES__OPENAI_BASE_URL", &first.url)
        .env("AI_SERVICES__ANTHROPIC_BASE_URL", &second.url)
        .env("QUEUE__MAX_ATTEMPTS", "2")
        .env("AI_SERVICES__BREAKER_FAILURES", "1000")
        .env("MEMORY__PROVIDER", "mock")
        .start()
        .await;
    let user = app.user().await;
    let session = user.new_session().await;
    let failed = user.post("/chat", &json!({"message": "hello", "session_id": session})).await;
    failed.problem(502, "provider_failed");
    let messages = user.messages(&session).await;
    assert_eq!(
        (messages[0]["content"].as_str(), messages[1]["status"].as_str()),
        (Some("hello"), Some("failed"))
    );
    let job = messages[1]["job_id"].as_str().unwrap().to_owned();
    let tries = user.job(&job).await["tries"].as_array().unwrap().clone();
    let of = |attempt: i64, provider: &str| {
        tries.iter().filter(|one| one["attempt"] == attempt && one["provider"] == provider).count()
    };
    // Nobody waits for the first while the second may answer; the last is tried three times.
    assert_eq!((of(1, "openai"), of(1, "anthropic"), of(2, "openai"), of(2, "anthropic")), (1, 3, 1, 3));
    up.store(true, Ordering::SeqCst);
    user.post(&format!("/jobs/{job}/retry"), &json!({})).await.expect(202);
    let again = user.get(&format!("/jobs/{job}?wait=20")).await.expect(200);
    assert_eq!(again["result"]["reply"], "Hello, wörld!");
    let messages = user.messages(&session).await;
    assert_eq!((messages.len(), messages[1]["content"].as_str()), (2, Some("Hello, wörld!")));
}

async fn breakers_are_shared_and_told(stack: Stack) {
    let first = Replay::start(|_, _| Reply::json(503, "{}")).await;
    let second = Replay::start(|_, _| Reply::sse(ANTHROPIC.streamed)).await;
    let mut app = app(stack, &first, &second).await;
    let user = app.user().await;
    let listed = async || {
        let models = user.get("/models").await.expect(200);
        let find = |name: &str| {
            let all = models["models"].as_array().unwrap().clone();
            all.into_iter().find(|model| model["provider"] == name).unwrap()
        };
        (find("openai")["available"].as_bool().unwrap(), find("anthropic")["available"].as_bool().unwrap())
    };
    assert_eq!(listed().await, (true, true));
    for _ in 0..6 {
        assert_eq!(user.chat("hello").await["provider"], "anthropic");
    }
    let asked = first.seen().len();
    assert_eq!(asked, 5, "the breaker opened at the fifth");
    // The API process hears of it, and so does a worker that starts later.
    crate::harness::eventually("the API knows", std::time::Duration::from_secs(5), || async {
        (listed().await == (false, true)).then_some(())
    })
    .await;
    if stack == Stack::Production {
        app.workers[0].kill();
        app.add_worker();
        // It looks in the background when first asked: one answer may still try.
        for _ in 0..4 {
            assert_eq!(user.chat("hello").await["provider"], "anthropic");
        }
        assert!(first.seen().len() <= asked + 2, "{}", first.seen().len());
    }
}

async fn budgets_are_kept_by_many_at_once(stack: Stack) {
    let app = App::builder(stack).env("QUOTA__DAILY_TOKENS", "3000").start().await;
    let user = app.user().await;
    let ask = |index: usize| {
        let user = user.clone();
        async move {
            let body = json!({"message": format!("/tokens 100 number {index}"), "max_tokens": 400, "enable_memory": false});
            user.post("/chat", &body).await
        }
    };
    let answers = futures::future::join_all((0..16).map(ask)).await;
    let good = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((2..16).contains(&good), "{good} of 16");
    for refused in answers.into_iter().filter(|answer| answer.status != 200) {
        assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
        refused.problem(429, "budget_spent");
    }
    let quota = user.get("/analytics/quota").await.expect(200);
    assert_eq!(quota["daily_tokens"], 3_000);
    assert!(quota["tokens_used"].as_i64().unwrap() <= 3_000, "{quota}");
    // Another user has a budget of their own.
    let other = app.user().await;
    other.chat("/tokens 10").await;
    // A round that was answered is paid for, though the next one is refused and there is no answer.
    let used = async || other.get("/analytics/quota").await.expect(200)["tokens_used"].as_i64().unwrap();
    let before = used().await;
    let long = format!("/tool current_time {{}}\n{}", "many words ".repeat(600));
    let body = json!({"message": long, "tools": ["current_time"], "enable_memory": false, "max_tokens": 100});
    other.post("/chat", &body).await.problem(429, "budget_spent");
    let after = used().await;
    assert!(after > before + 500, "{before} {after}");
}
