//! A provider that is there and quick, but says nothing to some requests, or stops in the middle: they are made anew.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::json;

use crate::{
    both_stacks,
    harness::{
        App, Stack, User, dump, eventually,
        replay::{Replay, Reply},
        sse::text_of,
    },
    providers::formats::OPENAI,
};

both_stacks!(
    a_process_that_has_just_started_knows_how_quick_the_provider_is,
    a_request_that_was_lost_on_the_way_is_made_again,
    an_answer_that_falls_silent_is_asked_for_anew,
);

/// What one process learned of a provider serves the next one: its first request is made anew, too.
async fn a_process_that_has_just_started_knows_how_quick_the_provider_is(stack: Stack) {
    let (mut app, _provider) = app_with_a_lossy_provider(stack).await;
    let user = app.user().await;
    for number in 0..16 {
        user.chat(&format!("number {number}")).await;
    }
    eventually("it is kept", Duration::from_secs(20), || async {
        let mut conn = app.db().await.read().await.unwrap();
        (dump::count(&mut conn, "select count(*) from model_pace").await == 1).then_some(())
    })
    .await;
    match stack {
        Stack::Embedded => app.restart_api(0),
        Stack::Production => {
            app.workers[0].kill();
            app.add_worker();
        }
    }
    assert_asked_anew(&user).await;
}

/// A provider known to be quick says nothing at all, twice: long before the first-byte timeout it is asked anew.
async fn a_request_that_was_lost_on_the_way_is_made_again(stack: Stack) {
    let (app, _provider) = app_with_a_lossy_provider(stack).await;
    let user = app.user().await;
    for number in 0..16 {
        user.chat(&format!("number {number}")).await;
    }
    assert_asked_anew(&user).await;
}

/// The first words come, and then nothing: long before the idle timeout it is asked anew, and who watches is told.
async fn an_answer_that_falls_silent_is_asked_for_anew(stack: Stack) {
    let (app, _provider) = app_with_a_lossy_provider(stack).await;
    let user = app.user().await;
    for number in 0..16 {
        user.chat(&format!("number {number}")).await;
    }
    let whole = user.chat("number 16").await["reply"].as_str().unwrap().to_owned();
    let events = user.stream(&json!({"message": "the cut one"})).await.all().await;
    let job = events[0].data["job_id"].as_str().unwrap().to_owned();
    // The idle timeout is half a minute.
    let job = user.finished(&job, Duration::from_secs(20)).await;
    assert_eq!((job["status"].as_str(), job["attempt"].as_u64()), (Some("succeeded"), Some(1)));
    let tries = job["tries"].as_array().unwrap();
    let one = &tries[0];
    assert_eq!(
        (tries.len(), one["error"].as_str(), one["in_answer"].as_bool()),
        (1, Some("timeout"), Some(true))
    );
    assert!(one["ms"].as_u64() < Some(20_000), "{tries:?}");
    assert!(events.iter().any(|event| event.name == "reset"), "{events:?}");
    assert_eq!(text_of(&events), whole);
    assert_eq!(job["result"]["reply"], whole);
}

/// A provider that says nothing at all to the first two requests with "the lost one", and stops in the middle of its first
/// answer to "the cut one".
async fn app_with_a_lossy_provider(stack: Stack) -> (App, Replay) {
    let (lost, cut) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let provider = Replay::start(move |seen, _| {
        let silent = seen.text.contains("the lost one") && lost.fetch_add(1, Ordering::SeqCst) < 2;
        if seen.text.contains("the cut one") && cut.fetch_add(1, Ordering::SeqCst) == 0 {
            let half = OPENAI.streamed.match_indices("\n\n").nth(1).unwrap().0 + 2;
            return Reply { hangs_after: true, ..Reply::sse(&OPENAI.streamed[..half]) };
        }
        Reply { hangs_before: silent, ..Reply::sse(OPENAI.streamed) }
    });
    let provider = provider.await;
    let app = App::builder(stack)
        .env("AI_SERVICES__OPENAI_BASE_URL", format!("{}/v1", provider.url))
        .env("AI_SERVICES__OPENAI_API_KEY", "sk-test-canary")
        .env("AI_SERVICES__SILENCE_TIMEOUT", "1")
        .env("MEMORY__PROVIDER", "mock")
        .start()
        .await;
    (app, provider)
}

async fn assert_asked_anew(user: &User) {
    let job = user.submit("the lost one").await["id"].as_str().unwrap().to_owned();
    // The first-byte timeout is a minute.
    let job = user.finished(&job, Duration::from_secs(40)).await;
    assert_eq!((job["status"].as_str(), job["attempt"].as_u64()), (Some("succeeded"), Some(1)));
    let tries = job["tries"].as_array().unwrap();
    assert_eq!(tries.len(), 2, "{tries:?}");
    assert!(
        tries.iter().all(|one| one["error"] == "timeout" && one["ms"].as_u64() < Some(30_000)),
        "{tries:?}"
    );
}
