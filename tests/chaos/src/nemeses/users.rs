//! What users do that others may feel: leaving in the middle of talking, webhooks nobody answers, mails nobody takes.

use std::{sync::Arc, time::Duration};

use rand::{Rng, rngs::StdRng};
use serde_json::json;
use tokio::net::TcpListener;

use super::{Scene, sleep};
use crate::{
    check::Violation,
    clients::{Call, PASSWORD, Reply, User, World},
    fleet::register,
};

/// Sends messages until the account is gone.
async fn chatter(world: Arc<World>, user: User, lane: usize) {
    for number in 0..200 {
        let body = json!({"message": format!("/echo x-{lane}-{number} /tokens 20 /delay 40")});
        let call = Call {
            marker: &user.name,
            token: &user.token,
            prefer: Some("respond-async"),
            body: Some(body),
            within: Duration::from_secs(10),
            ..Call::post("/chat")
        };
        // 401, once it is closed. 503 and 507 say that nothing was stored.
        match world.send_quietly(number, call).await {
            Reply::Http { status: 401 | 403, .. } => return,
            Reply::Http { status, body, .. } if status >= 500 && ![503, 507].contains(&status) => {
                world.history.wrong(&user.name, format!("who leaves was answered {status}: {body}"));
            }
            _ => {}
        }
        sleep(0.05).await;
    }
}

pub async fn leave_under_load(scene: &Scene, rng: &mut StdRng) -> Result<(), String> {
    let (world, topology) = (&scene.world, &scene.topology);
    let mut leaving = Vec::new();
    for number in 0..3 {
        let name = format!("leaver{}-{}", number, rng.random_range(0..1_000_000_000_u64));
        let user = register(world, &name).await?;
        leaving.push(user);
    }
    let mut talking = Vec::new();
    for user in &leaving {
        for lane in 0..2 {
            talking.push(tokio::spawn(chatter(Arc::clone(world), user.clone(), lane)));
        }
    }
    sleep(2.0).await;
    for user in &leaving {
        let call = || Call {
            marker: &user.name,
            method: reqwest::Method::DELETE,
            token: &user.token,
            body: Some(json!({"password": PASSWORD})),
            ..Call::post("/users/me")
        };
        // Other faults may strike now: it is said again, to the next API, until somebody has heard.
        let mut reply = world.send_quietly(0, call()).await;
        for again in 1..100 {
            if matches!(&reply, Reply::Http { status: 200 | 202 | 204 | 401, .. }) {
                break;
            }
            sleep(0.5).await;
            reply = world.send_quietly(again, call()).await;
        }
        // 401: an answer was lost, and the account is closed.
        if !matches!(&reply, Reply::Http { status: 200 | 202 | 204 | 401, .. }) {
            let what = format!("who wants to leave is answered {reply:?}");
            topology.violation(Violation::new("erasure", what).about(&user.name));
        }
    }
    sleep(3.0).await;
    for task in talking {
        task.abort();
    }
    world.leavers.lock().await.extend(leaving.into_iter().map(|user| user.name));
    Ok(())
}

/// A receiver that takes connections and says nothing.
pub async fn webhook_hangs(scene: &Scene, seconds: f64) -> Result<(), String> {
    let world = &scene.world;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let holding = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let mut made = Vec::new();
    for user in world.users.iter().take(4) {
        let body = json!({"url": format!("http://127.0.0.1:{port}/hook"), "events": ["job.succeeded"]});
        let call = || Call {
            marker: "webhook",
            token: &user.token,
            body: Some(body.clone()),
            ..Call::post("/webhooks")
        };
        let mut reply = world.send(0, call()).await;
        for again in 1..100 {
            if matches!(&reply, Reply::Http { status: 201, .. }) {
                break;
            }
            sleep(0.5).await;
            reply = world.send(again, call()).await;
        }
        match reply {
            Reply::Http { status: 201, body, .. } => {
                made.push((user.clone(), body["id"].as_str().unwrap_or_default().to_owned()));
            }
            other => return Err(format!("a webhook cannot be made: {other:?}")),
        }
    }
    sleep(seconds).await;
    for (user, id) in made {
        let path = format!("/webhooks/{id}");
        let call = Call {
            marker: "webhook",
            method: reqwest::Method::DELETE,
            token: &user.token,
            ..Call::get(&path)
        };
        world.send(0, call).await;
    }
    holding.abort();
    Ok(())
}

/// Accounts ask for codes while the mail server takes connections and says nothing.
pub async fn smtp_hangs(scene: &Scene, seconds: f64, rng: &mut StdRng) -> Result<(), String> {
    let (world, server) = (&scene.world, &scene.topology.mail);
    server.hang(true);
    let asking = async {
        for number in 0..8 {
            let email = format!("m{number}-{}@example.com", rng.random_range(0..1_000_000_000_u64));
            let account = json!({"email": email, "password": PASSWORD});
            let call = Call { marker: "mail", body: Some(account), ..Call::post("/auth/register") };
            world.send(number, call).await;
            let body = json!({"email": email});
            let call = Call { marker: "mail", body: Some(body), ..Call::post("/auth/request-otp") };
            world.send(number, call).await;
            sleep(seconds / 10.0).await;
        }
    };
    tokio::join!(asking, sleep(seconds));
    server.hang(false);
    Ok(())
}
