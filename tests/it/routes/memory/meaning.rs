//! Search by meaning, with a model in the process.

use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack, User, memory, minilm},
};

both_stacks!(
    a_question_finds_a_memory_that_shares_no_word_with_it,
    past_turns_are_found_by_what_they_mean,
    after_a_change_of_the_model_everything_is_embedded_again,
);

/// A question, and the one memory that answers it in other words.
const PAIRS: [(&str, &str); 4] = [
    ("Do I own a pet?", "Has a cat called Momo"),
    ("Which languages can I talk?", "Is fluent in Spanish and Portuguese"),
    ("Which musical instruments can I play?", "Practises the violin on Sundays"),
    ("Do I ride to the office?", "Commutes by bicycle"),
];

async fn with_memories(app: &App) -> User {
    let user = app.user().await;
    for (_, content) in PAIRS {
        user.add_memory(content).await;
    }
    user
}

/// What a search finds first, and how many words it shares with the question.
async fn first(user: &User, question: &str) -> Option<(String, f64)> {
    let hits = user.search(json!({"query": question, "explain": true, "limit": 5})).await;
    let hit = hits.first()?;
    Some((hit["memory"]["content"].as_str()?.to_owned(), hit["explain"]["bm25"].as_f64()?))
}

async fn a_question_finds_a_memory_that_shares_no_word_with_it(stack: Stack) {
    let (builder, _index) = memory::with_index(stack, memory::quick(stack)).await;
    let app = builder.env("EMBEDDING__MODEL_DIR", minilm::model().display()).start().await;
    let user = with_memories(&app).await;
    for (question, content) in PAIRS {
        user.until_found(question, content).await;
        assert_eq!(first(&user, question).await, Some((content.to_owned(), 0.0)), "{question}");
    }
    // What nothing is about finds nothing.
    assert_eq!(first(&user, "When does the stock exchange open?").await, None);
    // A model has no say in how the built-in one works.
    let (builder, _index) = memory::with_index(stack, memory::quick(stack)).await;
    let app = builder.start().await;
    let user = with_memories(&app).await;
    user.until_found("a cat called Momo", "Has a cat called Momo").await;
    for (question, content) in PAIRS {
        let found = first(&user, question).await;
        assert!(found.is_none_or(|(found, _)| found != content), "{question} needs no model");
    }
}

async fn past_turns_are_found_by_what_they_mean(stack: Stack) {
    let (builder, _index) = memory::with_index(stack, memory::quick(stack)).await;
    let app = builder.env("EMBEDDING__MODEL_DIR", minilm::model().display()).start().await;
    let user = app.user().await;
    for text in ["Our wedding was in Lisbon", "The invoice is overdue", "My knee hurts after running"] {
        user.chat(&format!("/echo {text}")).await;
    }
    crate::harness::eventually("turns are found by meaning", std::time::Duration::from_secs(30), || async {
        let query = json!({"query": "Where did we get married?", "sources": ["messages"], "mode": "semantic", "limit": 1});
        let hits = user.search(query).await;
        let found = hits.first()?["message"]["content"].as_str()?.contains("wedding");
        found.then_some(())
    })
    .await;
}

async fn after_a_change_of_the_model_everything_is_embedded_again(stack: Stack) {
    let (builder, _index) = memory::with_index(stack, memory::quick(stack)).await;
    let mut app = builder.start().await;
    let user = with_memories(&app).await;
    user.until_found("a cat called Momo", "Has a cat called Momo").await;
    app.set_env("EMBEDDING__MODEL_DIR", &minilm::model().display().to_string());
    app.restart_api(0);
    if stack == Stack::Production {
        app.kill_runner();
        app.start_runner();
    }
    let runner = if stack == Stack::Production { &app.workers[0] } else { &app.apis[0] };
    assert!(runner.output().contains("vectors of another model"), "{}", runner.output());
    // Vectors of two models are never compared: those of the old one are as good as none.
    let (question, content) = PAIRS[0];
    let semantic = json!({"query": question, "mode": "semantic", "limit": 20});
    assert_eq!(user.search(semantic).await, Vec::<Value>::new());
    let told = app.command().args(["reindex", "--reembed"]).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("4 texts wait for vectors of model-"), "{told}");
    user.until_found(question, content).await;
    assert_eq!(first(&user, question).await, Some((content.to_owned(), 0.0)));
}
