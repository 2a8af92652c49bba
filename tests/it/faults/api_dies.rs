use std::time::Duration;

use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack, ledger, ledger::Sent},
};

both_stacks!(kill_9_right_after_acceptance_and_the_jobs_run);

async fn kill_9_right_after_acceptance_and_the_jobs_run(stack: Stack) {
    let mut app = App::start(stack).await;
    let user = app.user().await;
    let mut sent = Vec::new();
    for round in 0..5 {
        let session = user.new_session().await;
        let text = format!("round {round}");
        let body = json!({"message": format!("/echo {text}"), "session_id": session});
        let job = user.try_submit(&body).await.expect("accepted");
        app.apis[0].kill();
        sent.push(Sent { session, text, job: Some(job["id"].as_str().unwrap().to_owned()) });
        app.restart_api(0);
    }
    ledger::check(&user, &sent, Duration::from_secs(30)).await;
}
