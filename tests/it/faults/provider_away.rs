//! The provider is gone for a while: messages wait for it, and those who watch are told; nothing fails that need not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    both_stacks,
    harness::{
        App, Stack, eventually,
        replay::{Replay, Reply},
        servers::free_port,
        sse::{Event, text_of},
    },
    providers::formats::ANTHROPIC,
};

both_stacks!(
    an_outage_fails_no_message_and_its_end_is_noticed,
    one_that_outlasts_the_patience_fails_each_message_once,
    a_waiting_message_is_cancelled_at_once,
    a_waiting_message_is_handed_back_by_a_worker_that_stops,
    waiting_messages_do_not_stand_before_those_of_other_providers,
    a_window_waits_for_its_reader_as_long_as_it_takes,
);

/// The numbers of one attempt's events have no gap. The final one may have been made from the ledger: it has its own.
fn assert_numbered(events: &[Event]) {
    let before = events.iter().filter(|event| !["done", "error"].contains(&event.name.as_str()));
    let ids: Vec<&str> = before.map(|event| event.id.as_str()).collect();
    assert_eq!(ids[0], "0-1");
    for (index, id) in ids[1..].iter().enumerate() {
        assert_eq!(*id, format!("1-{}", index + 1), "{events:?}");
    }
}

fn assert_told(waiting: &Event, provider: &str) {
    assert_eq!(
        (waiting.data["reason"].as_str(), waiting.data["provider"].as_str()),
        (Some("provider_away"), Some(provider))
    );
    let next = waiting.data["retry_in_ms"].as_u64().unwrap();
    assert!((1..=2_000).contains(&next), "{waiting:?}");
}

async fn an_outage_fails_no_message_and_its_end_is_noticed(stack: Stack) {
    const MESSAGES: usize = 20;
    let mut app = App::builder(stack).http_provider(&[]).env("MEMORY__PROVIDER", "mock").start().await;
    let user = app.user().await;
    assert_eq!(user.chat("/echo before").await["provider"], "openai");
    app.kill_mock();
    let (tell, mut told) = mpsc::unbounded_channel();
    let clients: Vec<_> = (0..MESSAGES)
        .map(|index| {
            let (user, tell) = (user.clone(), tell.clone());
            tokio::spawn(async move {
                let mut stream = user.stream(&json!({"message": format!("/echo number {index}")})).await;
                let mut events = Vec::new();
                while let Some(event) = stream.next().await {
                    if event.name == "waiting" {
                        let _ = tell.send(index);
                    }
                    events.push(event);
                }
                (events, Instant::now())
            })
        })
        .collect();
    // The outage lasts until every client was told four times to wait: some twenty seconds.
    let began = Instant::now();
    let mut heard = [0; MESSAGES];
    while heard.iter().any(|&times| times < 4) {
        let next = tokio::time::timeout(Duration::from_secs(45), told.recv()).await;
        heard[next.expect("clients are told to wait").expect("clients are there")] += 1;
    }
    app.restart_mock();
    let back = Instant::now();
    let mut last = back;
    for (index, client) in clients.into_iter().enumerate() {
        let ended = tokio::time::timeout(Duration::from_secs(20), client).await;
        let (events, at) = ended.expect("answered soon after the provider's return").unwrap();
        last = last.max(at);
        assert_numbered(&events);
        assert_eq!(text_of(&events), format!("number {index}"));
        let done = events.last().unwrap();
        assert_eq!((done.name.as_str(), done.data["provider"].as_str()), ("done", Some("openai")));
        assert!(!events.iter().any(|event| event.name == "reset"), "{events:?}");
        events.iter().filter(|event| event.name == "waiting").for_each(|event| assert_told(event, "openai"));
        let job = user.job(done.data["job_id"].as_str().unwrap()).await;
        assert_eq!((job["status"].as_str(), job["attempt"].as_u64()), (Some("succeeded"), Some(1)));
    }
    println!(
        "{stack:?}: away for {:.1} s; the last of {MESSAGES} was answered {:.2} s after its return",
        (back - began).as_secs_f64(),
        (last - back).as_secs_f64()
    );
}

async fn one_that_outlasts_the_patience_fails_each_message_once(stack: Stack) {
    let app = App::builder(stack)
        .env("AI_SERVICES__OPENAI_BASE_URL", format!("http://127.0.0.1:{}/v1", free_port()))
        .env("QUEUE__PROVIDER_PATIENCE", "2")
        .env("MEMORY__PROVIDER", "mock")
        .start()
        .await;
    let user = app.user().await;
    let body = json!({"message": "/echo hi", "provider": "openai"});
    let events = user.stream(&body).await.all().await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names.iter().filter(|name| **name == "error").count(), 1, "{names:?}");
    assert!(names.contains(&"waiting") && !names.contains(&"reset"), "{names:?}");
    assert_eq!(events.last().unwrap().data["code"], "provider_failed");
    assert_numbered(&events);
    let id = events.last().unwrap().data["job_id"].as_str().unwrap();
    let job = user.job(id).await;
    assert_eq!((job["status"].as_str(), job["attempt"].as_u64()), (Some("failed"), Some(1)), "{job}");
    assert!(job["tries"].as_array().unwrap().iter().any(|one| one["error"] == "network"), "{job}");
    let quota = user.get("/analytics/quota").await.expect(200);
    assert_eq!(quota["tokens_used"], 0);
    // The breaker is open by now: who comes next waits as long, and fails as visibly.
    let failed = user.post("/chat", &body).await;
    assert!(failed.headers.contains_key("x-job-id"));
    assert!(failed.body["code"].as_str().unwrap().starts_with("provider_"), "{}", failed.body);
    // Nobody waits for what waiting cannot mend.
    user.post("/chat", &json!({"message": "/fail 401", "provider": "mock"}))
        .await
        .problem(502, "provider_misconfigured");
}

async fn a_waiting_message_is_cancelled_at_once(stack: Stack) {
    let app = App::builder(stack)
        .env("AI_SERVICES__OPENAI_BASE_URL", format!("http://127.0.0.1:{}/v1", free_port()))
        .env("MEMORY__PROVIDER", "mock")
        .start()
        .await;
    let user = app.user().await;
    let session = user.new_session().await;
    let mut stream =
        user.stream(&json!({"message": "/echo hi", "session_id": session, "provider": "openai"})).await;
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Event| event.name != "waiting") {
        events.push(stream.next().await.expect("waiting"));
    }
    let job = events[0].data["job_id"].as_str().unwrap().to_owned();
    let asked = Instant::now();
    let cancelled = user.post(&format!("/jobs/{job}/cancel"), &json!({})).await.expect(200);
    // Not a measurement: the contract's own bound, with room for a loaded machine.
    assert!(asked.elapsed() < Duration::from_secs(3));
    assert_eq!(cancelled["status"], "cancelled");
    let rest = stream.all().await;
    assert_eq!(rest.last().unwrap().data["finish_reason"], "cancelled");
    let next = json!({"message": "/echo next", "session_id": session, "provider": "mock"});
    assert_eq!(user.post("/chat", &next).await.expect(200)["reply"], "next");
}

async fn a_waiting_message_is_handed_back_by_a_worker_that_stops(stack: Stack) {
    let mut app = App::builder(stack)
        .http_provider(&[])
        .env("MEMORY__PROVIDER", "mock")
        .env("SHUTDOWN_GRACE", "60")
        .start()
        .await;
    let user = app.user().await;
    app.kill_mock();
    let job = user.submit("/echo at last").await["id"].as_str().unwrap().to_owned();
    let mut stream = user.events(&job, None).await;
    while stream.next().await.expect("waiting").name != "waiting" {}
    let process = if stack == Stack::Embedded { &app.apis[0] } else { &app.workers[0] };
    process.signal("TERM");
    // Long before its grace ends: it has nothing to finish.
    assert_eq!(process.wait(Duration::from_secs(30)).code(), Some(0));
    app.restart_mock();
    app.start_runner();
    let ended = user.finished(&job, Duration::from_secs(20)).await;
    assert_eq!(
        (ended["status"].as_str(), ended["result"]["reply"].as_str()),
        (Some("succeeded"), Some("at last"))
    );
    assert_eq!(ended["max_attempts"], 4, "the attempt that was handed back does not count");
}

async fn waiting_messages_do_not_stand_before_those_of_other_providers(stack: Stack) {
    let app = App::builder(stack)
        .env("AI_SERVICES__OPENAI_BASE_URL", format!("http://127.0.0.1:{}/v1", free_port()))
        .env("MEMORY__PROVIDER", "mock")
        .env("QUEUE__PROVIDER_PATIENCE", "600")
        .start()
        .await;
    app.leaves_jobs(); // they wait for a provider that never comes
    let user = app.user().await;
    // More than a process runs at once.
    let body = json!({"message": "/echo hi", "provider": "openai"});
    let waiting = futures::future::join_all((0..80).map(|_| user.try_submit(&body))).await;
    let waiting: Vec<String> =
        waiting.into_iter().map(|job| job.unwrap()["id"].as_str().unwrap().to_owned()).collect();
    eventually("all of them wait", Duration::from_secs(30), || async {
        let running = user.get("/jobs?status=running&limit=200").await.expect(200);
        (running["items"].as_array()?.len() == waiting.len()).then_some(())
    })
    .await;
    let answered = user.post("/chat", &json!({"message": "/echo me", "provider": "mock"})).await.expect(200);
    assert_eq!(answered["reply"], "me");
    assert_eq!(user.job(&waiting[0]).await["status"], "running");
}

async fn a_window_waits_for_its_reader_as_long_as_it_takes(stack: Stack) {
    let mut app = crate::harness::memory::quick(stack)
        .http_provider(&[])
        .env("MEMORY__PROVIDER", "openai")
        .env("QUEUE__MAX_ATTEMPTS", "2")
        .start()
        .await;
    let user = app.user().await;
    app.kill_mock();
    let body = json!({"message": "I like green tea.", "provider": "mock"});
    let session = user.post("/chat", &body).await.expect(200)["session_id"].as_str().unwrap().to_owned();
    let job = async || {
        let jobs = user.get("/jobs?kind=memory_extraction").await.expect(200);
        let items = jobs["items"].as_array().unwrap();
        assert!(items.len() <= 1, "{items:#?}");
        items.first().cloned()
    };
    // More attempts than a failure would be given; none of them counts.
    let waiting: Value = eventually("it was tried again and again", Duration::from_secs(60), || async {
        let job = job().await?;
        assert!(["queued", "running"].contains(&job["status"].as_str().unwrap()), "{job}");
        (job["attempt"].as_u64()? >= 4).then_some(job)
    })
    .await;
    assert!(waiting["error"]["code"].as_str().unwrap().starts_with("provider_"), "{waiting}");
    app.restart_mock();
    user.until_read(&session).await;
    let read = user.finished(waiting["id"].as_str().unwrap(), Duration::from_secs(20)).await;
    assert_eq!(
        (read["status"].as_str(), read["result"]["outcome"].as_str()),
        (Some("succeeded"), Some("facts")),
        "{read}"
    );
}

/// Two workers know that the first provider is away and go to the second. When one of them is answered by the first, the
/// other goes back to it too, though its own rest is not over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_success_closes_the_breaker_of_all_processes() {
    let second = Replay::start(|_, _| Reply::sse(ANTHROPIC.streamed)).await;
    let mut app = App::builder(Stack::Production)
        .workers(2)
        .http_provider(&[])
        .env("AI_SERVICES__ANTHROPIC_BASE_URL", &second.url)
        .env("AI_SERVICES__BREAKER_REST", "600")
        .env("MEMORY__PROVIDER", "mock")
        .start()
        .await;
    let user = app.user().await;
    let available = async || {
        let models = user.get("/models").await.expect(200);
        let found = models["models"].as_array().unwrap().iter().find(|model| model["provider"] == "openai");
        found.unwrap()["available"].as_bool().unwrap()
    };
    assert!(available().await);
    app.kill_mock();
    // Until both workers have answered something by way of the second, without asking the first.
    let chats = |worker: &crate::harness::process::Process| {
        let output = worker.output();
        output
            .lines()
            .filter(|line| line.contains("attempt ended") && line.contains(r#""kind":"chat""#))
            .count()
    };
    let worked = |app: &App| -> Vec<usize> { app.workers.iter().map(chats).collect() };
    let round = async || {
        let bodies: Vec<Value> =
            (0..24).map(|_| json!({"message": "/echo hi", "enable_memory": false})).collect();
        let answers = futures::future::join_all(bodies.iter().map(|body| user.post("/chat", body))).await;
        answers
            .into_iter()
            .map(|answer| answer.expect(200)["provider"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    eventually("all know that it is away", Duration::from_secs(20), || async {
        round().await;
        (!available().await).then_some(())
    })
    .await;
    let before = worked(&app);
    eventually("both go elsewhere", Duration::from_secs(20), || async {
        assert!(round().await.iter().all(|provider| provider == "anthropic"));
        worked(&app).iter().zip(&before).all(|(now, before)| now > before).then_some(())
    })
    .await;
    app.restart_mock();
    // Who has nobody else to ask tries it soon, and is answered.
    let named = user
        .post("/chat", &json!({"message": "/echo back", "provider": "openai", "enable_memory": false}))
        .await;
    assert_eq!(named.expect(200)["reply"], "back");
    let before = worked(&app);
    eventually("both are back", Duration::from_secs(20), || async {
        if round().await.iter().any(|provider| provider != "openai") {
            return None;
        }
        worked(&app).iter().zip(&before).all(|(now, before)| now > before).then_some(())
    })
    .await;
    eventually("the API knows", Duration::from_secs(20), || async { available().await.then_some(()) }).await;
}
