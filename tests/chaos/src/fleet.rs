//! The users, and the probes that ask whether every API answers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;

use crate::clients::{Call, Lane, PASSWORD, Reply, User, World};

/// Sessions a user talks in at once.
const LANES: usize = 2;

pub async fn register(world: &World, name: &str) -> Result<User, String> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let body = json!({"username": name, "password": PASSWORD});
        let call = Call { marker: "register", body: Some(body), ..Call::post("/auth/register") };
        let reply = world.send_quietly(0, call).await;
        match &reply {
            Reply::Http { status: 201, body, .. } => {
                let token = body["access_token"].as_str().unwrap_or_default().to_owned();
                return Ok(User { name: name.to_owned(), token });
            }
            // The answer to the first try was lost.
            Reply::Http { status: 409, .. } => return login(world, name).await,
            _ if Instant::now() > deadline => return Err(format!("{name} cannot register: {reply:?}")),
            _ => world.pause(&reply).await,
        }
    }
}

async fn login(world: &World, name: &str) -> Result<User, String> {
    let body = json!({"username": name, "password": PASSWORD});
    let call = Call { marker: "login", body: Some(body), ..Call::post("/auth/login") };
    match world.send_quietly(0, call).await {
        Reply::Http { status: 200, body, .. } => Ok(User {
            name: name.to_owned(),
            token: body["access_token"].as_str().unwrap_or_default().to_owned(),
        }),
        other => Err(format!("{name} cannot sign in: {other:?}")),
    }
}

/// Every lane of every user, talking whenever the gate is open.
pub fn talk(world: &Arc<World>, seed: u64) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (index, user) in world.users.iter().enumerate() {
        for lane in 0..LANES {
            let lane = Lane::new(Arc::clone(world), user.clone(), index * LANES + lane, seed);
            tasks.spawn(lane.talk());
        }
    }
    tasks
}

/// Asks every API a fresh question until each has answered one. Gives how long that took, or who did not.
pub async fn ready(world: &Arc<World>, within: Duration) -> Result<Duration, String> {
    let start = Instant::now();
    let mut asking = JoinSet::new();
    for api in 0..world.web.urls.len() {
        let world = Arc::clone(world);
        asking.spawn(async move {
            let mut last = String::new();
            while start.elapsed() < within {
                let call = Call {
                    marker: "probe",
                    token: &world.prober.token,
                    body: Some(json!({"message": "/echo ready", "tools": "none", "enable_memory": false})),
                    within: Duration::from_secs(15),
                    ..Call::post("/chat")
                };
                match world.send_quietly(api, call).await {
                    Reply::Http { status: 200, body, .. } if body["reply"] == "ready" => return Ok(()),
                    other => last = format!("{other:?}"),
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            Err(format!("api{api} does not answer a fresh message: {last}"))
        });
    }
    let mut failed = Vec::new();
    while let Some(done) = asking.join_next().await {
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed.push(error),
            Err(error) => failed.push(error.to_string()),
        }
    }
    if failed.is_empty() { Ok(start.elapsed()) } else { Err(failed.join("; ")) }
}
