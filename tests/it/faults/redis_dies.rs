//! Production only: embedded there is no Redis.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use crate::harness::{
    App, Stack, User, eventually, ledger, redis_cluster::RedisCluster, servers::Redis, sse::text_of,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushed_and_restarted_under_load_every_message_is_answered_once() {
    let mut app = App::builder(Stack::Production).workers(2).start().await;
    let user = app.user().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut talks = Vec::new();
    for _ in 0..8 {
        let session = user.new_session().await;
        talks.push(tokio::spawn(ledger::talk(
            user.clone(),
            session,
            stop.clone(),
            Duration::from_millis(20),
        )));
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let _: () = app.redis.as_ref().unwrap().command(&["FLUSHALL"]).await;
    }
    app.redis.as_mut().unwrap().kill();
    // Chat goes on through the ledger.
    let answer = user.chat("/echo without redis").await;
    assert_eq!(answer["reply"], "without redis");
    tokio::time::sleep(Duration::from_millis(700)).await;
    app.redis.as_mut().unwrap().start_again();
    tokio::time::sleep(Duration::from_millis(700)).await;
    stop.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    for talk in talks {
        sent.extend(talk.await.unwrap());
    }
    assert!(sent.iter().all(|one| one.job.is_some()), "losing Redis refuses nothing");
    ledger::check(&user, &sent, Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_whose_events_are_wiped_still_ends_with_the_whole_answer() {
    let app = App::start(Stack::Production).await;
    let user = app.user().await;
    let body = json!({"message": "/delay 40 /tokens 100"});
    let mut stream = user.stream(&body).await;
    let mut events = Vec::new();
    while events.len() < 5 {
        events.push(stream.next().await.unwrap());
    }
    let job = events[0].data["job_id"].as_str().unwrap().to_owned();
    // A reader that was away while the log was lost: what it missed cannot be read any more.
    let last = events.last().unwrap().id.clone();
    drop(stream);
    eventually("a checkpoint", Duration::from_secs(10), || async {
        let db = app.db().await;
        let sql = "select coalesce(max(partial_n), 0) from jobs";
        let (n,): (i64,) = super::worker_dies::one(&db, sql).await;
        (n > 10).then_some(())
    })
    .await;
    let _: () = app.redis.as_ref().unwrap().command(&["FLUSHALL"]).await;
    let mut stream = user.events(&job, Some(&last)).await;
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    let resets: Vec<_> = events.iter().filter(|event| event.name == "reset").collect();
    assert_eq!(resets.len(), 1);
    assert_eq!(resets[0].data["reason"], "events_lost");
    let done = events.last().unwrap();
    assert_eq!(done.name, "done");
    assert_eq!(text_of(&events), done.data["reply"], "the snapshot and what followed are the whole answer");
}

/// Streams an answer of ten words, to its end.
async fn stream_one(user: &User) {
    let mut stream = user.stream(&json!({"message": "/tokens 10"})).await;
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    let done = events.last().unwrap();
    assert_eq!(done.name, "done");
    assert!(!done.data["reply"].as_str().unwrap().is_empty());
    assert_eq!(text_of(&events), done.data["reply"], "what was streamed is the answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_servers_of_queues_one_takes_along_no_job() {
    let (first, mut second) = (Redis::start(), Redis::start());
    let urls = format!("{},{}", first.url(), second.url());
    let app = App::builder(Stack::Production).env("QUEUE__REDIS_URLS", &urls).start().await;
    let user = app.user().await;
    // A chat, and its title by the other queue.
    let titled = async |message: &str| {
        let session = user.chat(message).await["session_id"].clone();
        eventually("the title", Duration::from_secs(30), || async {
            let jobs = user.get("/jobs?kind=title&status=succeeded&limit=200").await.expect(200);
            jobs["items"].as_array()?.iter().any(|job| job["session_id"] == session).then_some(())
        })
        .await;
    };
    let was_announced = async |redis: &Redis| {
        let commands: String = redis.command(&["INFO", "commandstats"]).await;
        commands.contains("cmdstat_zadd")
    };
    titled("Please tell me about lamps").await;
    assert!(was_announced(&first).await && was_announced(&second).await, "each has a queue");
    second.kill();
    titled("Please tell me about stamps").await;
    second.start_again();
    eventually("titles are announced there again", Duration::from_secs(30), || async {
        titled("Please tell me about ramps").await;
        was_announced(&second).await.then_some(())
    })
    .await;
    assert!(!was_announced(app.redis.as_ref().unwrap()).await, "the shared one has the limits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_servers_of_events_one_takes_along_only_what_it_has() {
    let (first, mut second) = (Redis::start(), Redis::start());
    let urls = format!("{},{}", first.url(), second.url());
    let app = App::builder(Stack::Production).env("EVENTS__REDIS_URLS", &urls).start().await;
    let user = app.user().await;
    for _ in 0..16 {
        stream_one(&user).await;
    }
    let logs = async |redis: &Redis| -> usize {
        let keys: Vec<String> = redis.command(&["KEYS", "rapport:events:*"]).await;
        keys.len()
    };
    let shared = logs(app.redis.as_ref().unwrap()).await;
    let (one, other) = (logs(&first).await, logs(&second).await);
    assert!(shared == 0 && one >= 2 && other >= 2, "{shared}, {one} and {other}");
    second.kill();
    for _ in 0..16 {
        stream_one(&user).await;
    }
    assert!(logs(&first).await > one, "the other half goes on there");
    second.start_again();
    eventually("logs on both", Duration::from_secs(30), || async {
        stream_one(&user).await;
        (logs(&second).await > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_cluster_servers_that_die_or_fall_silent_take_along_nothing() {
    let mut cluster = RedisCluster::start();
    let app = App::builder(Stack::Production).env("REDIS_URL", cluster.url()).workers(2).start().await;
    let user = app.user().await;
    for _ in 0..16 {
        stream_one(&user).await;
    }
    assert_eq!(cluster.called("xadd"), 3, "events are everywhere");
    // That of the queue of chats.
    cluster.kill_server_of("{chat}");
    for _ in 0..8 {
        stream_one(&user).await;
    }
    let again = async |cluster: &RedisCluster, replicas: usize| {
        eventually("a replica takes over", Duration::from_secs(60), || async {
            stream_one(&user).await;
            (cluster.taken_over() == replicas).then_some(())
        })
        .await;
    };
    again(&cluster, 1).await;
    cluster.silence_another_than_that_of("{chat}");
    again(&cluster, 2).await;
    for _ in 0..8 {
        stream_one(&user).await;
    }
}
