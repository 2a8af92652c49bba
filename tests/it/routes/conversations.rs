//! Conversations of OpenAI's API, and responses in them that are sent again.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack, User, client::Answer},
};

both_stacks!(
    a_response_that_is_sent_again_stays_in_its_conversation,
    what_does_not_fit_a_conversation_is_refused_before_it_is_answered,
);

async fn send(app: &App, user: &User, path: &str, key: Option<&str>, body: &Value) -> Answer {
    let url = format!("{}/v1{path}", app.url(0));
    let mut request = user.http.request(Method::POST, url).bearer_auth(&user.token).json(body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    Answer::of(request.send().await.unwrap()).await
}

async fn items(app: &App, user: &User, conversation: &str) -> Vec<Value> {
    let url = format!("{}/v1/conversations/{conversation}/items?order=asc", app.url(0));
    let request = user.http.request(Method::GET, url).bearer_auth(&user.token);
    let listed = Answer::of(request.send().await.unwrap()).await.expect(200);
    listed["data"].as_array().unwrap().clone()
}

async fn a_response_that_is_sent_again_stays_in_its_conversation(stack: Stack) {
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "1").start().await;
    let user = app.user().await;
    let made = send(&app, &user, "/conversations", None, &json!({})).await.expect(200);
    let conversation = made["id"].as_str().unwrap();
    let body = json!({"model": "mock", "input": "/fail 503 x1 /echo kept", "conversation": conversation});
    let failed = send(&app, &user, "/responses", Some("one"), &body).await;
    assert!(failed.status >= 500 || failed.body["status"] == "failed", "{}", failed.body);
    assert_eq!(items(&app, &user, conversation).await, [] as [Value; 0]);
    let again = send(&app, &user, "/responses", Some("one"), &body).await.expect(200);
    assert!(again.to_string().contains("kept"), "{again}");
    let kept = items(&app, &user, conversation).await;
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!((&kept[0]["role"], &kept[1]["role"]), (&json!("user"), &json!("assistant")));
    // One under way is told as it is, and is not in its own way.
    let slow = json!({"model": "mock", "input": "/delay 50 /tokens 200", "conversation": conversation, "background": true});
    let first = send(&app, &user, "/responses", Some("two"), &slow).await.expect(200);
    let second = send(&app, &user, "/responses", Some("two"), &slow).await.expect(200);
    assert_eq!(first["id"], second["id"]);
    let other = send(&app, &user, "/responses", Some("three"), &slow).await;
    assert_eq!(other.status, 409, "{}", other.body);
    let cancel = format!("/responses/{}/cancel", first["id"].as_str().unwrap());
    send(&app, &user, &cancel, None, &json!({})).await.expect(200);
}

async fn what_does_not_fit_a_conversation_is_refused_before_it_is_answered(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let made = send(&app, &user, "/conversations", None, &json!({})).await.expect(200);
    let conversation = made["id"].as_str().unwrap();
    let many: Vec<Value> = (0..2_000).map(|n| json!({"role": "user", "content": format!("{n}")})).collect();
    let body = json!({"model": "mock", "input": many, "conversation": conversation});
    let refused = send(&app, &user, "/responses", None, &body).await;
    assert!((400..500).contains(&refused.status), "{}", refused.body);
    assert!(refused.body.to_string().contains("2000 items"), "{}", refused.body);
    // An id that no index holds is replaced.
    let long = json!([{"type": "message", "role": "user", "content": "/echo hi", "id": "x".repeat(5_000)}]);
    let body = json!({"model": "mock", "input": long, "conversation": conversation});
    send(&app, &user, "/responses", None, &body).await.expect(200);
    let kept = items(&app, &user, conversation).await;
    assert_eq!(kept.len(), 2);
    assert!(kept[0]["id"].as_str().unwrap().len() < 100);
}
