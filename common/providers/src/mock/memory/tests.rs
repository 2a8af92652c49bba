//! What the mock reads out of plain sentences, and what it says of memories.

use serde_json::{Value, json};

use super::*;

fn facts(said: &str) -> Vec<(String, String, String)> {
    let line = json!({"t": 1, "role": "user", "at": "2026-11-20", "text": said}).to_string();
    let answer: Value = serde_json::from_str(&extract(&line)).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    answer["facts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (text(&f["text"]), text(&f["slot"]), text(&f["object"])))
        .collect()
}

#[test]
fn plain_statements_become_facts_and_questions_do_not() {
    let found = facts(
        "Hi! My name is Ana. I live in London, it rains. I'm allergic to peanuts and I love hiking! Do I like tea?",
    );
    let texts: Vec<&str> = found.iter().map(|fact| fact.0.as_str()).collect();
    assert_eq!(texts, ["Is called Ana", "Lives in London", "Is allergic to peanuts", "Likes hiking"]);
    let moved = facts("I moved to Dhaka last week. My favourite color is dark blue. My dog is called Rex.");
    assert_eq!(moved[0], ("Lives in Dhaka".to_owned(), "home_city".to_owned(), "Dhaka".to_owned()));
    assert_eq!(moved[1].1, "favorite_color");
    assert_eq!(moved[2].0, "Has a dog called Rex");
    assert_eq!(facts("আমি ঢাকায় থাকি।")[0].2, "ঢাকায়");
    let dictated = json!({"t": 1, "role": "user", "text": "/facts not json"}).to_string();
    assert_eq!(extract(&dictated), "not json");
}

#[test]
fn what_people_say_besides_does_not_get_into_a_fact() {
    let texts = |said: &str| facts(said).into_iter().map(|fact| fact.0).collect::<Vec<_>>();
    assert_eq!(texts("My birthday is on March 3."), ["Has a birthday on March 3"]);
    assert_eq!(texts("I live in Lisbon with my husband."), ["Lives with a husband", "Lives in Lisbon"]);
    assert_eq!(texts("I want to run a marathon in 2027."), ["Wants to run a marathon in 2027"]);
    assert_eq!(texts("Big news: I moved to Berlin!"), ["Lives in Berlin"]);
    assert_eq!(facts("আমি বিরিয়ানি খেতে ভালোবাসি")[0].2, "বিরিয়ানি");
    assert_eq!(facts("I lived well, I think: my dog is called Rex and so on").len(), 0);
}

#[test]
fn pairs_merges_and_dates() {
    let pair = |a: &str, b: &str| {
        let answer: Value =
            serde_json::from_str(&judge_pairs(&json!({"p": 1, "a": a, "b": b}).to_string())).unwrap();
        answer["verdicts"][0]["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(pair("Lives in London", "Lives in Dhaka"), "contradicts");
    assert_eq!(pair("Likes tea", "Likes green tea"), "refines");
    assert_eq!(pair("Likes tea", "Does not like tea"), "contradicts");
    assert_eq!(pair("Likes hiking in mountains", "Likes mountain hikes"), "duplicates");
    assert_eq!(pair("Likes tea", "Works at Acme"), "unrelated");
    let lines =
        ["Likes tea", "Likes green tea", "Has a dog"].map(|t| json!({"text": t}).to_string()).join("\n");
    assert_eq!(merge(&lines), r#"{"text":"Likes green tea; Has a dog"}"#);
    assert!(expiry(&json!({"m": 1, "text": "Plans to fly tomorrow"}).to_string()).contains("\"days\":2"));
}
