//! The worker that reads conversations is killed again and again while people talk: every message is read once, no
//! memory has a twin, none is missing. `MEMORY_FAULT_SECONDS` makes it longer (the five minutes: 300).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        Stack, User, eventually,
        memory::{quick, with_index},
    },
};

both_stacks!(
    kill_9_of_the_memory_worker_loses_and_doubles_nothing,
    an_index_that_lost_everything_is_repaired,
);

/// Says facts no other says, one after another; gives those that were accepted.
async fn talk(user: User, number: usize, pause: Duration, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut accepted = Vec::new();
    let mut session: Option<String> = None;
    let mut said = 0;
    while !stop.load(Ordering::Relaxed) {
        let thing = format!("thing{number}x{said}");
        let mut body = json!({"message": format!("I like {thing}.")});
        if let Some(session) = &session {
            body["session_id"] = json!(session);
        }
        if let Some(job) = user.try_submit(&body).await {
            session = session.or_else(|| job["session_id"].as_str().map(str::to_owned));
            accepted.push(format!("Likes {thing}"));
        }
        said += 1;
        tokio::time::sleep(pause).await;
    }
    accepted
}

async fn all_memories(user: &User) -> Option<Vec<Value>> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let page = user.get(&format!("/memory?limit=200&status=all&skip={}", all.len())).await;
        if page.status != 200 {
            return None;
        }
        let items = page.body["items"].as_array()?.clone();
        if items.is_empty() {
            return Some(all);
        }
        all.extend(items);
    }
}

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn kill_9_of_the_memory_worker_loses_and_doubles_nothing(stack: Stack) {
    let seconds =
        std::env::var_os("MEMORY_FAULT_SECONDS").and_then(|text| text.into_string().ok()?.parse().ok());
    let seconds: u64 = seconds.unwrap_or(8);
    let sessions = if seconds > 60 { 50 } else { 12 };
    // As much as a debug build that is killed every second can do.
    let pause = Duration::from_millis(if seconds > 60 { 5_000 } else { 400 });
    let mut app = quick(stack).workers(1).start().await;
    let stop = Arc::new(AtomicBool::new(false));
    // A user each: one user's windows are read one after another.
    let mut users = Vec::new();
    for _ in 0..sessions {
        users.push(app.user().await);
    }
    let talks: Vec<_> = users
        .iter()
        .enumerate()
        .map(|(number, user)| tokio::spawn(talk(user.clone(), number, pause, stop.clone())))
        .collect();
    let began = tokio::time::Instant::now();
    let mut kills = 0u64;
    while began.elapsed() < Duration::from_secs(seconds) {
        // A pause between faults, not a synchronisation: where it strikes is meant to be arbitrary.
        tokio::time::sleep(Duration::from_millis(350 + 173 * (kills % 9))).await;
        app.kill_runner();
        app.start_runner();
        kills += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let mut memories: Vec<Value> = Vec::new();
    let mut accepted = 0;
    for (user, talk) in users.iter().zip(talks) {
        let said = talk.await.unwrap();
        accepted += said.len();
        let found = eventually("everything is read", Duration::from_secs(120), || async {
            let all = all_memories(user).await?;
            let known: std::collections::HashSet<&str> =
                all.iter().filter_map(|memory| memory["content"].as_str()).collect();
            said.iter().all(|fact| known.contains(fact.as_str())).then_some(all)
        })
        .await;
        memories.extend(found);
    }
    assert!(accepted > 20 && kills > 2, "{accepted} messages, {kills} kills");
    let mut contents: Vec<&str> = memories.iter().map(|memory| memory["content"].as_str().unwrap()).collect();
    let count = contents.len();
    contents.sort_unstable();
    contents.dedup();
    assert_eq!(contents.len(), count, "no memory has a twin");
    for memory in &memories {
        assert_eq!(memory["support"], 1, "each was said once: {memory}");
        assert_eq!(
            memory["source"]["quote"].as_str().unwrap().to_lowercase(),
            memory["content"].as_str().unwrap().to_lowercase().replace("likes", "i like") + "."
        );
    }
    // No window was read twice, and none overlaps another.
    let db = app.db().await;
    let (overlapping,): (i64,) = crate::faults::worker_dies::one(
        &db,
        "select count(*) from extraction_runs a join extraction_runs b on a.session_id = b.session_id and a.id <> b.id
            and a.from_seq <= b.to_seq and b.from_seq <= a.to_seq",
    )
    .await;
    assert_eq!(overlapping, 0);
    for user in &users {
        let failed = user.get("/jobs?kind=memory_extraction&status=failed").await.expect(200);
        assert_eq!(failed["items"], json!([]), "a killed worker's window is read by the next");
    }
    eprintln!("{accepted} messages, {kills} kills, {count} memories");
}

async fn an_index_that_lost_everything_is_repaired(stack: Stack) {
    let builder = quick(stack).env("QDRANT__RECONCILE_SECONDS", "1");
    let (builder, stand_in) = with_index(stack, builder).await;
    let app = builder.start().await;
    let user = app.user().await;
    user.add_memory("Likes sailing on lakes").await;
    user.until_found("sailing", "Likes sailing on lakes").await;
    let Some(stand_in) = stand_in else { return }; // exact search has nothing to lose
    stand_in.wipe();
    // Without its index search goes on by words, and chat goes on with what it finds.
    let hits = user.search(json!({"query": "sailing", "mode": "hybrid"})).await;
    assert_eq!(hits[0]["memory"]["content"], "Likes sailing on lakes");
    let answer = user.post("/chat", &json!({"message": "Where do I like sailing?"})).await.expect(200);
    assert_eq!(answer["memories_used"], 1);
    user.post("/memory/search", &json!({"query": "sailing", "mode": "semantic"}))
        .await
        .problem(503, "unavailable");
    // `rapport reindex` makes it anew from the database.
    let output = app.command().arg("reindex").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the index holds"), "{output:?}");
    user.until_found("sailing", "Likes sailing on lakes").await;
}
