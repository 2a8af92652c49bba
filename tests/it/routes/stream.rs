use reqwest::Method;
use serde_json::json;

use crate::{
    both_stacks,
    harness::{
        App, Stack,
        sse::{Events, text_of},
    },
};

both_stacks!(
    a_stream_carries_the_answer_word_by_word,
    a_stream_cut_after_any_event_resumes_with_exactly_the_rest,
    resumed_while_it_runs_nothing_is_missing_or_twice,
    a_retried_job_is_not_told_its_old_end,
);

async fn a_retried_job_is_not_told_its_old_end(stack: Stack) {
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "1").start().await;
    let user = app.user().await;
    let failed = user.stream(&json!({"message": "/fail 500 x1 /delay 20 /tokens 20"})).await.all().await;
    let end = failed.last().unwrap();
    assert_eq!(end.name, "error");
    let job = failed[0].data["job_id"].as_str().unwrap();
    user.post(&format!("/jobs/{job}/retry"), &json!({})).await;
    // From the start, and for a client that was there before.
    for after in [None, Some(end.id.as_str())] {
        let events = user.events(job, after).await.all().await;
        let done = events.last().unwrap();
        assert_eq!(done.name, "done", "{after:?}: {events:#?}");
        assert_eq!(text_of(&events), done.data["reply"].as_str().unwrap());
    }
}

async fn a_stream_carries_the_answer_word_by_word(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let body = json!({"message": "/delay 30 /echo one two three"});
    let stream = user.stream(&body).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert!(stream.headers["x-job-id"].to_str().unwrap().starts_with("job_"));
    let events = stream.all().await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["job", "token", "token", "token", "done"]);
    assert_eq!((events[0].id.as_str(), events[1].id.as_str(), events[4].id.as_str()), ("0-1", "1-1", "1-4"));
    assert_eq!(
        (text_of(&events).as_str(), events[4].data["reply"].as_str()),
        ("one two three", Some("one two three"))
    );
    let job = events[0].data["job_id"].as_str().unwrap();
    assert_eq!(user.job(job).await["result"], events[4].data);
    // The whole text so far, on request.
    let request = user.request(Method::POST, "/chat/stream?accumulate=true").json(&body);
    let events = Events::of(request.send().await.unwrap()).all().await;
    let contents: Vec<_> =
        events.iter().filter(|e| e.name == "token").map(|e| e.data["content"].as_str().unwrap()).collect();
    assert_eq!(contents, ["one", "one two", "one two three"]);
}

async fn a_stream_cut_after_any_event_resumes_with_exactly_the_rest(stack: Stack) {
    let apis = if stack == Stack::Production { 2 } else { 1 };
    let app = App::builder(stack).apis(apis).start().await;
    let user = app.user().await;
    let all = user.stream(&json!({"message": "/delay 20 /tokens 12"})).await.all().await;
    let job = all[0].data["job_id"].as_str().unwrap();
    let other = user.at(&app.url(apis - 1));
    for cut in 0..all.len() - 1 {
        let rest = other.events(job, Some(&all[cut].id)).await.all().await;
        assert_eq!(rest, all[cut + 1..], "after {}", all[cut].id);
    }
    let whole = other.events(job, None).await.all().await;
    assert_eq!(whole[1..], all[1..]);
    assert_eq!(whole[0].name, "job");
    // Nothing after the last: an EventSource stops on 204.
    assert_eq!(other.events(job, Some(&all.last().unwrap().id)).await.status, 204);
    let by_query =
        other.request(Method::GET, &format!("/jobs/{job}/events?after={}", all[3].id)).send().await.unwrap();
    assert_eq!(Events::of(by_query).all().await, all[4..]);
}

async fn resumed_while_it_runs_nothing_is_missing_or_twice(stack: Stack) {
    let apis = if stack == Stack::Production { 2 } else { 1 };
    let app = App::builder(stack).apis(apis).start().await;
    let user = app.user().await;
    let mut stream = user.stream(&json!({"message": "/delay 20 /tokens 60"})).await;
    let mut seen = vec![stream.next().await.unwrap()];
    let job = seen[0].data["job_id"].as_str().unwrap().to_owned();
    let mut api = 0;
    while seen.last().unwrap().name != "done" {
        // Read a few, cut the connection, go on at the other API.
        for _ in 0..7 {
            match stream.next().await {
                Some(event) => seen.push(event),
                None => break,
            }
        }
        api = (api + 1) % apis;
        let after = seen.last().unwrap().id.clone();
        stream = user.at(&app.url(api)).events(&job, Some(&after)).await;
    }
    let whole = user.events(&job, None).await.all().await;
    assert_eq!(seen[1..], whole[1..]);
    assert_eq!(text_of(&seen), seen.last().unwrap().data["reply"]);
}
