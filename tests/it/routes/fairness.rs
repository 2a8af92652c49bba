//! Many jobs of one user: they delay nobody, and whoever follows that user hears of each.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use serde_json::{Value, json};

use super::admin::admin;
use crate::{
    both_stacks,
    harness::{App, Stack, eventually, sse::Events},
};

both_stacks!(many_jobs_of_one_user_delay_nobody_and_each_is_told);

/// More than a look at the newest jobs sees.
const MANY: usize = 600;

async fn many_jobs_of_one_user_delay_nobody_and_each_is_told(stack: Stack) {
    let app = App::start(stack).await;
    let admin = admin(&app).await;
    let (busy, other) = (app.user().await, app.user().await);
    assert_eq!(admin.post("/admin/queues/chat/pause", &json!({})).await.status, 204);
    eventually("the queue is paused", Duration::from_secs(20), || async {
        let id = other.submit("/echo x").await["id"].as_str().unwrap().to_owned();
        let look = other.get(&format!("/jobs/{id}?wait=1")).await.expect(200);
        (look["status"] == "queued").then_some(())
    })
    .await;
    let mut follow = Events::of(busy.request(reqwest::Method::GET, "/events").send().await.unwrap());
    let mut jobs = HashSet::new();
    for _ in 0..MANY {
        jobs.insert(busy.submit("/echo many").await["id"].as_str().unwrap().to_owned());
    }
    let one = other.submit("/echo one").await["id"].as_str().unwrap().to_owned();
    assert_eq!(admin.post("/admin/queues/chat/resume", &json!({})).await.status, 204);
    // Each is told, in the order of its states.
    let mut told: HashMap<String, Vec<Value>> = HashMap::new();
    let mut ended = 0;
    while ended < MANY {
        let event = follow.next().await.unwrap();
        let Some(id) = event.data["job_id"].as_str().filter(|id| jobs.contains(*id)) else { continue };
        let status = event.data["status"].clone();
        ended += usize::from(status == "succeeded");
        told.entry(id.to_owned()).or_default().push(status);
    }
    let order =
        |status: &Value| ["queued", "running", "succeeded"].iter().position(|one| status == one).unwrap();
    assert_eq!(told.len(), MANY);
    for (job, states) in &told {
        assert!(states.iter().map(order).is_sorted_by(|a, b| a < b), "{job}: {states:?}");
    }
    // The other user's job stood among the first, though it came last.
    let one = other.finished(&one, Duration::from_secs(20)).await;
    let mut before = 0;
    for id in &jobs {
        let started = busy.job(id).await["started_at"].as_str().unwrap().to_owned();
        before += usize::from(started.as_str() < one["started_at"].as_str().unwrap());
    }
    assert!(before < MANY / 4, "{before} of {MANY} ran before it");
}
