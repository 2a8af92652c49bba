//! Production only: the embedded database is a file.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use crate::harness::{App, Stack, eventually, ledger, servers::Postgres};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_restarts_under_load_503_meanwhile_and_then_all_is_answered() {
    let mut postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let app = App::builder(Stack::Production).workers(2).postgres(postgres.create_database()).start().await;
    let user = app.user().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut talks = Vec::new();
    for _ in 0..6 {
        let session = user.new_session().await;
        talks.push(tokio::spawn(ledger::talk(
            user.clone(),
            session,
            stop.clone(),
            Duration::from_millis(40),
        )));
    }
    tokio::time::sleep(Duration::from_millis(800)).await;
    postgres.stop();
    let refused = user.post("/chat", &json!({"message": "hello"})).await;
    assert!(refused.headers.contains_key("retry-after"));
    refused.problem(503, "unavailable");
    let health = user.get("/health").await;
    assert_eq!((health.status, health.body["status"].as_str()), (503, Some("unhealthy")));
    postgres.start_again();
    eventually("it recovers alone", Duration::from_secs(20), || async {
        let answer = user.post("/chat", &json!({"message": "/echo back"})).await;
        (answer.status == 200).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    for talk in talks {
        sent.extend(talk.await.unwrap());
    }
    ledger::check(&user, &sent, Duration::from_secs(60)).await;
}
