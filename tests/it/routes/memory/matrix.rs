//! Two users with the same words: neither sees, counts, links, merges or exports the other's, in any memory route.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        Stack,
        memory::{app, id},
    },
};

both_stacks!(two_users_with_the_same_words_never_meet);

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn two_users_with_the_same_words_never_meet(stack: Stack) {
    let (app, _index) = app(stack).await;
    let (ann, bob) = (app.user().await, app.user().await);
    let mut sessions = Vec::new();
    for user in [&ann, &bob] {
        sessions.push(user.tell("I live in London. I like tea. I play chess.").await);
        user.verify(id(&user.memory("Lives in London").await), "confirm").await;
        user.tell("I moved to Dhaka.").await;
        let (a, b) = (user.memory("Likes tea").await, user.memory("Plays chess").await);
        user.post("/memory/link", &json!({"source_id": id(&a), "target_id": id(&b)})).await.expect(201);
        user.until_found("tea", "Likes tea").await;
    }
    let all = bob.memories("all").await;
    let conflict = bob.get("/memory/conflicts").await.expect(200)[0]["id"].as_str().unwrap().to_owned();
    let bobs: Vec<String> = all
        .iter()
        .map(|memory| id(memory).to_owned())
        .chain([conflict.clone(), sessions[1].clone()])
        .collect();
    let bobs_messages: Vec<String> = bob
        .messages(&sessions[1])
        .await
        .iter()
        .map(|message| message["id"].as_str().unwrap().to_owned())
        .collect();
    let (tea, chess) = (bob.memory("Likes tea").await, bob.memory("Plays chess").await);
    let (tea, chess) = (id(&tea), id(&chess));
    let own = ann.memory("Likes tea").await;
    let own = id(&own);

    // Every memory operation of the description, with ids of the other's wherever it takes some.
    let description: Value =
        ann.http.get(format!("{}/openapi.json", app.url(0))).send().await.unwrap().json().await.unwrap();
    let body_for = |method: &str, path: &str| -> Value {
        match (method, path) {
            ("post", "/memory") => json!({"content": "Likes tea"}),
            ("patch", _) => json!({"content": "Stolen words"}),
            ("post", "/memory/verify") => json!({"verifications": [{"memory_id": tea, "action": "reject"}]}),
            ("post", p) if p.ends_with("/verify") => json!({"action": "reject"}),
            ("post", "/memory/search") => {
                json!({"query": "tea London chess", "limit": 100, "sources": ["memories", "messages"]})
            }
            (_, "/memory/link") => json!({"source_id": own, "target_id": tea}),
            ("post", "/memory/consolidate") => json!({"memory_ids": [own, tea]}),
            ("post", "/memory/privacy") => {
                json!({"memory_ids": [tea], "is_private": true, "shared_with": []})
            }
            ("delete", "/memory/bulk") => json!({"memory_ids": [tea, chess]}),
            ("post", "/memory/classify-expiration") => json!({"memory_ids": [tea]}),
            ("post", "/memory/extract") => json!({"session_id": sessions[1]}),
            ("post", p) if p.ends_with("/resolve") => json!({"keep": "neither"}),
            ("post", "/memory/import") => json!({"memories": [{"id": tea, "content": "Likes tea"}]}),
            ("post", "/memory/export") => json!({"format": "json", "include_relationships": true}),
            _ => json!({}),
        }
    };
    // A stream without end, and a file that only a job makes.
    let is_meant = |path: &str| {
        path.starts_with("/api/v1/memory") && !path.contains("/events") && !path.contains("/exports/")
    };
    let mut checked = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        // Not those below `/v1`: they have no memories in their paths.
        let Some(short) = path.strip_prefix("/api/v1").filter(|_| is_meant(path)) else { continue };
        for method in item.as_object().unwrap().keys() {
            let theirs = if short.contains("/conflicts/") { conflict.as_str() } else { tea };
            let mut url = short.replace("{id}", theirs);
            if short == "/memory/conflicts/detect" {
                url += &format!("?memory_id={tea}");
            }
            let verb: Method = method.to_uppercase().parse().unwrap();
            let answer = ann.send(verb, &url, &body_for(method, short)).await;
            let takes_theirs = short.contains("{id}")
                || [
                    "/memory/verify",
                    "/memory/link",
                    "/memory/consolidate",
                    "/memory/privacy",
                    "/memory/classify-expiration",
                    "/memory/extract",
                    "/memory/conflicts/detect",
                ]
                .contains(&short);
            if takes_theirs {
                assert_eq!(answer.status, 404, "{method} {url}: {}", answer.body);
            } else {
                assert!(answer.status < 300, "{method} {url}: {} {}", answer.status, answer.body);
            }
            let text = answer.body.to_string();
            for id in bobs.iter().chain(&bobs_messages) {
                assert!(!text.contains(id.as_str()), "{method} {url} shows {id}");
            }
            checked += 1;
        }
    }
    let meant = description["paths"].as_object().unwrap().iter().filter(|(path, _)| is_meant(path));
    assert_eq!(checked, meant.map(|(_, item)| item.as_object().unwrap().len()).sum::<usize>());
    assert!(checked > 0);
    for mode in ["semantic", "keyword", "hybrid"] {
        let hits = ann.search(json!({"query": "tea London chess Dhaka", "mode": mode, "limit": 100, "sources": ["memories", "messages"]})).await;
        let text = json!(hits).to_string();
        assert!(
            !hits.is_empty() && bobs.iter().chain(&bobs_messages).all(|id| !text.contains(id.as_str())),
            "{mode}"
        );
    }
    // And nothing of the other's changed.
    let unread = |all: Vec<Value>| -> Vec<Value> {
        // Bob's own searches are counted a little later.
        let strip = |mut memory: Value| {
            memory["access_count"].take();
            memory["last_accessed"].take();
            memory
        };
        all.into_iter().map(strip).collect()
    };
    assert_eq!(unread(bob.memories("all").await), unread(all.clone()));
    assert_eq!(bob.get("/memory/conflicts?status=open").await.expect(200).as_array().unwrap().len(), 1);
    assert_eq!(bob.get(&format!("/memory/{tea}/related")).await.expect(200).as_array().unwrap().len(), 1);
    let dashboard = bob.get("/memory/analytics/dashboard").await.expect(200);
    assert_eq!(dashboard["overview"]["total_memories"].as_u64().unwrap() as usize, all.len());
}
