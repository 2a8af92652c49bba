//! A process that is known to be dead is not waited for: its jobs are taken over long before their leases end.

use std::time::Duration;

use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack, eventually, sse::text_of},
};

both_stacks!(a_dead_processs_lease_is_not_waited_for);

/// With leases of ten minutes, so that nobody can have waited for one.
async fn a_dead_processs_lease_is_not_waited_for(stack: Stack) {
    let mut app = App::builder(stack)
        .workers(1)
        .env("QUEUE__LEASE_SECONDS", "600")
        .env("QUEUE__SWEEP_SECONDS", "2")
        .start()
        .await;
    let user = app.user().await;
    let words: String = (1..=50).map(|n| format!("w{n} ")).collect::<String>().trim().to_owned();
    let job = user.submit(&format!("/delay 50 /echo {words}")).await["id"].as_str().unwrap().to_owned();
    eventually("it runs", Duration::from_secs(10), || async {
        (user.job(&job).await["status"] == "running").then_some(())
    })
    .await;
    if stack == Stack::Production {
        app.add_worker();
    }
    app.kill_runner();
    if stack == Stack::Embedded {
        app.start_runner();
    }
    let events = user.events(&job, None).await.all().await;
    assert_eq!(text_of(&events), words);
    let job = user.finished(&job, Duration::from_secs(30)).await;
    assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{job}");
}

/// A worker that lives, and whose connections were only cut, keeps its jobs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_connections_are_cut_keeps_its_jobs() {
    let app = App::builder(Stack::Production)
        .workers(2)
        .env("QUEUE__LEASE_SECONDS", "15")
        .env("QUEUE__SWEEP_SECONDS", "2")
        .start()
        .await;
    let user = app.user().await;
    let mut jobs = Vec::new();
    for _ in 0..8 {
        jobs.push(user.submit("/delay 100 /tokens 80").await["id"].as_str().unwrap().to_owned());
    }
    eventually("all run", Duration::from_secs(10), || async {
        let running = user.get("/jobs?kind=chat&status=running").await.expect(200);
        (running["items"].as_array()?.len() == 8).then_some(())
    })
    .await;
    // And their worker knows it: one whose claim is cut off before its answer has come begins another attempt, rightly.
    for job in &jobs {
        let mut stream = user.events(job, None).await;
        while stream.next().await.expect("it is answered").name != "token" {}
    }
    for _ in 0..4 {
        app.cut_database_connections().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    for job in jobs {
        let job = user.finished(&job, Duration::from_secs(60)).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(1)), "{job}");
    }
}

/// A rolling restart: whoever asks `/readyz` before each request is never turned away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_stops_turns_nobody_away_who_looks_first() {
    let app = App::builder(Stack::Production).apis(2).start().await;
    let user = app.user().await;
    // A connection for each request, as a load balancer without a pool makes them.
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).no_proxy().build().unwrap();
    let client = crate::harness::User { http, ..user.clone() };
    let mut stream = client.stream(&json!({"message": "/delay 100 /tokens 100"})).await;
    let job = stream.next().await.unwrap().data["job_id"].as_str().unwrap().to_owned();
    eventually("it runs", Duration::from_secs(10), || async {
        (user.job(&job).await["status"] == "running").then_some(())
    })
    .await;
    // Somebody who waits for a job that takes long is not kept waiting.
    let waiting = tokio::spawn({
        let (client, path) = (client.clone(), format!("/jobs/{job}?wait=60"));
        async move { client.get(&path).await }
    });
    app.apis[0].signal("TERM");
    let (mut refused_after_unready, mut served_unready) = (false, false);
    while !app.apis[0].has_exited() {
        let ready = client.http.get(client.base.replace("/api/v1", "/readyz")).send().await;
        match ready {
            Ok(answer) if answer.status() == 200 => {
                user.at(&app.url(0)).get("/auth/me").await.expect(200);
            }
            Ok(_) => {
                // Not ready, but it still answers who has not heard of it.
                assert!(!refused_after_unready);
                let asked = client.request(reqwest::Method::GET, "/auth/me").send().await;
                // At the very end of that time it may be too late.
                served_unready |= asked.is_ok_and(|answer| answer.status() == 200);
            }
            Err(_) => refused_after_unready = true,
        }
    }
    assert!(served_unready, "it went on accepting after it said that it was not ready");
    assert_eq!(waiting.await.unwrap().expect(200)["status"], "running");
    // The stream was told to go elsewhere, and goes on there.
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    let last = events.last().map(|event| event.id.clone());
    events.extend(user.at(&app.url(1)).events(&job, last.as_deref()).await.all().await);
    let done = events.last().unwrap();
    assert_eq!(text_of(&events), done.data["reply"].as_str().unwrap());
}
