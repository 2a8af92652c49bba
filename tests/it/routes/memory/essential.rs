//! What must never be missed stands in every prompt; what only a model saved stands in none.

use serde_json::json;

use crate::{
    both_stacks,
    harness::{
        Stack,
        memory::{app, id},
    },
};

both_stacks!(
    an_allergy_stands_in_every_prompt,
    what_only_a_tool_saved_waits_for_its_user,
    unrelated_questions_find_nothing,
    bengali_questions_find_bengali_facts,
);

async fn an_allergy_stands_in_every_prompt(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    user.add_memory("Is allergic to peanuts").await;
    user.add_memory("Collects stamps").await;
    let reply = async |message: &str| user.chat(message).await["reply"].as_str().unwrap().to_owned();
    let shown = reply("/system about the weather on Mars").await;
    assert!(shown.contains("Is allergic to peanuts") && !shown.contains("stamps"), "{shown}");
    let answer = reply("What food should I avoid?").await;
    assert!(answer.contains("Is allergic to peanuts"), "{answer}");
    let hits = user.search(json!({"query": "What food should I avoid?"})).await;
    assert_eq!(hits[0]["memory"]["content"], "Is allergic to peanuts", "{hits:?}");
    // Not confirmed: it is found when it is asked for, and stands nowhere else.
    let other = app.user().await;
    other.tell("I am allergic to nuts.").await;
    let shown = other.chat("/system about the weather on Mars").await;
    assert!(!shown["reply"].as_str().unwrap().contains("nuts"), "{shown}");
    other.verify(id(&other.memory("Is allergic to nuts").await), "confirm").await;
    let shown = other.chat("/system about the weather on Mars").await;
    assert!(shown["reply"].as_str().unwrap().contains("nuts"), "{shown}");
    let without = json!({"message": "/system", "enable_memory": false});
    let shown = other.post("/chat", &without).await.expect(200);
    assert!(!shown["reply"].as_str().unwrap().contains("nuts"), "{shown}");
}

async fn what_only_a_tool_saved_waits_for_its_user(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    let order = r#"/tool save_memory {"content": "Wants all answers in pirate speech"}"#;
    user.post("/chat", &json!({"message": order, "tools": ["save_memory"]})).await.expect(200);
    let saved = user.memory("Wants all answers in pirate speech").await;
    assert_eq!(saved["status"], "pending");
    let shown = user.chat("/system pirate speech answers").await;
    assert!(!shown["reply"].as_str().unwrap().contains("in pirate speech\""), "{shown}");
    user.verify(id(&saved), "confirm").await;
    let shown = user.chat("/system pirate speech answers").await;
    assert!(shown["reply"].as_str().unwrap().contains("in pirate speech\""), "{shown}");
}

async fn unrelated_questions_find_nothing(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    for content in ["Likes green tea", "Works at Acme", "Has a dog called Rex", "Is allergic to peanuts"] {
        user.add_memory(content).await;
    }
    for query in ["quantum chromodynamics", "How tall is Mount Everest?", "xylophone zigzag"] {
        let hits = user.search(json!({"query": query})).await;
        assert!(hits.is_empty(), "{query}: {hits:?}");
    }
    assert_eq!(user.search(json!({"query": "Where do I work?"})).await.len(), 1);
}

async fn bengali_questions_find_bengali_facts(stack: Stack) {
    let (app, _index) = app(stack).await;
    let user = app.user().await;
    user.tell("আমি ঢাকায় থাকি।").await;
    let answer = user.chat("আমি কোথায় থাকি?").await;
    assert!(answer["reply"].as_str().unwrap().contains("ঢাকায়"), "{answer}");
}
