//! Through PgBouncer in transaction mode: no session holds anything, and all promises hold.

use std::time::Duration;

use serde_json::json;

use crate::harness::{App, Stack, eventually, pgbouncer::PgBouncer, servers::Postgres, sse::text_of};

/// Two APIs and two workers, which would open some forty connections, over three.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_transaction_mode_is_enough() {
    let pooler = tokio::task::spawn_blocking(|| PgBouncer::start(Postgres::shared().port, 3)).await.unwrap();
    let app = App::builder(Stack::Production).pooler(pooler).apis(2).workers(2).start().await;
    let user = app.user().await;
    let mut jobs = Vec::new();
    for number in 0..30 {
        jobs.push(user.submit(&format!("/delay 30 /echo a b c d e f {number}")).await["id"].clone());
    }
    // In mid-answer: its lock of presence is held straight at the server, so its jobs are taken over within seconds.
    eventually("some run", Duration::from_secs(20), || async {
        let running = user.get("/jobs?kind=chat&status=running").await.expect(200);
        (running["items"].as_array()?.len() > 3).then_some(())
    })
    .await;
    app.workers[0].kill();
    for (number, job) in jobs.iter().enumerate() {
        let job = job.as_str().unwrap();
        let events = user.events(job, None).await.all().await;
        assert_eq!(text_of(&events), format!("a b c d e f {number}"));
        let job = user.finished(job, Duration::from_secs(60)).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
    let sessions = user.get("/chat/sessions?limit=100").await.expect(200);
    assert_eq!(sessions["items"].as_array().unwrap().len(), 30, "{sessions}");
    for session in sessions["items"].as_array().unwrap() {
        assert_eq!(session["message_count"], json!(2), "{session}");
    }
}

/// Nothing says that it is one: an operator reads what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_was_not_announced_is_named() {
    let pooler = tokio::task::spawn_blocking(|| PgBouncer::start(Postgres::shared().port, 3)).await.unwrap();
    let app = App::builder(Stack::Production).apis(0).workers(0).start().await;
    let url = pooler.url(app.database_url());
    for command in [&["api"][..], &["worker"], &["doctor"]] {
        let output = app
            .command()
            .args(command)
            .env("DATABASE_URL", &url)
            .env_remove("DATABASE_DIRECT_URL")
            .env("PORT", "0")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{text}");
        assert!(text.contains("DATABASE_DIRECT_URL"), "{text}");
        assert!(!text.contains("migration"), "{text}");
    }
}
