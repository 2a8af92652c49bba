use std::time::Duration;

use serde_json::json;

use crate::harness::{App, Stack};

/// Embedded the API would be paused with its workers: nobody could take over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_late_result_of_a_worker_paused_past_its_lease_is_refused() {
    let mut app = App::builder(Stack::Production).start().await;
    let user = app.user().await;
    let session = user.new_session().await;
    let text: String = (1..=40).map(|n| format!("w{n} ")).collect::<String>().trim().to_owned();
    let body = json!({"message": format!("/delay 100 /echo {text}"), "session_id": session});
    let job = user.try_submit(&body).await.unwrap()["id"].as_str().unwrap().to_owned();
    user.until_running(&job).await;
    app.workers[0].signal("STOP");
    app.add_worker();
    let done = user.finished(&job, Duration::from_secs(30)).await;
    assert_eq!((done["status"].as_str(), done["attempt"].as_u64()), (Some("succeeded"), Some(2)));
    app.workers[0].signal("CONT");
    // The paused worker finds out by its own heartbeat, event or commit.
    app.workers[0].line_with("another worker has the job", Duration::from_secs(20));
    assert_eq!(user.job(&job).await, done, "nothing changed");
    let messages = user.messages(&session).await;
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[1]["content"], text);
}
