//! What does not go together is found without a model, asked about once, and asked again when its answer is undone.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        Stack, User,
        memory::{app, contents, id},
    },
};

both_stacks!(
    opposites_are_asked_about_however_they_were_said,
    undoing_an_answer_asks_again,
    an_import_is_compared_as_it_comes_in,
    a_session_erased_while_it_is_read_stops_nobody,
);

async fn open(user: &User) -> Vec<Value> {
    user.get("/memory/conflicts?status=open").await.expect(200).as_array().unwrap().clone()
}

async fn opposites_are_asked_about_however_they_were_said(stack: Stack) {
    let (app, _index) = app(stack).await;
    let asked_about = async |user: &User, two: [&str; 2]| {
        let all = open(user).await;
        assert_eq!(all.len(), 1, "{two:?}: {all:?}");
        assert_eq!(contents(all[0]["memories"].as_array().unwrap()), two);
        let found = user.get("/memory/conflicts/detect").await.expect(200);
        assert_eq!(found["conflict_count"], 1, "{found}");
        assert_eq!(found["conflicting_memories"][0]["conflict_type"], "contradicts");
        assert_eq!(open(user).await.len(), 1, "asked about once");
    };
    let user = app.user().await;
    user.tell("I like cats. Actually I hate cats.").await;
    asked_about(&user, ["Does not like cats", "Likes cats"]).await;
    let user = app.user().await;
    user.tell("I like cats.").await;
    user.tell("I hate cats.").await;
    asked_about(&user, ["Does not like cats", "Likes cats"]).await;
    for two in [["I hate cats", "Likes cats"], ["Lives in Paris", "Lives in Rome"]] {
        let user = app.user().await;
        for content in two {
            user.add_memory(content).await;
        }
        asked_about(&user, two).await;
    }
    // The slot is told from the words, and goes with them.
    let user = app.user().await;
    let home = user.add_memory("Lives in Paris").await;
    let path = format!("/memory/{home}");
    assert_eq!(user.get(&path).await.expect(200)["slot"], "home_city");
    user.send(Method::PATCH, &path, &json!({"content": "Collects stamps"})).await.expect(200);
    assert_eq!(user.get(&path).await.expect(200)["slot"], Value::Null);
    // What goes together is left alone.
    for content in ["Likes cats", "Likes dogs", "Likes green tea", "Dislikes black tea"] {
        user.add_memory(content).await;
    }
    assert!(open(&user).await.is_empty());
    assert_eq!(user.get("/memory/conflicts/detect").await.expect(200)["conflict_count"], 0);
}

async fn an_import_is_compared_as_it_comes_in(stack: Stack) {
    let (app, _index) = app(stack).await;
    app.leaves_jobs(); // what was imported is looked through for longer than this test takes
    let user = app.user().await;
    for content in ["Likes cats", "Lives in Paris", "Likes dogs", "Plays chess"] {
        user.add_memory(content).await;
    }
    let pairs = async || {
        let all = open(&user).await;
        let mut pairs: Vec<Vec<String>> =
            all.iter().map(|one| contents(one["memories"].as_array().unwrap())).collect();
        pairs.sort();
        pairs
    };
    // With what is known, and within the file.
    let rows = json!([
        {"content": "Hates cats"},
        {"content": "Lives in Rome"},
        {"content": "Likes green tea"},
        {"content": "Does not like running"},
        {"content": "Loves running"},
        {"content": "Dislikes dogs", "status": "rejected"},
        {"content": "Likes black tea"},
        {"content": "Plays chess"},
    ]);
    let imported = user.post("/memory/import", &json!({"memories": rows})).await.expect(200);
    assert_eq!(
        (imported["imported"].as_i64(), imported["conflicts"].as_i64()),
        (Some(7), Some(3)),
        "{imported}"
    );
    let expected = [
        ["Does not like running", "Loves running"],
        ["Hates cats", "Likes cats"],
        ["Lives in Paris", "Lives in Rome"],
    ];
    assert_eq!(pairs().await, expected);
    let again = user.post("/memory/import", &json!({"memories": rows})).await.expect(200);
    assert_eq!((again["imported"].as_i64(), again["conflicts"].as_i64()), (Some(0), Some(0)), "asked once");
    // In another batch of the same file, too; a file full of opposites asks a bounded number of questions.
    let mut rows: Vec<Value> =
        (0..400).map(|n| json!({"content": format!("Owns book number {n}")})).collect();
    rows.push(json!({"content": "Does not own book number 7"}));
    let csv = user.post("/memory/import", &json!({"memories": rows})).await.expect(200);
    assert_eq!((csv["imported"].as_i64(), csv["conflicts"].as_i64()), (Some(401), Some(1)), "{csv}");
    let opposites = |n: usize| {
        [json!({"content": format!("Likes dish{n}")}), json!({"content": format!("Hates dish{n}")})]
    };
    let rows: Vec<Value> = (0..1_005).flat_map(opposites).collect();
    // It may take longer than a request waits.
    let many = user.post("/memory/import", &json!({"memories": rows})).await;
    let many = match many.status {
        202 => {
            user.finished(many.body["id"].as_str().unwrap(), Duration::from_secs(90)).await["result"].clone()
        }
        _ => many.expect(200),
    };
    assert_eq!((many["imported"].as_i64(), many["conflicts"].as_i64()), (Some(2_010), Some(1_000)), "{many}");
}

async fn undoing_an_answer_asks_again(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    let (likes, hates) = (user.add_memory("Likes cats").await, user.add_memory("Hates cats").await);
    let conflict = open(&user).await[0].clone();
    let resolve = format!("/memory/conflicts/{}/resolve", id(&conflict));
    for keep in [likes.as_str(), "both", "neither", hates.as_str()] {
        user.post(&resolve, &json!({"keep": keep})).await.expect(200);
        assert!(open(&user).await.is_empty());
        user.post(&resolve, &json!({"keep": keep})).await.problem(409, "wrong_state");
        user.post(&format!("/memory/{likes}/undo"), &json!({})).await.expect(200);
        let again = open(&user).await;
        assert_eq!((again.len(), &again[0]["id"]), (1, &conflict["id"]), "after {keep}");
        assert!(again[0]["resolved_at"].is_null() && again[0]["resolved_by"].is_null());
        assert_eq!(contents(&user.memories("live").await), ["Hates cats", "Likes cats"]);
    }
    // A rejection answers it too.
    user.verify(&hates, "reject").await;
    assert!(open(&user).await.is_empty());
    user.post(&format!("/memory/{hates}/undo"), &json!({})).await.expect(200);
    assert_eq!(open(&user).await.len(), 1);
}

/// Sessions and an account go while windows of theirs are read; the windows of others are read.
async fn a_session_erased_while_it_is_read_stops_nobody(stack: Stack) {
    let (app, _index) = app(stack).await;
    let (going, staying) = (app.user().await, app.user().await);
    for n in 0..8 {
        let session = going.chat(&format!("I like dish number {n}.")).await["session_id"].clone();
        let path = format!("/chat/sessions/{}", session.as_str().unwrap());
        assert!(going.request(Method::DELETE, &path).send().await.unwrap().status().is_success());
    }
    staying.tell("I like tea.").await;
    assert_eq!(contents(&staying.memories("live").await), ["Likes tea"]);
}
