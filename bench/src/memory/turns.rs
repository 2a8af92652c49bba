//! How fast past turns are found by a user who said many.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    accounts,
    speed::{PLACES, THINGS, text},
};
use crate::{
    cluster::{self, Cluster},
    report::{Latencies, Report},
};

/// Turns of a session.
const SESSION: usize = 200;

/// A user's turn, or the answer to it. Like memories in their words, and some ask.
fn turn(number: usize) -> Value {
    let content = if number.is_multiple_of(2) {
        format!("{}. What do you think of it?", text(number))
    } else {
        format!("That is a good idea. People often say: {}, and {}.", text(number - 1), text(number / 3))
    };
    json!({"role": if number.is_multiple_of(2) { "user" } else { "assistant" }, "content": content})
}

pub async fn search(cluster: &Cluster, turns: usize, report: &mut Report) -> Result<(), String> {
    let client = cluster::client()?;
    let users = accounts(cluster, &client, 1).await?;
    let [user] = users.as_slice() else { return Err("no account".to_owned()) };
    let settings = json!({"memory_settings": {"auto_memory_extraction": false}});
    user.call(reqwest::Method::PATCH, "/settings", &settings).await?;
    let started = Instant::now();
    for first in (0..turns).step_by(SESSION) {
        let messages: Vec<Value> = (first..(first + SESSION).min(turns)).map(turn).collect();
        user.post("/chat/sessions/import", &json!({"title": format!("Turns {first}"), "messages": messages}))
            .await?;
    }
    report.number("turns imported a second", turns as f64 / started.elapsed().as_secs_f64(), "/s")?;
    // Twice: between two jobs none is there.
    for _ in 0..2 {
        while user.is_being_embedded().await? {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    report.number("until all have vectors", started.elapsed().as_secs_f64(), "s")?;
    for mode in ["keyword", "semantic", "hybrid"] {
        let mut latencies = Latencies::new()?;
        let mut first = 0.0;
        for number in 0..200 {
            let thing = THINGS[(number * 11) % THINGS.len()];
            let place = PLACES[(number * 3) % PLACES.len()];
            let query = format!("What did I plan about {thing} in {place} last month?");
            let body = json!({"query": query, "mode": mode, "sources": ["messages"], "limit": 10});
            let started = Instant::now();
            let hits = user.post("/memory/search", &body).await?;
            if hits.as_array().is_none_or(Vec::is_empty) {
                return Err(format!("{query}: nothing was found"));
            }
            match number {
                0 => first = started.elapsed().as_secs_f64() * 1_000.0,
                _ => latencies.add(started.elapsed()),
            }
        }
        report.number(&format!("{mode}, {turns} turns: the first search"), first, "ms")?;
        report.latencies(&format!("{mode}, {turns} turns"), &latencies)?;
    }
    Ok(())
}
