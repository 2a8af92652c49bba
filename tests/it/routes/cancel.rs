use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack, eventually},
};

both_stacks!(
    cancel_stops_the_answer_closes_the_provider_and_keeps_the_words,
    a_waiting_message_is_cancelled_at_once
);

async fn cancel_stops_the_answer_closes_the_provider_and_keeps_the_words(stack: Stack) {
    let app = App::builder(stack).http_provider(&[]).start().await;
    let user = app.user().await;
    let session = user.new_session().await;
    let mut stream = user.stream(&json!({"message": "/delay 50 /tokens 400", "session_id": session})).await;
    let mut events = Vec::new();
    while events.len() < 6 {
        events.push(stream.next().await.unwrap());
    }
    let job = events[0].data["job_id"].as_str().unwrap().to_owned();
    assert_eq!(app.mock_stats().await["open"], 1);
    let asked = Instant::now();
    let cancelled = user.post(&format!("/jobs/{job}/cancel"), &json!({})).await.expect(200);
    // Not a measurement: the contract's own bound, with room for a loaded machine.
    assert!(asked.elapsed() < Duration::from_secs(3));
    assert_eq!(cancelled["status"], "cancelled");
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    let done = events.last().unwrap();
    assert_eq!((done.name.as_str(), done.data["finish_reason"].as_str()), ("done", Some("cancelled")));
    eventually("the provider's connection closes", Duration::from_secs(5), || async {
        (app.mock_stats().await["open"] == 0).then_some(())
    })
    .await;
    let stats = app.mock_stats().await;
    assert_eq!(stats["finished"], 0, "the provider never got to its end");
    let messages = user.messages(&session).await;
    assert_eq!((messages.len(), messages[1]["status"].as_str()), (2, Some("cancelled")));
    let kept = messages[1]["content"].as_str().unwrap();
    assert!(kept.starts_with("w1 w2 w3") && kept.split(' ').count() < 100, "{kept}");
    user.post(&format!("/jobs/{job}/cancel"), &json!({})).await.problem(409, "wrong_state");
    // The session goes on.
    assert_eq!(user.chat_in(&session, "/echo next").await["reply"], "next");
}

async fn a_waiting_message_is_cancelled_at_once(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let session = user.new_session().await;
    let slow = json!({"message": "/delay 100 /tokens 20", "session_id": session});
    user.try_submit(&slow).await.unwrap();
    let waiting = json!({"message": "/echo waits", "session_id": session});
    let waiting = user.try_submit(&waiting).await.unwrap()["id"].as_str().unwrap().to_owned();
    let last = json!({"message": "/echo last", "session_id": session});
    let last = user.try_submit(&last).await.unwrap()["id"].as_str().unwrap().to_owned();
    let cancelled = user.post(&format!("/jobs/{waiting}/cancel"), &json!({})).await.expect(200);
    assert_eq!((cancelled["status"].as_str(), cancelled["attempt"].as_u64()), (Some("cancelled"), Some(0)));
    let events = user.events(&waiting, None).await.all().await;
    assert_eq!(events.last().unwrap().data["finish_reason"], "cancelled");
    assert_eq!(user.finished(&last, Duration::from_secs(20)).await["result"]["reply"], "last");
    let messages = user.messages(&session).await;
    let statuses: Vec<_> = messages.iter().map(|message| message["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["complete", "complete", "complete", "cancelled", "complete", "complete"]);
}
