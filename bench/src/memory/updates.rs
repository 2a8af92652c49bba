//! Facts that change: each user says a value of a slot at one time, another at a later time, among distractors. Asked
//! now, the current value must come first and the stale one not at all; asked as of between, the first value.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use serde_json::{Value, json};

use super::{Account, accounts};
use crate::{
    cluster::{self, Cluster},
    report::Report,
};

/// (how it is said, the question, the values)
const CHANGES: [(&str, &str, [&str; 6]); 6] = [
    ("I live in {}.", "Where do I live?", ["London", "Dhaka", "Oslo", "Lima", "Turin", "Kyoto"]),
    ("I work at {}.", "Who is my employer?", ["Acme", "Globex", "Initech", "Umbrella", "Hooli", "Vandelay"]),
    (
        "My favorite color is {}.",
        "What is my favorite color?",
        ["teal", "crimson", "amber", "violet", "olive", "navy"],
    ),
    (
        "My favorite food is {}.",
        "Which food is my favorite?",
        ["biryani", "ramen", "pierogi", "tacos", "falafel", "gnocchi"],
    ),
    ("I work as a {}.", "What is my job title?", ["nurse", "pilot", "baker", "lawyer", "plumber", "teacher"]),
    ("My favorite band is {}.", "What is my favorite band?", ["Muse", "Wilco", "Pulp", "Air", "Low", "Can"]),
];

const DISTRACTORS: [&str; 8] = [
    "I like long walks by the river.",
    "I visited Prague in the spring.",
    "I speak Portuguese.",
    "I enjoy old films.",
    "I like strong coffee.",
    "My sister is called Nadia.",
    "I play chess.",
    "I'm allergic to pollen.",
];

pub async fn run(cluster: &Cluster, facts: usize, report: &mut Report) -> Result<(), String> {
    let client = cluster::client()?;
    let per_user = CHANGES.len();
    let users = accounts(cluster, &client, facts.div_ceil(per_user)).await?;
    let start = Utc.with_ymd_and_hms(2026, 3, 2, 10, 0, 0).single().ok_or("no such time")?;
    let (mut asked, mut current, mut then, mut stale) = (0, 0, 0, 0);
    for (number, user) in users.iter().enumerate() {
        say(user, number, start).await?;
        for (index, (_, question, values)) in CHANGES.iter().enumerate() {
            let (old, new) = pair(values, number + index);
            let between = start + TimeDelta::days(20);
            asked += 1;
            let now = user.post("/memory/search", &json!({"query": question, "limit": 5})).await?;
            let as_of = json!({"query": question, "limit": 5, "as_of": between.to_rfc3339()});
            let as_of = user.post("/memory/search", &as_of).await?;
            current += usize::from(first(&now).is_some_and(|text| text.contains(new)));
            stale += usize::from(contents(&now).iter().any(|text| text.contains(old)));
            then += usize::from(first(&as_of).is_some_and(|text| text.contains(old)));
        }
    }
    let share = |count: usize| 100.0 * count as f64 / asked.max(1) as f64;
    report.number("changed facts asked about", asked as f64, "")?;
    report.number("current value first", share(current), "%")?;
    report.number("value as of then first", share(then), "%")?;
    report.number("stale value shown as current", share(stale), "%")
}

/// The value before and the value after.
fn pair<'a>(values: &[&'a str; 6], number: usize) -> (&'a str, &'a str) {
    let old = number % values.len();
    (values[old], values[(old + 1 + number / values.len() % (values.len() - 1)) % values.len()])
}

fn contents(hits: &Value) -> Vec<&str> {
    hits.as_array().into_iter().flatten().filter_map(|hit| hit["memory"]["content"].as_str()).collect()
}

fn first(hits: &Value) -> Option<&str> {
    contents(hits).first().copied()
}

async fn say(user: &Account<'_>, number: usize, start: DateTime<Utc>) -> Result<(), String> {
    for (round, day) in [(0, 0), (1, 40)] {
        let mut messages: Vec<Value> = Vec::new();
        let at = start + TimeDelta::days(day);
        for (index, (said, _, values)) in CHANGES.iter().enumerate() {
            let (old, new) = pair(values, number + index);
            let value = if round == 0 { old } else { new };
            for text in [
                said.replace("{}", value),
                DISTRACTORS[(number + index + round) % DISTRACTORS.len()].to_owned(),
            ] {
                let at = at + TimeDelta::minutes(messages.len() as i64);
                messages.push(json!({"role": "user", "content": text, "created_at": at.to_rfc3339()}));
            }
        }
        user.post("/chat/sessions/import", &json!({"messages": messages})).await?;
        // Read before the next is said.
        let expected = round + 1;
        for _ in 0..600 {
            let runs = user.get("/jobs?kind=memory_extraction&status=succeeded&limit=100").await?;
            if runs["items"].as_array().is_some_and(|items| items.len() >= expected) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
