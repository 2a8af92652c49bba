use std::time::Duration;

use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack, process::Process},
};

both_stacks!(
    sigterm_fails_no_job_and_exits_0,
    an_idle_process_stops_without_waiting_for_the_grace,
    a_busy_process_stops_when_its_work_is_done,
    a_second_signal_ends_a_busy_process_at_once,
);

async fn sigterm_fails_no_job_and_exits_0(stack: Stack) {
    // A short grace, so that the long answer must be handed back; the short one ends in it.
    let mut app = App::builder(stack).env("SHUTDOWN_GRACE", "4").start().await;
    let user = app.user().await;
    let short = user.submit("/delay 50 /tokens 20").await["id"].as_str().unwrap().to_owned();
    let long_body = json!({"message": "/delay 100 /tokens 80"});
    let long = user.try_submit(&long_body).await.unwrap()["id"].as_str().unwrap().to_owned();
    for job in [&short, &long] {
        user.until_running(job).await;
    }
    let process = if stack == Stack::Embedded { &app.apis[0] } else { &app.workers[0] };
    process.signal("TERM");
    let status = process.wait(Duration::from_secs(15));
    assert_eq!(status.code(), Some(0), "{}", process.output());
    app.start_runner();
    let short = user.finished(&short, Duration::from_secs(20)).await;
    assert_eq!((short["status"].as_str(), short["attempt"].as_u64()), (Some("succeeded"), Some(1)));
    let long = user.finished(&long, Duration::from_secs(30)).await;
    assert_eq!((long["status"].as_str(), long["attempt"].as_u64()), (Some("succeeded"), Some(2)));
    assert_eq!(long["max_attempts"], 4, "the attempt that was handed back does not count");
}

/// The grace that users have by default. Whoever waits it out is found by the shorter deadline.
const GRACE: &str = "30";
const SOONER: Duration = Duration::from_secs(15);

fn runners(app: &App) -> impl Iterator<Item = &Process> {
    app.apis.iter().chain(&app.workers)
}

async fn an_idle_process_stops_without_waiting_for_the_grace(stack: Stack) {
    let app = App::builder(stack).env("SHUTDOWN_GRACE", GRACE).start().await;
    // With a connection that is kept alive, as clients have.
    assert_eq!(app.user().await.chat("/echo hi").await["reply"], "hi");
    for process in runners(&app) {
        process.signal("TERM");
    }
    for process in runners(&app) {
        let status = process.wait(SOONER);
        assert_eq!(status.code(), Some(0), "{}", process.output());
    }
    app.leaves_jobs(); // what follows an answer may come after the last worker has stopped
}

async fn a_busy_process_stops_when_its_work_is_done(stack: Stack) {
    let mut app = App::builder(stack).env("SHUTDOWN_GRACE", GRACE).start().await;
    let user = app.user().await;
    let job = user.submit("/delay 100 /tokens 20").await["id"].as_str().unwrap().to_owned();
    user.until_running(&job).await;
    let process = if stack == Stack::Embedded { &app.apis[0] } else { &app.workers[0] };
    process.signal("INT");
    assert_eq!(process.wait(SOONER).code(), Some(0), "{}", process.output());
    app.start_runner();
    let job = user.finished(&job, Duration::from_secs(20)).await;
    assert_eq!((job["status"].as_str(), job["attempt"].as_u64()), (Some("succeeded"), Some(1)));
}

async fn a_second_signal_ends_a_busy_process_at_once(stack: Stack) {
    let mut app = App::builder(stack).env("SHUTDOWN_GRACE", GRACE).start().await;
    let user = app.user().await;
    let job = user.submit("/delay 100 /tokens 250").await["id"].as_str().unwrap().to_owned();
    user.until_running(&job).await;
    let process = if stack == Stack::Embedded { &app.apis[0] } else { &app.workers[0] };
    process.signal("INT");
    process.line_with("stopping", Duration::from_secs(10));
    process.signal("INT");
    assert_eq!(process.wait(SOONER).code(), Some(130), "{}", process.output());
    app.start_runner();
    user.post(&format!("/jobs/{job}/cancel"), &json!({})).await;
    user.finished(&job, Duration::from_secs(30)).await;
}
