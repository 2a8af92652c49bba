use reqwest::Method;
use serde_json::json;
use std::time::Duration;

use crate::{
    both_stacks,
    harness::{App, Stack, client::Answer, eventually},
};

both_stacks!(
    a_message_gets_its_answer,
    prefer_decides_how_long_to_wait,
    a_session_answers_in_the_order_sent,
    the_model_sees_the_newest_turns_that_fit,
    a_session_gets_its_title_from_the_model,
    a_busy_session_queues_rejects_or_interrupts,
);

async fn a_message_gets_its_answer(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let answer = user.post("/chat", &json!({"message": "  /echo hello world ", "session_id": null})).await;
    let job = answer.headers["x-job-id"].to_str().unwrap().to_owned();
    let body = answer.expect(200);
    assert_eq!((body["reply"].as_str(), body["job_id"].as_str()), (Some("hello world"), Some(job.as_str())));
    assert_eq!((body["provider"].as_str(), body["finish_reason"].as_str()), (Some("mock"), Some("stop")));
    assert_eq!(body["usage"]["completion_tokens"], 2);
    let total = body["usage"]["prompt_tokens"].as_i64().unwrap() + 2;
    assert_eq!(body["usage"]["total_tokens"], total);
    let session = body["session_id"].as_str().unwrap();
    let messages = user.messages(session).await;
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0]["content"], "/echo hello world");
    assert_eq!((&messages[1]["id"], &messages[1]["content"]), (&body["message_id"], &body["reply"]));
    assert_eq!(
        (messages[1]["status"].as_str(), messages[1]["job_id"].as_str()),
        (Some("complete"), Some(job.as_str()))
    );
    let job = user.job(&job).await;
    assert_eq!((job["status"].as_str(), &job["result"]), (Some("succeeded"), &body));
    // The aliases and trailing slashes are the same API.
    for alias in ["/api/chat", "/chat", "/chat/", "/api/v1/chat/"] {
        let url = format!("{}{alias}", app.url(0));
        let request = user.http.post(url).bearer_auth(&user.token).json(&json!({"message": "/echo again"}));
        assert_eq!(Answer::of(request.send().await.unwrap()).await.expect(200)["reply"], "again");
    }
}

async fn prefer_decides_how_long_to_wait(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let slow = json!({"message": "/delay 100 /tokens 15"});
    let ask = async |prefer: &str| {
        Answer::of(
            user.request(Method::POST, "/chat").header("prefer", prefer).json(&slow).send().await.unwrap(),
        )
        .await
    };
    let at_once = ask("respond-async").await;
    let location = at_once.headers["location"].to_str().unwrap().to_owned();
    let job = at_once.expect(202);
    assert_eq!(location, format!("/api/v1/jobs/{}", job["id"].as_str().unwrap()));
    assert_eq!(
        (job["kind"].as_str(), job["links"]["self"].as_str()),
        (Some("chat"), Some(location.as_str()))
    );
    let soon = ask("wait=1").await.expect(202);
    assert_ne!(soon["status"], "succeeded");
    assert_eq!(ask("wait=30").await.expect(200)["usage"]["completion_tokens"], 15);
    let waited = user.get(&format!("/jobs/{}?wait=30", job["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(waited["status"], "succeeded");
}

async fn a_session_answers_in_the_order_sent(stack: Stack) {
    let app = App::builder(stack).workers(2).start().await;
    let user = app.user().await;
    let session = user.new_session().await;
    let mut jobs = Vec::new();
    for n in 0..12 {
        let body = json!({"message": format!("/delay {} /echo {n}", (12 - n) * 5), "session_id": session});
        jobs.push(user.try_submit(&body).await.unwrap()["id"].as_str().unwrap().to_owned());
    }
    for job in &jobs {
        assert_eq!(user.finished(job, Duration::from_secs(30)).await["status"], "succeeded");
    }
    let messages = user.messages(&session).await;
    let answers: Vec<&str> =
        messages.iter().skip(1).step_by(2).map(|m| m["content"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..12).map(|n| n.to_string()).collect();
    assert_eq!(answers, expected);
    let finished: Vec<String> = {
        let mut times = Vec::new();
        for job in &jobs {
            times.push(user.job(job).await["finished_at"].as_str().unwrap().to_owned());
        }
        times
    };
    assert!(finished.is_sorted(), "{finished:?}");
}

async fn the_model_sees_the_newest_turns_that_fit(stack: Stack) {
    let prompt = "You are the tester's own prompt.";
    let builder = App::builder(stack).env("CHAT__CONTEXT_TOKENS", "300").env("CHAT__SYSTEM_PROMPT", prompt);
    let app = builder.env("CHAT__APP_INFO", "The app sells tea.").start().await;
    let user = app.user().await;
    let session = user.new_session().await;
    let system = user.chat_in(&session, "/system").await;
    assert_eq!(system["reply"], format!("{prompt}\n\nThe app sells tea."));
    // The mock counts the user turns it is shown.
    let second = user.chat_in(&session, "how many?").await;
    assert!(second["reply"].as_str().unwrap().contains("(message 2 of"), "{second}");
    for _ in 0..4 {
        user.chat_in(&session, &format!("/echo {}", "word ".repeat(60))).await;
    }
    let last = user.chat_in(&session, "how many?").await;
    let turns: u32 = last["reply"]
        .as_str()
        .unwrap()
        .split("(message ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((2..=3).contains(&turns), "a budget of 300 tokens holds about two of the long turns: {last}");
    assert!(last["usage"]["prompt_tokens"].as_i64().unwrap() <= 300);
}

async fn a_session_gets_its_title_from_the_model(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let answer =
        user.chat("please plan a trip to Dhaka with my sister and the three children next winter").await;
    let path = format!("/chat/sessions/{}", answer["session_id"].as_str().unwrap());
    eventually("the title job's title", Duration::from_secs(10), || async {
        (user.get(&path).await.expect(200)["title"] == "Plan trip Dhaka sister three").then_some(())
    })
    .await;
    let jobs = user.get("/jobs?kind=title&status=succeeded").await.expect(200);
    assert_eq!(jobs["items"].as_array().unwrap().len(), 1);
}

async fn a_busy_session_queues_rejects_or_interrupts(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let session = user.new_session().await;
    let slow = json!({"message": "/delay 100 /tokens 100", "session_id": session});
    let first = user.try_submit(&slow).await.unwrap()["id"].as_str().unwrap().to_owned();
    let message = |policy: &str| json!({"message": "/echo next", "session_id": session, "on_busy": policy});
    let rejected = user.post("/chat", &message("reject")).await;
    assert_eq!(rejected.headers["x-should-retry"], "false");
    rejected.problem(409, "session_busy");
    let next = user.post("/chat", &message("interrupt")).await.expect(200);
    assert_eq!(next["reply"], "next");
    assert_eq!(user.job(&first).await["status"], "cancelled");
    assert_eq!(user.post("/chat", &message("reject")).await.expect(200)["reply"], "next");
    let messages = user.messages(&session).await;
    assert_eq!(messages.len(), 6, "a rejected message is not stored");
    user.post("/chat", &message("whatever")).await.problem(422, "validation_failed");
}
