use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use crate::{
    both_stacks,
    harness::{App, Stack, User, client::Answer},
};

both_stacks!(
    too_many_requests_are_told_when_to_come_back,
    a_first_script_is_not_stopped_and_guessing_is,
    all_ways_to_send_share_one_count,
    a_full_queue_refuses_instead_of_accepting_what_it_cannot_do
);

async fn too_many_requests_are_told_when_to_come_back(stack: Stack) {
    let apis = if stack == Stack::Production { 2 } else { 1 };
    let builder = App::builder(stack).apis(apis).env("RATE_LIMIT__REQUESTS_PER_MINUTE", "6");
    let app = builder.env("RATE_LIMIT__BURST_SIZE", "4").start().await;
    let user = app.user().await;
    let mut refused = 0;
    for n in 0..6 {
        // The count is one over all APIs.
        let user = user.at(&app.url(n % apis));
        let answer = user.post("/chat", &json!({"message": "/echo x"})).await;
        assert_eq!(answer.headers["x-ratelimit-limit"], "6");
        let remaining: usize = answer.headers["x-ratelimit-remaining"].to_str().unwrap().parse().unwrap();
        let reset: i64 = answer.headers["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
        assert!(reset > 1_700_000_000);
        if answer.status == 429 {
            refused += 1;
            let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=10).contains(&wait));
            answer.problem(429, "rate_limited");
        } else {
            assert_eq!(remaining, 3 - n);
        }
    }
    assert_eq!(refused, 2);
    // Somebody else is not affected, nor are probes.
    let other = app.user().await;
    other.post("/chat", &json!({"message": "/echo x"})).await.expect(200);
    for _ in 0..20 {
        assert_eq!(user.http.get(format!("{}/livez", app.url(0))).send().await.unwrap().status(), 200);
    }
}

/// With the limits as they come.
async fn a_first_script_is_not_stopped_and_guessing_is(stack: Stack) {
    let app = App::builder(stack).env("RATE_LIMIT__REQUESTS_PER_MINUTE", "").start().await;
    let user = app.user().await;
    for n in 0..60 {
        let request = user.request(reqwest::Method::POST, "/chat").header("prefer", "respond-async");
        let request = request.json(&json!({"message": format!("/echo {n}")}));
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert!([200, 202].contains(&answer.status), "message {n}: {}", answer.body);
        assert_eq!(answer.headers["x-ratelimit-limit"], "60");
    }
    let guess = async |n: usize| {
        let body = json!({"username": format!("nobody{n}"), "password": "Wrong-horse-1"});
        Answer::of(user.http.post(format!("{}/auth/login", user.base)).json(&body).send().await.unwrap())
            .await
    };
    let mut refused = 0;
    for n in 0..40 {
        let answer = guess(n).await;
        assert_eq!(answer.headers["x-ratelimit-limit"], "10");
        refused += usize::from(answer.status == 429);
    }
    assert!(refused > 10, "{refused} of 40 guesses were refused");
    // Who is signed in goes on, and stays signed in.
    let refresh = json!({"refresh_token": user.refresh_token});
    user.post("/auth/refresh", &refresh).await.expect(200);
}

async fn all_ways_to_send_share_one_count(stack: Stack) {
    let builder = App::builder(stack).env("RATE_LIMIT__REQUESTS_PER_MINUTE", "3");
    let app = builder.env("RATE_LIMIT__BURST_SIZE", "3").start().await;
    let user = app.user().await;
    let key = user.post("/api-keys", &json!({"name": "script", "scopes": ["chat"]})).await.expect(201);
    let key = User { token: key["key"].as_str().unwrap().to_owned(), ..user.clone() };
    let session = user.new_session().await;
    let path = format!("/conversations/{session}/messages");
    for _ in 0..3 {
        user.post(&path, &json!({"content": "/echo x"})).await.expect(200);
    }
    let answer = user.post(&path, &json!({"content": "/echo x"})).await;
    assert_eq!(answer.headers["x-ratelimit-limit"], "3");
    answer.problem(429, "rate_limited");
    user.post("/chat", &json!({"message": "/echo x"})).await.problem(429, "rate_limited");
    // A key has a count of its own, also over its WebSocket.
    let request = {
        let url = format!("{}/chat/ws", key.base.replace("http", "ws"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {}", key.token).parse().unwrap());
        request
    };
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let mut ends = Vec::new();
    for _ in 0..4 {
        socket.send(Message::text(json!({"message": "/echo x"}).to_string())).await.unwrap();
        loop {
            let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
            let event: serde_json::Value = serde_json::from_str(&text).unwrap();
            if ["done", "error"].contains(&event["type"].as_str().unwrap()) {
                ends.push(event["code"].as_str().unwrap_or("done").to_owned());
                break;
            }
        }
    }
    assert_eq!(ends, ["done", "done", "done", "rate_limited"]);
    key.post("/chat", &json!({"message": "/echo x"})).await.problem(429, "rate_limited");
}

async fn a_full_queue_refuses_instead_of_accepting_what_it_cannot_do(stack: Stack) {
    let mut app = App::builder(stack).workers(0).env("QUEUE__MAX_DEPTH", "5").start().await;
    let user = app.user().await;
    let mut accepted = Vec::new();
    let mut refused = 0;
    // Embedded the workers are in the process and drain meanwhile: slow answers fill their slots.
    for _ in 0..90 {
        let request = user.request(reqwest::Method::POST, "/chat").header("prefer", "respond-async");
        let answer =
            Answer::of(request.json(&json!({"message": "/delay 20 /tokens 100"})).send().await.unwrap())
                .await;
        match answer.status {
            202 => accepted.push(answer.body["id"].as_str().unwrap().to_owned()),
            503 => {
                assert!(answer.headers.contains_key("retry-after"));
                answer.problem(503, "overloaded");
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(refused > 0 && accepted.len() >= 5, "{refused} refused, {} accepted", accepted.len());
    if stack == Stack::Production {
        app.add_worker();
    }
    for job in accepted {
        assert_eq!(user.finished(&job, std::time::Duration::from_secs(60)).await["status"], "succeeded");
    }
}
