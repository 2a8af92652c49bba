use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack, client::Answer},
};

both_stacks!(
    too_many_requests_are_told_when_to_come_back,
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
        assert_eq!(answer.headers["x-ratelimit-limit"], "4");
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
