use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{Stack, User, memory::quick},
};

both_stacks!(links_make_graphs_with_cycles_and_caps);

async fn link(user: &User, source: &str, target: &str, kind: &str) -> u16 {
    let body = json!({"source_id": source, "target_id": target, "relationship_type": kind});
    user.post("/memory/link", &body).await.status
}

async fn links_make_graphs_with_cycles_and_caps(stack: Stack) {
    let app = quick(stack).start().await;
    let user = app.user().await;
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(user.add_memory(&format!("Node number {n}")).await);
    }
    // A ring of six, and a tail.
    for n in 0..6 {
        assert_eq!(link(&user, &ids[n], &ids[(n + 1) % 6], "supports").await, 201);
    }
    assert_eq!(link(&user, &ids[5], &ids[6], "caused_by").await, 201);
    assert_eq!(link(&user, &ids[5], &ids[6], "caused_by").await, 200, "it was there");
    assert_eq!(link(&user, &ids[1], &ids[0], "relates_to").await, 201);
    assert_eq!(link(&user, &ids[0], &ids[1], "relates_to").await, 200, "it says the same in both directions");
    let related = async |query: &str| -> Vec<(String, String, i64)> {
        let found = user.get(&format!("/memory/{}/related{query}", ids[0])).await.expect(200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        found
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (
                    text(&one["memory"]["content"]),
                    text(&one["relationship"]),
                    one["distance"].as_i64().unwrap(),
                )
            })
            .collect()
    };
    assert_eq!(related("").await.len(), 2);
    let far = related("?depth=5").await;
    assert_eq!(far.len(), 6, "all but itself and the one apart: {far:?}");
    assert!(far.contains(&("Node number 3".to_owned(), "supports".to_owned(), 3)));
    assert!(far.contains(&("Node number 6".to_owned(), "caused_by".to_owned(), 2)));
    let kind = related("?depth=5&relationship_type=supports").await;
    assert_eq!(kind.len(), 5);
    let graph = user.get(&format!("/memory/{}/graph?max_depth=1", ids[0])).await.expect(200);
    assert_eq!(
        (graph["nodes"].as_array().unwrap().len(), graph["edges"].as_array().unwrap().len()),
        (3, 3),
        "{graph}"
    );
    let all = user.get("/memory/graph").await.expect(200);
    assert_eq!((all["nodes"].as_array().unwrap().len(), all["edges"].as_array().unwrap().len()), (7, 8));
    assert_eq!(all["truncated"], false);
    // Links go one by one, or with their memory.
    let body = json!({"source_id": ids[0], "target_id": ids[1], "relationship_type": "relates_to"});
    assert_eq!(user.send(Method::DELETE, "/memory/link", &body).await.expect(200)["deleted"], 1);
    user.send(Method::DELETE, "/memory/link", &body).await.problem(404, "not_found");
    user.request(Method::DELETE, &format!("/memory/{}", ids[5])).send().await.unwrap();
    assert_eq!(user.get("/memory/graph").await.expect(200)["edges"].as_array().unwrap().len(), 4);
    for bad in ["?depth=0", "?depth=6", "?depth=99", "?depth=x", "?relationship_type=hates"] {
        user.get(&format!("/memory/{}/related{bad}", ids[0])).await.problem(400, "invalid_query");
    }
    user.get(&format!("/memory/{}/graph?max_depth=99", ids[0])).await.problem(400, "invalid_query");
}
