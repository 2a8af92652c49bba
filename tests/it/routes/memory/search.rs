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
    words_and_meaning_find_and_every_term_of_the_score_shows,
    filters_and_time_narrow_the_search,
    past_turns_are_found_at_once,
    past_turns_that_do_not_bear_on_a_question_are_not_given,
    private_and_shared_memories_go_where_they_may,
);

async fn words_and_meaning_find_and_every_term_of_the_score_shows(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    for content in
        ["Likes hiking in the Alps", "Works as a baker in Turin", "Has a cat called Momo", "ঢাকায় থাকতে ভালোবাসেন"]
    {
        user.add_memory(content).await;
    }
    // Words at once; forms of a word too, in any script.
    let first =
        async |body: Value| user.search(body).await.first().map(|hit| hit["memory"]["content"].clone());
    assert_eq!(
        first(json!({"query": "hikes", "mode": "keyword"})).await,
        Some(json!("Likes hiking in the Alps"))
    );
    assert_eq!(first(json!({"query": "ঢাকায়", "mode": "keyword"})).await, Some(json!("ঢাকায় থাকতে ভালোবাসেন")));
    assert_eq!(first(json!({"query": "quantum", "mode": "keyword"})).await, None);
    user.until_found("bakery", "Works as a baker in Turin").await;
    user.until_found("a hike in an alp", "Likes hiking in the Alps").await;
    let hits = user.search(json!({"query": "hiking Alps", "explain": true, "limit": 2})).await;
    let explain = &hits[0]["explain"];
    for term in [
        "bm25",
        "keyword",
        "cosine",
        "semantic",
        "relevance",
        "status",
        "importance",
        "recency",
        "support",
        "score",
    ] {
        assert!(explain[term].is_number(), "{term}: {explain}");
    }
    assert_eq!(hits[0]["score"], explain["score"]);
    let product: f64 = ["relevance", "status", "importance", "recency", "support"]
        .iter()
        .map(|term| explain[term].as_f64().unwrap())
        .product();
    assert!((product - hits[0]["score"].as_f64().unwrap()).abs() < 1e-9);
    assert!(hits[0]["relevance_reason"].as_str().unwrap().contains("hike"));
    let without = user.search(json!({"query": "hiking", "use_semantic_search": false})).await;
    assert_eq!((without.len(), without[0]["similarity_score"].as_f64()), (1, Some(0.0)));
    assert!(without[0].get("explain").is_none());
    // The vector goes with its memory.
    let alps = user.memory("Likes hiking in the Alps").await;
    let shown = user.get(&format!("/memory/{}?include=embedding", id(&alps))).await.expect(200);
    assert_eq!(shown["embedding"].as_array().unwrap().len(), 384);
    assert!(alps.get("embedding").is_none());
    user.request(Method::DELETE, &format!("/memory/{}", id(&alps))).send().await.unwrap();
    assert!(
        user.search(json!({"query": "hiking Alps"}))
            .await
            .iter()
            .all(|hit| hit["memory"]["id"] != alps["id"])
    );
}

async fn filters_and_time_narrow_the_search(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    let add = async |body: Value| user.post("/memory", &body).await.expect(201);
    add(json!({"content": "Tea in the morning", "memory_type": "preference", "importance": 0.9, "contexts": ["home"]})).await;
    add(json!({"content": "Tea with colleagues", "memory_type": "experience", "importance": 0.2, "contexts": ["work"]})).await;
    add(json!({"content": "Tea lived here before", "valid_from": "2020-01-01T00:00:00Z", "valid_to": "2022-01-01T00:00:00Z"})).await;
    let found = async |body: Value| {
        let mut body = body;
        body["query"] = json!("tea");
        let hits = user.search(body).await;
        let found: Vec<Value> = hits.iter().map(|hit| hit["memory"].clone()).collect();
        contents(&found)
    };
    assert_eq!(
        found(json!({})).await,
        ["Tea in the morning", "Tea with colleagues"],
        "what held before does not hold now"
    );
    assert_eq!(found(json!({"memory_type": "experience"})).await, ["Tea with colleagues"]);
    assert_eq!(found(json!({"min_importance": 0.5})).await, ["Tea in the morning"]);
    assert_eq!(found(json!({"contexts": ["work", "school"]})).await, ["Tea with colleagues"]);
    assert_eq!(found(json!({"as_of": "2021-06-01T00:00:00Z"})).await, ["Tea lived here before"]);
    assert_eq!(found(json!({"status": "rejected"})).await, [] as [&str; 0]);
    assert_eq!(found(json!({"limit": 1})).await.len(), 1);
    let list = user.get("/memory?sort=importance&limit=2").await.expect(200);
    assert_eq!(
        (list["items"][0]["content"].as_str(), list["total"].as_i64()),
        (Some("Tea in the morning"), Some(3))
    );
    let next = user
        .get(&format!("/memory?sort=importance&limit=2&cursor={}", list["next_cursor"].as_str().unwrap()))
        .await
        .expect(200);
    assert_eq!((next["items"].as_array().unwrap().len(), next["next_cursor"].is_null()), (1, true));
    assert_eq!(user.get("/memory?q=MORNING").await.expect(200)["total"], 1);
}

async fn past_turns_are_found_at_once(stack: Stack) {
    // No sweep comes by: what is found here needed no job.
    let app = crate::harness::App::builder(stack).env("QUEUE__SWEEP_SECONDS", "600").start().await;
    let user = app.user().await;
    user.chat("/echo The capital of Mongolia is Ulaanbaatar").await;
    let hits = user.search(json!({"query": "Mongolia", "mode": "keyword", "sources": ["messages"]})).await;
    let roles: Vec<&str> = hits.iter().map(|hit| hit["message"]["role"].as_str().unwrap()).collect();
    // The model's answer has no words of its own in the index yet: it is found as what follows.
    assert_eq!(roles, ["user", "assistant"], "{hits:?}");
    assert!(hits[0]["message"]["session_id"].is_string() && hits[0].get("memory").is_none());
    user.add_memory("Likes Mongolia").await;
    let both = user
        .search(json!({"query": "Mongolia", "mode": "keyword", "sources": ["messages", "memories"]}))
        .await;
    assert_eq!(both.len(), 3, "one ranked list");
    let scores: Vec<f64> = both.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    // They go with their session.
    let session = hits[0]["message"]["session_id"].as_str().unwrap();
    user.request(Method::DELETE, &format!("/chat/sessions/{session}")).send().await.unwrap();
    assert!(user.search(json!({"query": "Mongolia", "sources": ["messages"]})).await.is_empty());
}

async fn private_and_shared_memories_go_where_they_may(stack: Stack) {
    let builder = crate::harness::memory::quick(stack).http_provider(&[]);
    let app = builder.start().await;
    let (owner, reader) = (app.user().await, app.user().await);
    let secret = owner.add_memory("Keeps bees on the roof").await;
    let ask = async |provider: &str| {
        let body = json!({"message": "What do I keep on the roof?", "provider": provider});
        owner.post("/chat", &body).await.expect(200)["memories_used"].clone()
    };
    assert_eq!(ask("openai").await, 1);
    let body = json!({"memory_ids": [secret], "is_private": true, "shared_with": [reader.name]});
    assert_eq!(owner.post("/memory/privacy", &body).await.expect(200)["updated"], 1);
    assert_eq!(ask("openai").await, 0, "private memories stay inside the deployment");
    assert_eq!(ask("mock").await, 1, "the mock is inside it");
    owner
        .send(Method::PATCH, "/settings", &json!({"memory_settings": {"allow_private_in_context": true}}))
        .await
        .expect(200);
    assert_eq!(ask("openai").await, 1);
    // Nor does it leave when windows are read or memories merged: the model that does so is outside here.
    owner
        .send(Method::PATCH, "/settings", &json!({"memory_settings": {"allow_private_in_context": false}}))
        .await
        .expect(200);
    let other = owner.add_memory("Keeps bees in the garden").await;
    let merge = json!({"memory_ids": [secret, other]});
    owner.post("/memory/consolidate", &merge).await.problem(403, "forbidden");
    let found = owner.get("/memory/conflicts/detect").await.expect(200);
    assert_eq!(found["conflict_count"], 0);
    // Readable, and not writable, by those it is shared with.
    let seen = reader.get(&format!("/memory/{secret}")).await.expect(200);
    assert_eq!(
        (seen["content"].as_str(), seen["shared_with"].clone()),
        (Some("Keeps bees on the roof"), json!([]))
    );
    assert_eq!(reader.get("/memory/shared").await.expect(200)[0]["id"], secret.as_str());
    assert_eq!(reader.get("/memory").await.expect(200)["total"], 0);
    assert!(reader.search(json!({"query": "bees roof"})).await.is_empty());
    reader
        .send(Method::PATCH, &format!("/memory/{secret}"), &json!({"content": "x y"}))
        .await
        .problem(404, "not_found");
    reader
        .post(&format!("/memory/{secret}/verify"), &json!({"action": "reject"}))
        .await
        .problem(404, "not_found");
    // Whether somebody has a name is not told.
    let known = json!({"memory_ids": [secret], "is_private": true, "shared_with": [reader.name]});
    let unknown =
        json!({"memory_ids": [secret], "is_private": true, "shared_with": [reader.name, "nobody-at-all"]});
    let known = owner.post("/memory/privacy", &known).await.expect(200);
    assert_eq!(owner.post("/memory/privacy", &unknown).await.expect(200), known);
    let none = json!({"memory_ids": [secret], "is_private": true, "shared_with": []});
    owner.post("/memory/privacy", &none).await.expect(200);
    reader.get(&format!("/memory/{secret}")).await.problem(404, "not_found");
}

async fn past_turns_that_do_not_bear_on_a_question_are_not_given(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    let said = [
        "I adopted a dog called Biscuit in spring",
        "The parcel with the number ZX-48213 came on Monday",
        "My sister Nadezhda plays the trombone",
        "We walk along the river every evening",
        "The kitchen needs new paint before winter",
    ];
    let messages: Vec<Value> = said.iter().map(|text| json!({"role": "user", "content": text})).collect();
    user.post("/chat/sessions/import", &json!({"title": "t", "messages": messages})).await.expect(201);
    let found = async |query: &str, least: Option<f64>| -> Vec<String> {
        let mut body = json!({"query": query, "mode": "keyword", "sources": ["messages"]});
        if let Some(least) = least {
            body["min_bearing"] = json!(least);
        }
        let hits = user.search(body).await;
        assert!(hits.iter().all(|hit| hit["bearing"].as_f64().unwrap() >= 0.0));
        hits.iter().map(|hit| hit["message"]["content"].as_str().unwrap().to_owned()).collect()
    };
    let strange = "Which submarine captain sold the haunted lighthouse while his brother married an opera singer in winter?";
    assert_eq!(found(strange, None).await, [""; 0], "one plain word of many is no answer");
    assert!(!found(strange, Some(0.0)).await.is_empty(), "whoever wants the best guesses gets them");
    assert_eq!(found("What is my dog called?", None).await[0], said[0]);
    let vague = "What did my dog eat yesterday morning?";
    assert_eq!(
        (found(vague, Some(0.05)).await[0].as_str(), found(vague, Some(1.9)).await.len()),
        (said[0], 0)
    );
    // Who looks for a number, a name or a word gets it, whatever else the question says.
    let long = "Which submarine captain sold the haunted lighthouse with ZX-48213 on it to an opera singer?";
    assert_eq!(found(long, None).await[0], said[1]);
    let long = "Which submarine captain sold the haunted lighthouse near Nadezhda to an opera singer?";
    assert_eq!(found(long, None).await[0], said[2]);
    assert_eq!(found("trombone", None).await[0], said[2]);
    let body = json!({"query": "dog", "sources": ["messages"], "min_bearing": -1});
    let problem = user.post("/memory/search", &body).await.problem(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "min_bearing");
}
