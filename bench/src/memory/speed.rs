//! How fast: searching many memories, reading many sessions, what memory adds to a chat.

use std::time::Duration;

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Account, accounts};
use crate::{
    cluster::{self, Cluster},
    report::{Latencies, Report},
};

pub(super) const THINGS: [&str; 40] = [
    "hiking",
    "tea",
    "chess",
    "jazz",
    "pottery",
    "sailing",
    "ramen",
    "novels",
    "cycling",
    "gardening",
    "films",
    "swimming",
    "maps",
    "coffee",
    "painting",
    "running",
    "museums",
    "baking",
    "climbing",
    "poetry",
    "guitars",
    "football",
    "history",
    "languages",
    "astronomy",
    "cooking",
    "dogs",
    "cats",
    "trains",
    "theatre",
    "opera",
    "knitting",
    "birds",
    "markets",
    "beaches",
    "mountains",
    "puzzles",
    "podcasts",
    "yoga",
    "photography",
];
pub(super) const PLACES: [&str; 20] = [
    "London", "Dhaka", "Oslo", "Lima", "Turin", "Kyoto", "Porto", "Quito", "Accra", "Riga", "Hanoi", "Cairo",
    "Bergen", "Leeds", "Ghent", "Nairobi", "Tampere", "Cusco", "Malmo", "Cork",
];

/// Every number gives another text.
pub(super) fn text(number: usize) -> String {
    let thing = THINGS[number % THINGS.len()];
    let other = THINGS[(number / 7 + 13) % THINGS.len()];
    let place = PLACES[(number / 3) % PLACES.len()];
    match number % 3 {
        0 => format!("Likes {thing} and {other} in {place}, note {number}"),
        1 => format!("Went to {place} for {thing} with friends, trip {number}"),
        _ => format!("Wants to learn {thing} before visiting {place} again, plan {number}"),
    }
}

async fn fill(user: &Account<'_>, from: usize, count: usize) -> Result<(), String> {
    for first in (from..from + count).step_by(10_000) {
        let rows: Vec<Value> = (first..(first + 10_000).min(from + count))
            .map(|number| json!({"content": text(number), "memory_type": "preference"}))
            .collect();
        let job = user.call(reqwest::Method::POST, "/memory/import", &json!({"memories": rows})).await?;
        if let Some(id) = job["id"].as_str() {
            loop {
                let job = user.get(&format!("/jobs/{id}?wait=60")).await?;
                if job["finished_at"].is_string() {
                    break;
                }
            }
        }
    }
    Ok(())
}

pub async fn search(
    cluster: &Cluster,
    memories: usize,
    others: usize,
    report: &mut Report,
) -> Result<(), String> {
    let client = cluster::client()?;
    let users = accounts(cluster, &client, 1).await?;
    let started = Instant::now();
    fill(&users[0], 0, memories).await?;
    report.number("memories imported a second", memories as f64 / started.elapsed().as_secs_f64(), "/s")?;
    if others > 0 {
        let crowd = others.div_ceil(memories);
        let tokens = cluster.users(&client, crowd).await?;
        surround(&users[0], crowd).await?;
        report.number("memories of other users", (tokens.len() * memories) as f64, "")?;
    }
    if std::env::var_os("QDRANT_URL").is_some() {
        wait_until_indexed().await?;
    }
    for mode in ["keyword", "semantic", "hybrid"] {
        let mut latencies = Latencies::new()?;
        for number in 0..420 {
            let thing = THINGS[(number * 11) % THINGS.len()];
            let place = PLACES[(number * 3) % PLACES.len()];
            let query = format!("What did I plan about {thing} in {place}?");
            let body = json!({"query": query, "mode": mode, "limit": 10});
            let started = Instant::now();
            let hits = users[0].post("/memory/search", &body).await?;
            // The first few open connections and caches.
            if number >= 20 {
                latencies.add(started.elapsed());
            }
            if hits.as_array().is_none_or(Vec::is_empty) {
                return Err(format!("nothing was found for {query}"));
            }
        }
        report.latencies(&format!("{mode} search, {memories} memories"), &latencies)?;
    }
    Ok(())
}

/// Gives the last `crowd` accounts copies of the first's memories, with words and vectors: by SQL, since what is measured
/// is searching among them.
async fn surround(first: &Account<'_>, crowd: usize) -> Result<(), String> {
    let url = cluster::production().ok_or("--others needs DATABASE_URL and REDIS_URL")?.0;
    let text = |error: sqlx::Error| error.to_string();
    let mut conn = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.map_err(text)?;
    let me = first.get("/users/me").await?;
    let name = me["username"].as_str().ok_or("no name")?;
    let (me,): (uuid::Uuid,) = sqlx::query_as("select id from users where username = $1")
        .bind(name)
        .fetch_one(&mut conn)
        .await
        .map_err(text)?;
    let all: Vec<(uuid::Uuid,)> =
        sqlx::query_as("select id from users where id <> $1 order by created_at desc limit $2")
            .bind(me)
            .bind(crowd as i64)
            .fetch_all(&mut conn)
            .await
            .map_err(text)?;
    const STEPS: [&str; 4] = [
        "insert into memory_state (user_id, version) values ($1, 1) on conflict do nothing",
        "insert into memories (id, user_id, content, norm, memory_type, importance, confidence, status, explicit, contexts,
            embedded, created_at, updated_at)
        select md5(id::text || $1::text)::uuid, $1, content, norm, memory_type, importance, confidence, status, explicit, contexts,
            true, created_at, updated_at from memories where user_id = $2",
        "insert into memory_terms (user_id, term, doc_id, tf, length)
        select $1, term, md5(doc_id::text || $1::text)::uuid, tf, length from memory_terms where user_id = $2",
        "insert into memory_vectors (doc_id, user_id, model, vector, version)
        select md5(doc_id::text || $1::text)::uuid, $1, model, vector, 1 from memory_vectors where user_id = $2",
    ];
    for (user,) in all {
        for (index, step) in STEPS.into_iter().enumerate() {
            let query = sqlx::query(step).bind(user);
            let query = if index == 0 { query } else { query.bind(me) };
            query.execute(&mut conn).await.map_err(text)?;
        }
    }
    sqlx::query("analyze").execute(&mut conn).await.map_err(text)?;
    Ok(())
}

/// Waits until the index outside holds everything.
async fn wait_until_indexed() -> Result<(), String> {
    let Some((url, _)) = cluster::production() else { return Ok(()) };
    let text = |error: sqlx::Error| error.to_string();
    let mut conn = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.map_err(text)?;
    let deadline = Instant::now() + Duration::from_secs(1_800);
    loop {
        let (waiting,): (i64,) = sqlx::query_as("select count(*) from memory_vectors where not indexed")
            .fetch_one(&mut conn)
            .await
            .map_err(text)?;
        if waiting == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err("the index is not filled".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

pub async fn extraction(cluster: &Cluster, sessions: usize, report: &mut Report) -> Result<(), String> {
    const USERS: usize = 100;
    let client = cluster::client()?;
    let users = accounts(cluster, &client, USERS).await?;
    let started = Instant::now();
    let imported: Vec<Result<Value, String>> = stream::iter(0..sessions)
        .map(|number| {
            let user = &users[number % USERS];
            async move {
                let messages: Vec<Value> = (0..10)
                    .map(|turn| {
                        let content = format!("I like {} {number}.", THINGS[(number + turn) % THINGS.len()]);
                        let content = if turn % 2 == 0 { content } else { "I see, tell me more.".to_owned() };
                        json!({"role": if turn % 2 == 0 { "user" } else { "assistant" }, "content": content})
                    })
                    .collect();
                user.post("/chat/sessions/import", &json!({"messages": messages})).await
            }
        })
        .buffer_unordered(32)
        .collect()
        .await;
    imported.into_iter().collect::<Result<Vec<_>, _>>()?;
    let import_seconds = started.elapsed().as_secs_f64();
    // Extraction went on meanwhile: what counts is from the first import to the last window.
    for user in &users {
        let expected = (sessions / USERS) as u64;
        loop {
            let done = user.get("/memory/extract/runs?limit=200").await?;
            if done.as_array().map_or(0, Vec::len) as u64 >= expected {
                break;
            }
            if started.elapsed() > Duration::from_secs(600) {
                return Err("sessions were not read".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    report.number("sessions of ten turns imported a second", sessions as f64 / import_seconds, "/s")?;
    report.number("sessions imported and extracted a second", sessions as f64 / seconds, "/s")
}

pub async fn first_token(cluster: &Cluster, chats: usize, report: &mut Report) -> Result<(), String> {
    let client = cluster::client()?;
    let users = accounts(cluster, &client, 1).await?;
    let user = &users[0];
    fill(user, 0, 1_000).await?;
    let (mut with, mut without) = (Latencies::new()?, Latencies::new()?);
    for number in 0..chats * 2 {
        let memory = number % 2 == 0;
        let took = until_first_token(user, number, memory).await?;
        if number >= 20 {
            if memory { with.add(took) } else { without.add(took) }
        }
    }
    report.latencies("first token with memory (1,000 memories)", &with)?;
    report.latencies("first token without", &without)?;
    report.number("memory adds, p50", with.ms(0.5) - without.ms(0.5), "ms")
}

/// How long one chat, of so many different ones, takes to its first token.
async fn until_first_token(user: &Account<'_>, number: usize, memory: bool) -> Result<Duration, String> {
    let message =
        format!("Tell me about {} in {}?", THINGS[number % THINGS.len()], PLACES[number % PLACES.len()]);
    let body = json!({"message": message, "enable_memory": memory});
    let started = Instant::now();
    let request = user.client.post(format!("{}/chat/stream", user.base)).bearer_auth(&user.token).json(&body);
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let mut bytes = answer.bytes_stream();
    let mut seen = String::new();
    while let Some(chunk) = bytes.next().await {
        seen.push_str(&String::from_utf8_lossy(&chunk.map_err(|error| error.to_string())?));
        if seen.contains("event: token") {
            break;
        }
    }
    if memory && !seen.contains("event: memory") {
        return Err(format!("no memory for {message}"));
    }
    Ok(started.elapsed())
}

/// Chats with memory while another user's texts, so many, wait for their vectors and get them.
pub async fn backfill(cluster: &Cluster, texts: usize, report: &mut Report) -> Result<(), String> {
    const CHATS: usize = 200;
    let client = cluster::client()?;
    let users = accounts(cluster, &client, 2).await?;
    let (user, other) = (&users[0], &users[1]);
    fill(user, 0, 1_000).await?;
    while user.embedded().await? == 0 || user.is_being_embedded().await? {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (mut quiet, mut busy) = (Latencies::new()?, Latencies::new()?);
    for number in 0..CHATS {
        quiet.add(until_first_token(user, number, true).await?);
    }
    fill(other, 0, texts).await?;
    for number in 0..CHATS {
        busy.add(until_first_token(user, number + CHATS, true).await?);
    }
    if !other.is_being_embedded().await? {
        return Err("the backfill was over before the chats were: give it more texts".to_owned());
    }
    report.latencies("first token, quiet", &quiet)?;
    report.latencies("first token while a backfill embeds", &busy)
}
