use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        Stack, User, eventually,
        memory::{app, contents, id, quick},
    },
};

both_stacks!(
    decisions_stick_when_conversations_are_read_again,
    a_dry_run_tells_the_difference_and_changes_nothing,
    garbage_from_the_model_is_a_dead_job_with_its_words,
    a_model_that_fails_is_asked_again_and_then_leaves_a_dead_job,
    only_what_the_user_says_and_wants_kept_is_kept,
    a_long_window_with_one_bad_turn_loses_only_that,
    events_of_memory_can_be_resumed,
    policy_confirms_what_is_explicit_and_plain,
    expiry_is_classified_and_swept,
);

async fn read_all_again(user: &User, dry_run: bool) -> Value {
    user.post("/memory/extract", &json!({"backfill": true, "dry_run": dry_run})).await.expect(200)
}

async fn decisions_stick_when_conversations_are_read_again(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    let session = user.tell("I live in Oslo. I like tea. I speak Bengali. I like jazz.").await;
    let of = async |content: &str| id(&user.memory(content).await).to_owned();
    user.verify(&of("Likes tea").await, "reject").await;
    let oslo = of("Lives in Oslo").await;
    let body = json!({"action": "correct", "corrected_content": "Lives in Bergen"});
    user.post(&format!("/memory/{oslo}/verify"), &body).await.expect(200);
    let jazz = of("Likes jazz").await;
    assert_eq!(user.request(Method::DELETE, &format!("/memory/{jazz}")).send().await.unwrap().status(), 204);
    let before = unread(user.memories("all").await);

    let again = read_all_again(&user, false).await;
    assert_eq!(
        (again["created"].as_i64(), again["evidence"].as_i64(), again["failed"].as_i64()),
        (Some(0), Some(0), Some(0))
    );
    let one = user.post("/memory/extract", &json!({"session_id": session})).await.expect(200);
    assert_eq!(one["created"], 0);
    assert_eq!(unread(user.memories("all").await), before, "reading again changes nothing");

    // The same fact in other words, in another session: still rejected; the corrected one is not contradicted.
    user.tell("I really like tea! I like jazz.").await;
    assert_eq!(contents(&user.memories("live").await), ["Lives in Bergen", "Speaks Bengali"]);
    // Known facts gain evidence, and no twin.
    user.tell("As I said, hello. I speak Bengali.").await;
    let bengali = user.memory("Speaks Bengali").await;
    assert_eq!(bengali["support"], 2, "{bengali}");
    // A rejected memory that its user adds by hand is back.
    let back = user.post("/memory", &json!({"content": "likes tea"})).await.expect(200);
    assert_eq!(back["status"], "confirmed");
}

/// Memories without how often they were read: that is written seconds later.
fn unread(mut memories: Vec<Value>) -> Vec<Value> {
    for memory in memories.iter_mut().filter_map(Value::as_object_mut) {
        memory.remove("access_count");
        memory.remove("last_accessed");
    }
    memories
}

async fn a_dry_run_tells_the_difference_and_changes_nothing(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    user.tell("I live in Oslo. I like tea. I like cheese.").await;
    user.verify(id(&user.memory("Likes tea").await), "reject").await;
    let body = json!({"memory_settings": {"auto_memory_extraction": false}});
    user.send(Method::PATCH, "/settings", &body).await.expect(200);
    user.chat("I work at Acme. I moved to Lima.").await;
    let before = unread(user.memories("all").await);
    let difference = read_all_again(&user, true).await;
    assert_eq!(difference["added"][0]["content"], "Works at Acme", "{difference}");
    assert_eq!(difference["changed"][0]["to"]["content"], "Lives in Lima");
    assert_eq!(difference["changed"][0]["from"][0]["content"], "Lives in Oslo");
    assert_eq!(difference["blocked"][0]["content"], "Likes tea");
    assert_eq!(difference["removed"], json!([]));
    assert_eq!(unread(user.memories("all").await), before);
    assert_eq!(user.get("/memory/conflicts").await.expect(200), json!([]));
}

async fn garbage_from_the_model_is_a_dead_job_with_its_words(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    for garbage in ["not json at all", "{\"facts\":[{\"text\":\"Likes t", "{\"facts\": 5}"] {
        let session = user.tell(&format!("/facts {garbage}")).await;
        let failed = user.get("/jobs?kind=memory_extraction&status=failed").await.expect(200);
        let job = failed["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|job| job["session_id"] == session.as_str())
            .unwrap()
            .clone();
        assert_eq!(job["error"]["code"], "extraction_failed");
        assert_eq!(job["result"]["raw"], garbage, "the model's words are kept");
        assert_eq!(job["result"]["outcome"], "invalid_output");
    }
    let runs = user.get("/memory/extract/runs").await.expect(200);
    assert!(runs.as_array().unwrap().iter().all(|run| run["outcome"] == "invalid_output"), "{runs}");
    assert_eq!(user.memories("all").await, [] as [Value; 0]);
    // What comes after is read: one bad window does not stand before the next.
    user.tell("I like tea.").await;
    assert_eq!(contents(&user.memories("live").await), ["Likes tea"]);
    // A dead window can be tried again, and fails again.
    let failed = user.get("/jobs?kind=memory_extraction&status=failed").await.expect(200);
    let job = failed["items"][0]["id"].as_str().unwrap();
    user.post(&format!("/jobs/{job}/retry"), &json!({})).await.expect(202);
    assert_eq!(user.finished(job, Duration::from_secs(20)).await["status"], "failed");
}

async fn a_model_that_fails_is_asked_again_and_then_leaves_a_dead_job(stack: Stack) {
    let app = quick(stack).start().await;
    let user = app.user().await;
    for (status, attempts) in [(503, 3), (400, 1)] {
        let session = user.tell(&format!("/facts fail {status}")).await;
        let failed = user.get("/jobs?kind=memory_extraction&status=failed").await.expect(200);
        let job =
            failed["items"].as_array().unwrap().iter().find(|job| job["session_id"] == session.as_str());
        let job = job.unwrap();
        assert_eq!(
            (job["attempt"].as_i64(), job["result"]["outcome"].as_str()),
            (Some(attempts), Some("provider_error"))
        );
        assert!(job["error"]["code"].as_str().unwrap().starts_with("provider_"), "{job}");
    }
    let runs = user.get("/memory/extract/runs").await.expect(200);
    assert!(runs.as_array().unwrap().iter().all(|run| run["outcome"] == "provider_error"), "{runs}");
}

async fn only_what_the_user_says_and_wants_kept_is_kept(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    // The assistant's words are no evidence, though the model claims they are.
    let lie = json!({"facts": [
        {"text": "Likes opera", "src": "t2", "quote": "You like opera", "type": "preference", "explicit": true},
        {"text": "Is rich", "src": "t1", "quote": "I am rich", "explicit": true},
        {"text": "Has 9 cats", "src": "t1", "quote": "Hello there", "explicit": true},
        {"text": "Said hello there", "src": "t1", "quote": "hello there", "explicit": true}]});
    let messages = json!([{"role": "user", "content": "Hello there"},
        {"role": "assistant", "content": "You like opera, don't you?"}, {"role": "user", "content": format!("/facts {lie}")}]);
    let imported = user.post("/chat/sessions/import", &json!({"messages": messages})).await.expect(201);
    user.until_read(imported["session_id"].as_str().unwrap()).await;
    assert_eq!(contents(&user.memories("all").await), ["Said hello there"]);
    let runs = user.get("/memory/extract/runs").await.expect(200);
    assert_eq!((runs[0]["facts"].as_i64(), runs[0]["unsupported"].as_i64()), (Some(1), Some(3)));
    assert!(runs[0]["usage"]["total_tokens"].as_i64().unwrap() > 0);
    // A message that is not to be remembered is neither read nor found.
    let secret =
        user.post("/chat", &json!({"message": "I like absinthe.", "enable_memory": false})).await.expect(200);
    let session = secret["session_id"].as_str().unwrap();
    user.post("/chat", &json!({"message": "I like rhubarb.", "session_id": session})).await.expect(200);
    eventually("the session is read", Duration::from_secs(20), || async {
        contents(&user.memories("live").await).contains(&"Likes rhubarb".to_owned()).then_some(())
    })
    .await;
    assert!(!contents(&user.memories("all").await).contains(&"Likes absinthe".to_owned()));
    let hits = user.search(json!({"query": "absinthe", "sources": ["messages"], "mode": "keyword"})).await;
    assert_eq!(hits, [] as [Value; 0]);
    // Secrets are not kept.
    user.tell("Remember that my card is 4111 1111 1111 1111.").await;
    assert!(contents(&user.memories("all").await).iter().all(|text| !text.contains("4111")));
}

async fn a_long_window_with_one_bad_turn_loses_only_that(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    let mut messages: Vec<Value> =
        (0..8).map(|n| json!({"role": "user", "content": format!("I like thing{n}.")})).collect();
    messages[5] = json!({"role": "user", "content": "/facts garbage"});
    let imported = user.post("/chat/sessions/import", &json!({"messages": messages})).await.expect(201);
    user.until_read(imported["session_id"].as_str().unwrap()).await;
    let expected: Vec<String> = [0, 1, 2, 3, 4, 6, 7].iter().map(|n| format!("Likes thing{n}")).collect();
    assert_eq!(contents(&user.memories("live").await), expected);
    let runs = user.get("/memory/extract/runs").await.expect(200);
    let bad: Vec<&Value> =
        runs.as_array().unwrap().iter().filter(|run| run["outcome"] == "invalid_output").collect();
    assert_eq!(
        (bad.len(), bad[0]["from_seq"].as_i64(), bad[0]["to_seq"].as_i64()),
        (1, Some(6), Some(6)),
        "{runs}"
    );
}

async fn events_of_memory_can_be_resumed(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    let mut live = crate::harness::sse::Events::of(
        user.request(Method::GET, "/memory/events?after=0-0").send().await.unwrap(),
    );
    user.tell("I live in Oslo. I like tea.").await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(live.next().await.unwrap());
    }
    let names: Vec<&str> = seen.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["window_queued", "memory_created", "memory_created"]);
    user.tell("/facts garbage").await;
    let resumed = user
        .request(Method::GET, "/memory/events")
        .header("last-event-id", &seen[1].id)
        .send()
        .await
        .unwrap();
    let mut resumed = crate::harness::sse::Events::of(resumed);
    let mut again = Vec::new();
    while again.len() < 3 {
        again.push(resumed.next().await.unwrap());
    }
    assert_eq!(again[0].data, seen[2].data, "exactly what was missed");
    let names: Vec<&str> = again.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["memory_created", "window_queued", "extraction_failed"]);
}

async fn policy_confirms_what_is_explicit_and_plain(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    let settings =
        json!({"memory_settings": {"auto_confirm_threshold": 0.8, "memory_importance_threshold": 0.55}});
    let now = user.send(Method::PUT, "/settings", &settings).await.expect(200);
    assert_eq!(now["memory_settings"]["auto_memory_extraction"], true, "what is not named stays");
    user.tell("I live in Oslo. I like tea. I have diabetes.").await;
    let all = user.memories("all").await;
    let status = |content: &str| {
        all.iter().find(|m| m["content"] == content).map(|m| m["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(status("Lives in Oslo").as_deref(), Some("confirmed"));
    assert_eq!(status("Has diabetes").as_deref(), Some("pending"), "what is sensitive waits for its user");
    assert_eq!(status("Likes tea"), None, "it matters less than the user wants to keep");
    // Sensitive and unconfirmed: not in a prompt.
    let answer = user.post("/chat", &json!({"message": "Do I have diabetes?"})).await.expect(200);
    assert_eq!(answer["memories_used"], 0);
    let off = json!({"memory_settings": {"auto_confirm_threshold": null}});
    assert!(user.send(Method::PATCH, "/settings", &off).await.expect(200)["memory_settings"]["auto_confirm_threshold"].is_null());
}

async fn expiry_is_classified_and_swept(stack: Stack) {
    let app = quick(stack).start().await;
    let user = app.user().await;
    let plan = user.add_memory("Plans to fly to Rome tomorrow").await;
    let fact = user.add_memory("Has two sisters").await;
    let classified =
        user.post("/memory/classify-expiration", &json!({"memory_ids": [plan, fact]})).await.expect(200);
    let of =
        |id: &str| classified.as_array().unwrap().iter().find(|one| one["memory_id"] == id).unwrap().clone();
    assert_eq!(
        (of(&plan)["should_expire"].as_bool(), of(&fact)["should_expire"].as_bool()),
        (Some(true), Some(false))
    );
    assert!(of(&plan)["expiration_date"].is_string());
    let past = json!({"expires_at": "2020-01-01T00:00:00Z"});
    user.send(Method::PATCH, &format!("/memory/{plan}"), &past).await.expect(200);
    eventually("it expires", Duration::from_secs(20), || async {
        let memory = user.get(&format!("/memory/{plan}")).await.expect(200);
        (memory["status"] == "expired").then_some(())
    })
    .await;
    assert_eq!(contents(&user.memories("live").await), ["Has two sisters"]);
    let restored = user.post(&format!("/memory/{plan}/undo"), &json!({})).await.expect(200);
    assert_eq!(restored["memories"][0]["id"], plan.as_str());
}
