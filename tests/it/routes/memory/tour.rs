//! The README's tour: four facts, verdicts on them, a session that uses them, a contradiction, a merge and its undo.

use std::time::Duration;

use serde_json::json;

use crate::{
    both_stacks,
    harness::{
        Stack, eventually,
        memory::{app, contents, id},
    },
};

both_stacks!(four_facts_are_told_verified_used_contradicted_and_merged);

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn four_facts_are_told_verified_used_contradicted_and_merged(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    user.tell("Hi! My name is Ana. I live in London.").await;
    user.tell("I love hiking in the mountains and I'm allergic to peanuts.").await;
    let pending = user.get("/memory/pending").await.expect(200);
    let items = pending["items"].as_array().unwrap();
    assert_eq!(
        contents(items),
        ["Is allergic to peanuts", "Is called Ana", "Likes hiking in the mountains", "Lives in London"]
    );
    let quote =
        |content: &str| items.iter().find(|m| m["content"] == content).unwrap()["source"]["quote"].clone();
    assert_eq!(quote("Lives in London"), "I live in London.");
    assert_eq!(quote("Is allergic to peanuts"), "I'm allergic to peanuts.");
    let of = |content: &str| id(items.iter().find(|m| m["content"] == content).unwrap()).to_owned();

    assert_eq!(user.verify(&of("Lives in London"), "confirm").await["status"], "confirmed");
    assert_eq!(user.verify(&of("Likes hiking in the mountains"), "reject").await["status"], "rejected");
    let body = json!({"action": "correct", "corrected_content": "Is allergic to all nuts", "corrected_importance": 1.0});
    let corrected =
        user.post(&format!("/memory/{}/verify", of("Is allergic to peanuts")), &body).await.expect(200);
    assert_eq!(
        (corrected["status"].as_str(), corrected["importance"].as_f64()),
        (Some("confirmed"), Some(1.0))
    );

    // A third session uses what is known, and shows what.
    let stream = user.stream(&json!({"message": "Where do I live?"})).await;
    let events = stream.all().await;
    let memory = events.iter().find(|event| event.name == "memory").expect("a memory event");
    let used: Vec<&str> = memory.data["memories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["content"].as_str().unwrap())
        .collect();
    // The allergy stands in every prompt.
    assert_eq!(used, ["Is allergic to all nuts", "Lives in London"]);
    let done = events.last().unwrap();
    assert_eq!(done.data["reply"], "From what I remember of you: Lives in London.");
    assert_eq!(done.data["memories_used"], 2);
    let without =
        user.post("/chat", &json!({"message": "Where do I live?", "enable_memory": false})).await.expect(200);
    assert_eq!(without["memories_used"], 0);

    // A contradiction is found, offered, and answered.
    user.tell("Actually, I moved to Dhaka.").await;
    let conflicts = user.get("/memory/conflicts?status=open").await.expect(200);
    assert_eq!(conflicts.as_array().unwrap().len(), 1, "{conflicts}");
    let pair = conflicts[0]["memories"].as_array().unwrap();
    assert_eq!(contents(pair), ["Lives in Dhaka", "Lives in London"]);
    assert_eq!(pair[0]["status"], "confirmed", "a confirmed memory is not retired without its user");
    let dhaka = id(&pair[1]);
    let path = format!("/memory/conflicts/{}/resolve", conflicts[0]["id"].as_str().unwrap());
    assert_eq!(user.post(&path, &json!({"keep": dhaka})).await.expect(200)["status"], "resolved");
    user.post(&path, &json!({"keep": "both"})).await.problem(409, "wrong_state");
    let london = user.memory("Lives in London").await;
    assert_eq!(london["status"], "superseded");
    assert!(london["valid_to"].is_string());
    let hits = user.search(json!({"query": "Where do I live?", "limit": 3})).await;
    assert_eq!(hits[0]["memory"]["content"], "Lives in Dhaka");
    assert!(hits.iter().all(|hit| hit["memory"]["content"] != "Lives in London"));

    // A merge, and its undo, which restores everything.
    let first = user.add_memory("Likes tea").await;
    let second = user.add_memory("Likes green tea in the morning").await;
    let before =
        [user.get(&format!("/memory/{first}")).await.body, user.get(&format!("/memory/{second}")).await.body];
    let merged = user.post("/memory/consolidate", &json!({"memory_ids": [first, second]})).await.expect(200);
    let merged = &merged["consolidated_memory"];
    assert_eq!(merged["content"], "Likes green tea in the morning");
    let merged_id = id(merged);
    assert_eq!(user.get(&format!("/memory/{merged_id}")).await.body["merged_from"], json!([first, second]));
    assert_eq!(user.get(&format!("/memory/{first}")).await.body["merged_into"], merged_id);
    user.post(&format!("/memory/{merged_id}/unmerge"), &json!({})).await.expect(200);
    user.get(&format!("/memory/{merged_id}")).await.problem(404, "not_found");
    for (was, id) in before.iter().zip([&first, &second]) {
        let mut now = user.get(&format!("/memory/{id}")).await.expect(200);
        now["updated_at"] = was["updated_at"].clone();
        assert_eq!(now, *was);
    }
    user.until_found("green tea in the morning", "Likes green tea in the morning").await;

    // Readings are counted, a little later.
    eventually("readings are counted", Duration::from_secs(20), || async {
        let memory = user.memory("Lives in London").await;
        (memory["access_count"].as_i64()? >= 1).then_some(())
    })
    .await;
    let dashboard = user.get("/memory/analytics/dashboard?time_range=7d").await.expect(200);
    assert_eq!(dashboard["overview"]["open_conflicts"], 0);
    assert_eq!(dashboard["by_status"]["rejected"], 1);
    let health = &dashboard["health"];
    let sum: f64 = ["verified", "confidence", "diversity", "recency"]
        .iter()
        .map(|part| health[part].as_f64().unwrap())
        .sum();
    assert!((sum - dashboard["health_score"].as_f64().unwrap()).abs() < 0.05, "{dashboard}");
    let top = user.get("/memory/analytics/top?metric=importance&limit=1").await.expect(200);
    assert_eq!(top[0]["content"], "Is allergic to all nuts");
}
