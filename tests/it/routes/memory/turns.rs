//! Past turns are found by what stands around them, alike on both stacks: SQLite with exact search, PostgreSQL with Qdrant's protocol.
//! The corpus is that of `rapport-bench memory tests/corpora/turns.json`.

use std::{collections::HashMap, time::Duration};

use chrono::{NaiveDateTime, TimeDelta};
use serde_json::{Value, json};

use crate::harness::{Stack, User, eventually, memory, minilm};

/// Sessions of each conversation that are told.
const TOLD: usize = 12;

fn corpus() -> Value {
    serde_json::from_str(include_str!("../../../corpora/turns.json")).unwrap()
}

/// Imports the first sessions of all conversations; the message of each turn, by conversation and turn.
async fn import(user: &User, corpus: &Value) -> HashMap<String, String> {
    let mut ids = HashMap::new();
    for conversation in corpus["conversations"].as_array().unwrap() {
        for session in conversation["sessions"].as_array().unwrap().iter().take(TOLD) {
            let began = session["time"].as_str().unwrap();
            let began = NaiveDateTime::parse_from_str(began, "%I:%M %p on %d %B, %Y").unwrap().and_utc();
            let turns = session["turns"].as_array().unwrap();
            let message = |(n, turn): (i32, &Value)| {
                let at = (began + TimeDelta::seconds(20) * n).to_rfc3339();
                json!({"role": turn["speaker"], "content": turn["text"], "created_at": at})
            };
            let messages: Vec<Value> = (0..).zip(turns).map(message).collect();
            let made = user
                .post("/chat/sessions/import", &json!({"title": "t", "messages": messages}))
                .await
                .expect(201);
            for (turn, id) in turns.iter().zip(made["message_ids"].as_array().unwrap()) {
                let key =
                    format!("{} {}", conversation["id"].as_str().unwrap(), turn["id"].as_str().unwrap());
                ids.insert(key, id.as_str().unwrap().to_owned());
            }
        }
    }
    ids
}

async fn until_embedded(user: &User, count: usize) {
    eventually("all turns have vectors", Duration::from_secs(60), || async {
        let jobs = user.get("/jobs?kind=embedding&status=succeeded&limit=200").await.expect(200);
        let jobs = jobs["items"].as_array()?;
        let embedded: u64 = jobs.iter().filter_map(|job| job["result"]["embedded"].as_u64()).sum();
        (embedded >= count as u64).then_some(())
    })
    .await;
}

/// Of each question and way of asking it: what was found, and the place of the first of the evidence.
async fn answers(stack: Stack) -> Vec<(String, Vec<String>, Option<usize>)> {
    let (builder, _index) = memory::with_index(stack, memory::quick(stack)).await;
    let app = builder.env("EMBEDDING__MODEL_DIR", minilm::model().display()).start().await;
    let user = app.user().await;
    user.request(reqwest::Method::PATCH, "/settings")
        .json(&json!({"memory_settings": {"auto_memory_extraction": false}}))
        .send()
        .await
        .unwrap();
    let corpus = corpus();
    let ids = import(&user, &corpus).await;
    until_embedded(&user, ids.len()).await;
    let mut answers = Vec::new();
    for conversation in corpus["conversations"].as_array().unwrap() {
        for question in conversation["questions"].as_array().unwrap().iter().step_by(5) {
            let turn = question["evidence"][0].as_str().unwrap();
            let Some(gold) = ids.get(&format!("{} {turn}", conversation["id"].as_str().unwrap())) else {
                continue;
            };
            for mode in ["keyword", "semantic", "hybrid"] {
                let body = json!({"query": question["question"], "as_of": question["as_of"], "mode": mode, "limit": 10,
                    "sources": ["messages"], "explain": true});
                let hits = user.search(body).await;
                hits.iter().for_each(parts_are_the_relevance);
                let place = hits.iter().position(|hit| hit["message"]["id"] == **gold);
                let text = |hit: &Value| hit["message"]["content"].as_str().unwrap().to_owned();
                answers.push((
                    format!("{mode}: {}", question["question"]),
                    hits.iter().map(text).collect(),
                    place,
                ));
            }
        }
    }
    answers
}

fn parts_are_the_relevance(hit: &Value) {
    let explain = &hit["explain"];
    let parts: Vec<f64> =
        explain["parts"].as_object().unwrap().values().map(|part| part.as_f64().unwrap()).collect();
    let (sum, relevance) = (parts.iter().sum::<f64>(), explain["relevance"].as_f64().unwrap());
    assert!(parts.len() == 11 && (sum.max(0.0) - relevance).abs() < 1e-9, "{explain}");
    assert_eq!(hit["score"], explain["relevance"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_stacks_find_the_same_in_the_same_order() {
    let (embedded, production) = tokio::join!(answers(Stack::Embedded), answers(Stack::Production));
    assert!(embedded.len() > 60, "{}", embedded.len());
    for (one, other) in embedded.iter().zip(&production) {
        assert_eq!(one, other);
    }
    assert_eq!(embedded.len(), production.len());
    for (mode, least) in [("keyword", 0.9), ("hybrid", 0.9)] {
        let of_mode: Vec<_> = embedded.iter().filter(|(question, ..)| question.starts_with(mode)).collect();
        let found = of_mode.iter().filter(|(.., place)| place.is_some()).count();
        assert!(found as f64 >= least * of_mode.len() as f64, "{mode}: {found} of {}", of_mode.len());
    }
}
