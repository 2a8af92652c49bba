//! Connections that fall silent without closing: bytes are acknowledged, and nothing is ever answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use crate::harness::{
    App, Stack, User, eventually,
    ledger::{self, Sent},
    proxy::Proxy,
    servers::{Postgres, Redis},
    sse::text_of,
};

/// The settings a user has, where the harness would have quicker ones.
const DEFAULTS: [(&str, &str); 2] = [("QUEUE__LEASE_SECONDS", "15"), ("QUEUE__SWEEP_SECONDS", "2")];
/// Longer than anything may take that does not wait for the links to come back.
const SOON: Duration = Duration::from_secs(15);

async fn talks(user: &User, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<Vec<Sent>>> {
    let mut talks = Vec::new();
    for _ in 0..4 {
        let session = user.new_session().await;
        let pause = Duration::from_millis(100);
        talks.push(tokio::spawn(ledger::talk(user.clone(), session, stop.clone(), pause)));
    }
    talks
}

async fn check(user: &User, stop: &AtomicBool, talks: Vec<tokio::task::JoinHandle<Vec<Sent>>>) {
    stop.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    for talk in talks {
        sent.extend(talk.await.unwrap());
    }
    ledger::check(user, &sent, Duration::from_secs(60)).await;
}

/// A message is accepted and answered while the old connections stay silent.
async fn goes_on(user: &User, what: &str) {
    let answered = eventually(what, SOON, || async {
        let job = user.try_submit(&json!({"message": "/echo still here"})).await?;
        Some(user.finished(job["id"].as_str()?, SOON).await)
    });
    assert_eq!(answered.await["result"]["reply"], "still here", "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_connections_that_fall_silent_are_replaced() {
    let redis = tokio::task::spawn_blocking(Redis::start).await.unwrap();
    let proxy = Proxy::start(redis.port).await;
    let mut builder = App::builder(Stack::Production).workers(2);
    for (key, value) in DEFAULTS {
        builder = builder.env(key, value);
    }
    let app = builder.redis(redis, proxy.port).start().await;
    let user = app.user().await;
    let stop = Arc::new(AtomicBool::new(false));
    let talks = talks(&user, &stop).await;
    goes_on(&user, "before").await;
    let words: String = (1..=100).map(|n| format!("w{n} ")).collect::<String>().trim().to_owned();
    let mut stream = user.stream(&json!({"message": format!("/delay 50 /echo {words}")})).await;
    let mut events = vec![stream.next().await.unwrap()];
    // Twice: also the connections made meanwhile.
    for round in 0..2 {
        proxy.silence_present();
        goes_on(&user, &format!("silent for the {round}th time")).await;
    }
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    assert_eq!(text_of(&events), words, "{events:?}");
    check(&user, &stop, talks).await;
}

/// The ledger knows the end before Redis does: who reads waits for the event itself, with its number and without a `reset`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_is_told_late_is_the_one_that_was_told() {
    let redis = tokio::task::spawn_blocking(Redis::start).await.unwrap();
    let proxy = Proxy::start(redis.port).await;
    let app = App::builder(Stack::Production).redis(redis, proxy.port).start().await;
    let user = app.user().await;
    proxy.delay(Duration::from_millis(100));
    let talk = async |user: &User| {
        let mut stream = user.stream(&json!({"message": "/delay 50 /tokens 20"})).await;
        let mut all = vec![stream.next().await.unwrap(), stream.next().await.unwrap()];
        let job = all[0].data["job_id"].as_str().unwrap().to_owned();
        let resumed = user.events(&job, Some(&all[1].id)).await.all().await;
        all.extend(stream.all().await);
        assert_eq!(resumed, all[2..]);
        (job, all)
    };
    let told = futures::future::join_all((0..4).map(|_| talk(&user))).await;
    proxy.delay(Duration::ZERO);
    for (job, all) in told {
        assert_eq!(all[1..], user.events(&job, None).await.all().await[1..]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_connections_that_fall_silent_are_replaced() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let url = postgres.create_database();
    let proxy = Proxy::start(postgres.port).await;
    let through = url.replace(&format!(":{}/", postgres.port), &format!(":{}/", proxy.port));
    let mut builder = App::builder(Stack::Production).workers(2);
    for (key, value) in DEFAULTS {
        builder = builder.env(key, value);
    }
    let app = builder.postgres(through).start().await;
    let user = app.user().await;
    let stop = Arc::new(AtomicBool::new(false));
    let talks = talks(&user, &stop).await;
    goes_on(&user, "before").await;
    // Answers that are under way keep their leases, and end.
    let mut slow = Vec::new();
    for _ in 0..6 {
        slow.push(user.submit("/delay 100 /tokens 60").await["id"].as_str().unwrap().to_owned());
    }
    proxy.silence_present();
    goes_on(&user, "silent").await;
    for job in &slow {
        let job = user.finished(job, Duration::from_secs(45)).await;
        assert_eq!((job["status"].as_str(), job["error"].as_object()), (Some("succeeded"), None), "{job}");
    }
    // Now everything at once, and what was connected then stays silent for good.
    proxy.silence_all(true);
    eventually("the API says that it cannot work", SOON, || async {
        let ready = user.http.get(user.base.replace("/api/v1", "/readyz")).send().await.ok()?;
        (ready.status() == 503).then_some(())
    })
    .await;
    proxy.silence_all(false);
    goes_on(&user, "back").await;
    check(&user, &stop, talks).await;
}
