//! Machines whose clocks are wrong, by libfaketime. What is compared across processes goes by the database's clock.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{App, Stack, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_with_a_wrong_clock_takes_nobodys_jobs() {
    for off in ["+30s", "+600s", "-600s"] {
        let mut app = App::builder(Stack::Production).env("QUEUE__LEASE_SECONDS", "15").start().await;
        app.add_worker_with_clock(off, &["--queues", "memory"]);
        let user = app.user().await;
        let mut jobs = Vec::new();
        for _ in 0..8 {
            jobs.push(user.submit("/delay 100 /tokens 40").await["id"].as_str().unwrap().to_owned());
        }
        for job in jobs {
            let job = user.finished(&job, Duration::from_secs(60)).await;
            assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(1)), "{off}: {job}");
        }
        // It is told, and so is everybody.
        app.workers[1].line_with("clock is not the database's", Duration::from_secs(20));
        let told = app.command().arg("doctor").output().unwrap();
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let ahead = if off.starts_with('+') { "ahead of" } else { "behind" };
        assert!(told.contains(ahead), "{off}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_with_a_wrong_clock_delays_nothing_and_locks_nobody_out() {
    for off in ["+600s", "-600s"] {
        let mut app = App::builder(Stack::Production).start().await;
        app.add_api_with_clock(off);
        let user = app.user().await;
        let there = user.at(&app.url(1));
        let answer = there.chat("/echo on time").await;
        assert_eq!(answer["reply"], "on time");
        let job = user.job(answer["job_id"].as_str().unwrap()).await;
        let time = |field: &str| chrono::DateTime::parse_from_rfc3339(job[field].as_str().unwrap()).unwrap();
        let ours = rapport_common::clock::of_this_machine();
        assert!((ours - time("created_at").to_utc()).num_seconds().abs() < 120, "{off}: {job}");
        assert!((time("finished_at") - time("created_at")).num_seconds().abs() < 120, "{off}: {job}");
        // A token of either is good at both.
        let login: Value = there
            .post(
                "/auth/login",
                &json!({"username": user.name, "password": crate::harness::client::PASSWORD}),
            )
            .await
            .expect(200);
        let theirs = crate::harness::User {
            token: login["access_token"].as_str().unwrap().to_owned(),
            ..user.clone()
        };
        theirs.get("/auth/me").await.expect(200);
    }
}

/// Embedded there is one process; its clock may jump.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_back_holds_nothing_up() {
    let mut app = App::builder(Stack::Embedded).start().await;
    let clock = app.restart_api_with_settable_clock(0, "+0s");
    let user = app.user().await;
    assert_eq!(user.chat("/echo before").await["reply"], "before");
    for off in ["-600s", "+1200s", "-60s"] {
        clock.set(off);
        let jobs = [user.submit("/echo jumped").await, user.submit("/fail 503 x1 /echo jumped").await];
        for job in jobs {
            let job = user.finished(job["id"].as_str().unwrap(), Duration::from_secs(30)).await;
            assert_eq!(job["result"]["reply"], "jumped", "{off}: {job}");
        }
    }
    eventually("memory is read too", Duration::from_secs(60), || async {
        user.post("/memory/extract", &json!({"backfill": true})).await.expect(200);
        (user.get("/jobs?kind=memory_extraction&status=running").await.expect(200)["items"]
            .as_array()?
            .is_empty())
        .then_some(())
    })
    .await;
}

/// What waits when the process dies is not kept waiting by a clock that is set back before the next one starts: by less than
/// a day, time goes on; by more, it is believed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_back_between_two_processes_keeps_no_job_waiting() {
    for off in ["-600s", "-3d"] {
        let mut app = App::builder(Stack::Embedded).start().await;
        let user = app.user().await;
        assert_eq!(user.chat("/echo before").await["reply"], "before");
        let first = user.submit("/delay 2000 /echo there").await;
        let second = json!({"message": "/echo there", "session_id": first["session_id"]});
        let second = user.try_submit(&second).await.expect("accepted");
        let ids = [first, second].map(|job| job["id"].as_str().unwrap().to_owned());
        eventually("the first runs, and the second waits for it", Duration::from_secs(20), || async {
            (user.job(&ids[0]).await["status"] == "running").then_some(())
        })
        .await;
        app.restart_api_with_settable_clock(0, off);
        for id in &ids {
            let job = user.finished(id, Duration::from_secs(30)).await;
            assert_eq!(job["result"]["reply"], "there", "{off}: {job}");
        }
        // What is said now comes after what was said before.
        assert_eq!(user.chat("/echo after").await["reply"], "after");
    }
}
