use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        Stack,
        memory::{app, contents, id},
    },
};

both_stacks!(
    every_change_is_in_the_history_and_can_be_undone,
    verdicts_that_race_leave_one_of_them_whole,
    many_are_verified_together_or_not_at_all,
    suggestions_and_contradictions_are_found,
    many_are_deleted_by_id_or_by_what_they_are,
);

async fn every_change_is_in_the_history_and_can_be_undone(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    user.tell("I like tea.").await;
    let memory = user.memory("Likes tea").await;
    let tea = id(&memory);
    let path = |end: &str| format!("/memory/{tea}{end}");
    user.verify(tea, "confirm").await;
    let edit = json!({"content": "Likes black tea", "importance": 0.9, "contexts": ["home"]});
    user.send(Method::PATCH, &path(""), &edit).await.expect(200);
    user.verify(tea, "reject").await;
    let history = user.get(&path("/history")).await.expect(200);
    let told = |field: &str| -> Vec<String> {
        let changes = history["changes"].as_array().unwrap();
        changes.iter().map(|change| change[field].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(told("action"), ["rejected", "edited", "confirmed", "extracted"]);
    assert_eq!(told("actor"), ["user", "user", "user", "extractor"]);
    assert_eq!(history["changes"][1]["before"]["content"], "Likes tea");
    for expected in [("Likes black tea", "confirmed"), ("Likes tea", "confirmed"), ("Likes tea", "pending")] {
        let undone = user.post(&path("/undo"), &json!({})).await.expect(200);
        let now = &undone["memories"][0];
        assert_eq!((now["content"].as_str().unwrap(), now["status"].as_str().unwrap()), expected);
    }
    let now = user.get(&path("")).await.expect(200);
    for field in [
        "content",
        "status",
        "importance",
        "confidence",
        "contexts",
        "verified_at",
        "source",
        "slot",
        "object",
    ] {
        assert_eq!(now[field], memory[field], "{field} is as it was");
    }
    user.post(&path("/undo"), &json!({})).await.problem(409, "wrong_state");
    // What undoing brought back is found again by its own words.
    let hits = user.search(json!({"query": "black", "mode": "keyword"})).await;
    assert!(hits.is_empty(), "{hits:?}");
    // Undoing the making of one's own memory takes it away.
    let own = user.add_memory("Has a bicycle").await;
    assert_eq!(
        user.post(&format!("/memory/{own}/undo"), &json!({})).await.expect(200)["memories"],
        json!([])
    );
    user.get(&format!("/memory/{own}")).await.problem(404, "not_found");
    // Two that would say the same: refused, nothing changed.
    user.add_memory("Plays chess").await;
    let other = user.add_memory("Plays go").await;
    let same = json!({"content": "plays CHESS!"});
    user.send(Method::PATCH, &format!("/memory/{other}"), &same).await.problem(409, "conflict");
    assert_eq!(user.get(&format!("/memory/{other}")).await.body["content"], "Plays go");
}

async fn verdicts_that_race_leave_one_of_them_whole(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    user.tell("I like tea.").await;
    let tea = user.memory("Likes tea").await;
    let path = format!("/memory/{}/verify", id(&tea));
    let racing = (0..12).map(|n| {
        let (user, path) = (user.clone(), path.clone());
        tokio::spawn(async move {
            let body = match n % 3 {
                0 => json!({"action": "confirm"}),
                1 => json!({"action": "reject"}),
                _ => json!({"action": "correct", "corrected_content": format!("Likes tea number {n}")}),
            };
            user.post(&path, &body).await.expect(200)
        })
    });
    let answers: Vec<Value> =
        futures::future::join_all(racing).await.into_iter().map(|answer| answer.unwrap()).collect();
    let now = user.get(&format!("/memory/{}", id(&tea))).await.expect(200);
    let said = |answer: &Value| answer["content"] == now["content"] && answer["status"] == now["status"];
    assert!(answers.iter().any(said), "the memory is as one of the verdicts left it: {now}");
    // The history is a chain: each change begins where the one before ended.
    let history = user.get(&format!("/memory/{}/history", id(&tea))).await.expect(200);
    let changes = history["changes"].as_array().unwrap();
    for pair in changes.windows(2) {
        assert_eq!(pair[0]["before"]["content"], pair[1]["after"]["content"]);
        assert_eq!(pair[0]["before"]["status"], pair[1]["after"]["status"]);
    }
    assert_eq!(changes[0]["after"]["content"], now["content"]);
}

async fn many_are_verified_together_or_not_at_all(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    user.tell("I like tea. I live in Oslo. I play chess.").await;
    let pending = user.memories("pending").await;
    let all: Vec<Value> = pending.iter().map(|m| json!({"memory_id": id(m), "action": "confirm"})).collect();
    let mut broken = all.clone();
    broken.push(json!({"memory_id": "mem_06gzqtmcpsrcddge92jzncy0dc", "action": "confirm"}));
    user.post("/memory/verify", &json!({"verifications": broken})).await.problem(404, "not_found");
    assert_eq!(user.memories("pending").await.len(), 3, "nothing half done");
    assert_eq!(user.post("/memory/verify", &json!({"verifications": all})).await.expect(200)["verified"], 3);
    assert_eq!(user.memories("confirmed").await.len(), 3);
    // Each can be undone by itself.
    user.post(&format!("/memory/{}/undo", id(&pending[0])), &json!({})).await.expect(200);
    assert_eq!(user.memories("confirmed").await.len(), 2);
}

async fn suggestions_and_contradictions_are_found(stack: Stack) {
    // What the built-in vectors call alike is less than what a language model does.
    let builder = crate::harness::memory::quick(stack)
        .env("MEMORY__SIMILARITY_PERCENT", "50")
        .env("MEMORY__CONSOLIDATE_AFTER", "4");
    let (builder, _index) = crate::harness::memory::with_index(stack, builder).await;
    let app = builder.start().await;
    let user = app.user().await;
    for content in [
        "Likes hiking in the mountains",
        "Likes mountain hikes",
        "Drinks coffee",
        "Does not drink coffee",
        "Owns a boat",
    ] {
        user.add_memory(content).await;
    }
    user.until_found("boat", "Owns a boat").await;
    // Kept ready by a job of the sweep's.
    let suggestions =
        crate::harness::eventually("suggestions", std::time::Duration::from_secs(30), || async {
            let all = user.get("/memory/consolidate/suggestions").await.expect(200);
            (!all.as_array()?.is_empty()).then_some(all)
        })
        .await;
    let hiking =
        [user.memory("Likes hiking in the mountains").await, user.memory("Likes mountain hikes").await];
    let mut ids: Vec<&str> =
        suggestions[0]["memory_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    ids.sort();
    let mut expected = [id(&hiking[0]), id(&hiking[1])];
    expected.sort();
    assert_eq!(ids, expected, "{suggestions}");
    assert!(suggestions[0]["suggested_content"].as_str().unwrap().contains("mountain"));
    let found = user.get("/memory/conflicts/detect").await.expect(200);
    let contradicting: Vec<&Value> = found["conflicting_memories"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["conflict_type"] == "contradicts")
        .collect();
    assert_eq!(contradicting.len(), 1, "{found}");
    assert_eq!(contradicting[0]["content"], "Does not drink coffee");
    let coffee = user.memory("Drinks coffee").await;
    let of_one = user.get(&format!("/memory/conflicts/detect?memory_id={}", id(&coffee))).await.expect(200);
    assert_eq!(
        (of_one["memory_id"].as_str(), of_one["conflict_count"].as_i64()),
        (Some(id(&coffee)), Some(1))
    );
    // Looked for twice, recorded once.
    assert_eq!(user.get("/memory/conflicts?status=open").await.expect(200).as_array().unwrap().len(), 1);
    let links = user.get(&format!("/memory/{}/related", id(&coffee))).await.expect(200);
    assert_eq!(
        (links[0]["relationship"].as_str(), links[0]["distance"].as_i64()),
        (Some("contradicts"), Some(1))
    );
}

async fn many_are_deleted_by_id_or_by_what_they_are(stack: Stack) {
    let (app, index) = app(stack).await;
    let user = app.user().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        let kind = if n % 2 == 0 { "goal" } else { "topic" };
        let body = json!({"content": format!("Thing number {n}"), "memory_type": kind, "importance": 0.1 * f64::from(n)});
        ids.push(user.post("/memory", &body).await.expect(201)["id"].as_str().unwrap().to_owned());
    }
    user.until_found("thing number 5", "Thing number 5").await;
    let delete = async |body: Value| {
        user.send(Method::DELETE, "/memory/bulk", &body).await.expect(200)["deleted"].clone()
    };
    let goals = json!({"filter_criteria": {"memory_type": "goal", "importance_lt": 0.3}});
    let mut dry = goals.clone();
    dry["dry_run"] = json!(true);
    assert_eq!(delete(dry).await, 2);
    assert_eq!(user.memories("all").await.len(), 6);
    assert_eq!(delete(goals).await, 2);
    assert_eq!(delete(json!({"memory_ids": [ids[1], ids[0]]})).await, 1, "what is gone is not counted");
    assert_eq!(contents(&user.memories("all").await), ["Thing number 3", "Thing number 4", "Thing number 5"]);
    if let Some(index) = index {
        // Vectors go with their memories.
        crate::harness::eventually("points are erased", std::time::Duration::from_secs(20), || async {
            (index.points() == 3).then_some(())
        })
        .await;
    }
}
