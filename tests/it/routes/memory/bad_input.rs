use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{Stack, memory::quick},
};

both_stacks!(bad_requests_about_memory_are_refused_and_change_nothing);

#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn bad_requests_about_memory_are_refused_and_change_nothing(stack: Stack) {
    let app = quick(stack).start().await;
    let (user, other) = (app.user().await, app.user().await);
    let mine = user.add_memory("Likes tea").await;
    let second = user.add_memory("Likes coffee").await;
    let theirs = other.add_memory("Likes tea").await;
    let before = user.memories("all").await;
    let many: Vec<&str> = vec![&mine; 51];
    let bulk = |body: Value| (Method::DELETE, "/memory/bulk".to_owned(), body);
    let post = |path: &str, body: Value| (Method::POST, path.to_owned(), body);
    let verify = format!("/memory/{mine}/verify");
    let unprocessable = [
        (post("/memory", json!({})), "content"),
        (post("/memory", json!({"content": " .,! "})), "content"),
        (post("/memory", json!({"content": "x".repeat(2_001)})), "content"),
        (post("/memory", json!({"content": "a\u{0}b"})), "content"),
        (post("/memory", json!({"content": "ok", "memory_type": "rumour"})), "memory_type"),
        (post("/memory", json!({"content": "ok", "importance": 7})), "importance"),
        (post("/memory", json!({"content": "ok", "importance": -0.1})), "importance"),
        (post("/memory", json!({"content": "ok", "confidence": "high"})), "confidence"),
        (post("/memory", json!({"content": "ok", "contexts": vec!["c"; 21]})), "contexts"),
        (
            post(
                "/memory",
                json!({"content": "ok", "valid_from": "2022-01-01T00:00:00Z", "valid_to": "2021-01-01T00:00:00Z"}),
            ),
            "valid_to",
        ),
        (post("/memory", json!({"content": "ok", "expires_at": "tomorrow"})), "expires_at"),
        (post(&verify, json!({"action": "maybe"})), "action"),
        (post(&verify, json!({})), "action"),
        (post(&verify, json!({"action": "correct"})), "corrected_content"),
        (post(&verify, json!({"action": "correct", "corrected_content": ""})), "corrected_content"),
        (post(&verify, json!({"action": "confirm", "corrected_importance": 7})), "corrected_importance"),
        (post("/memory/verify", json!({"verifications": []})), "verifications"),
        (post("/memory/search", json!({"query": ""})), "query"),
        (post("/memory/search", json!({"query": "x".repeat(2_001)})), "query"),
        (post("/memory/search", json!({"query": "x", "limit": 0})), "limit"),
        (post("/memory/search", json!({"query": "x", "limit": 101})), "limit"),
        (post("/memory/search", json!({"query": "x", "mode": "psychic"})), "mode"),
        (post("/memory/search", json!({"query": "x", "status": "odd"})), "status"),
        (post("/memory/search", json!({"query": "x", "sources": ["web"]})), "sources"),
        (post("/memory/search", json!({"query": "x", "as_of": "then"})), "as_of"),
        (post("/memory/consolidate", json!({"memory_ids": []})), "memory_ids"),
        (post("/memory/consolidate", json!({"memory_ids": [mine]})), "memory_ids"),
        (post("/memory/consolidate", json!({"memory_ids": many})), "memory_ids"),
        (post("/memory/consolidate", json!({"memory_ids": [mine, mine]})), "memory_ids"),
        (post("/memory/link", json!({"source_id": mine, "target_id": mine})), "target_id"),
        (
            post(
                "/memory/link",
                json!({"source_id": mine, "target_id": second, "relationship_type": "hates"}),
            ),
            "relationship_type",
        ),
        (post("/memory/privacy", json!({"memory_ids": [], "is_private": true})), "memory_ids"),
        (post("/memory/export", json!({"format": "xml"})), "format"),
        (post("/memory/export", json!({"filter_by_status": "odd"})), "filter_by_status"),
        (post("/memory/extract", json!({})), "session_id"),
        (post("/chat/sessions/import", json!({"messages": []})), "messages"),
        (
            post("/chat/sessions/import", json!({"messages": [{"role": "root", "content": "x"}]})),
            "messages[0].role",
        ),
        (bulk(json!({})), "memory_ids"),
        (bulk(json!({"filter_criteria": {}})), "filter_criteria"),
        (bulk(json!({"filter_criteria": {"status": "odd"}})), "filter_criteria.status"),
        (bulk(json!({"memory_ids": [mine], "filter_criteria": {"status": "pending"}})), "memory_ids"),
        (
            (
                Method::PATCH,
                "/settings".to_owned(),
                json!({"memory_settings": {"auto_confirm_threshold": 2}}),
            ),
            "memory_settings.auto_confirm_threshold",
        ),
    ];
    for ((method, path, body), field) in unprocessable {
        let problem = user.send(method, &path, &body).await;
        let problem = problem.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{path} {body}");
    }
    let nobodys = "mem_06gzqtmcpsrcddge92jzncy0dc";
    for (path, body) in [
        ("/memory/consolidate", json!({"memory_ids": [mine, theirs]})),
        ("/memory/consolidate", json!({"memory_ids": [mine, nobodys]})),
        ("/memory/consolidate", json!({"memory_ids": [mine, "sess_x"]})),
        ("/memory/link", json!({"source_id": mine, "target_id": theirs})),
        ("/memory/link", json!({"source_id": "x", "target_id": mine})),
        ("/memory/privacy", json!({"memory_ids": [mine, theirs], "is_private": true})),
        ("/memory/classify-expiration", json!({"memory_ids": [theirs]})),
        ("/memory/extract", json!({"session_id": "sess_x"})),
        ("/memory/verify", json!({"verifications": [{"memory_id": theirs, "action": "reject"}]})),
    ] {
        user.post(path, &body).await.problem(404, "not_found");
    }
    for path in [
        "/memory?status=odd",
        "/memory?memory_type=odd",
        "/memory?sort=odd",
        "/memory?limit=0",
        "/memory?limit=201",
        "/memory?cursor=!",
        "/memory/conflicts?status=odd",
        "/memory/consolidate/suggestions?limit=0",
        "/memory/analytics/dashboard?time_range=1y",
        "/memory/analytics/top?metric=beauty",
        "/memory/analytics/top?limit=0",
        "/memory/events?after=x",
    ] {
        let answer = user.get(path).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (400, Some("invalid_query")), "{path}");
    }
    assert_eq!(user.memories("all").await, before, "nothing changed");
    // History does not change any more.
    let merged = user.post("/memory/consolidate", &json!({"memory_ids": [mine, second]})).await.expect(200);
    user.post(&verify, &json!({"action": "confirm"})).await.problem(409, "wrong_state");
    user.send(Method::PATCH, &format!("/memory/{mine}"), &json!({"importance": 0.1}))
        .await
        .problem(409, "wrong_state");
    let again = json!({"memory_ids": [mine, merged["consolidated_memory"]["id"]]});
    user.post("/memory/consolidate", &again).await.problem(409, "wrong_state");
    // The same request twice makes one.
    let key = |request: reqwest::RequestBuilder| request.header("idempotency-key", "once");
    let body = json!({"content": "Owns a kayak"});
    let one = crate::harness::client::Answer::of(
        key(user.request(Method::POST, "/memory")).json(&body).send().await.unwrap(),
    )
    .await;
    let two = crate::harness::client::Answer::of(
        key(user.request(Method::POST, "/memory")).json(&body).send().await.unwrap(),
    )
    .await;
    assert_eq!((one.status, two.status, &one.body["id"]), (201, 201, &two.body["id"]));
    assert_eq!(two.headers["idempotent-replayed"], "true");
}
