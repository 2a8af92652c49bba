use std::time::Duration;

use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack, eventually},
};

both_stacks!(sigterm_fails_no_job_and_exits_0);

async fn sigterm_fails_no_job_and_exits_0(stack: Stack) {
    // A short grace, so that the long answer must be handed back; the short one ends in it.
    let mut app = App::builder(stack).env("SHUTDOWN_GRACE", "4").start().await;
    let user = app.user().await;
    let short = user.submit("/delay 50 /tokens 20").await["id"].as_str().unwrap().to_owned();
    let long_body = json!({"message": "/delay 100 /tokens 80"});
    let long = user.try_submit(&long_body).await.unwrap()["id"].as_str().unwrap().to_owned();
    for job in [&short, &long] {
        eventually("it runs", Duration::from_secs(10), || async {
            (user.job(job).await["status"] == "running").then_some(())
        })
        .await;
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
