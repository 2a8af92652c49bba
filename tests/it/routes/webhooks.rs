//! Webhooks: signed so that the standard's own library agrees, told again when a receiver fails, never sent inside.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        App, Stack, eventually, python,
        replay::{Replay, Reply, Seen},
    },
};

both_stacks!(
    failed_deliveries_do_not_map_the_network,
    receivers_are_told_signed_and_again,
    addresses_inside_are_refused,
    one_stream_tells_everything,
    the_stream_of_everything_resumes
);

/// Asks the official library of Standard Webhooks.
pub fn verify(secret: &str, seen: &Seen) -> bool {
    let script = "import sys, json\nfrom standardwebhooks import Webhook\nsecret, headers, body = json.load(sys.stdin)\nWebhook(secret).verify(body, headers)";
    let input = json!([secret, seen.headers, seen.text]).to_string();
    let mut child = Command::new(python::tool("python"))
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    child.wait().unwrap().success()
}

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn receivers_are_told_signed_and_again(stack: Stack) {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let receiver =
        Replay::start(move |_, _| Reply::json(if is_up.load(Ordering::SeqCst) { 204 } else { 500 }, ""))
            .await;
    let app = App::builder(stack).env("EGRESS__ALLOW", r#"["127.0.0.1"]"#).start().await;
    let (user, other) = (app.user().await, app.user().await);
    let body = json!({"url": format!("{}/hook", receiver.url), "events": ["job.succeeded", "job.failed", "memory.created"]});
    let hook = user.post("/webhooks", &body).await.expect(201);
    let (id, secret) = (hook["id"].as_str().unwrap(), hook["secret"].as_str().unwrap().to_owned());
    let chat =
        user.post("/chat", &json!({"message": "/echo told", "enable_memory": false})).await.expect(200);
    let about_chat = |seen: &Seen| seen.json()["data"]["job"]["id"] == chat["job_id"];
    let seen = eventually("it is told", Duration::from_secs(30), || async {
        receiver.seen().into_iter().find(about_chat)
    })
    .await;
    assert_eq!(seen.line, "POST /hook");
    assert!(verify(&secret, &seen), "{seen:?}");
    let forged = Seen { text: seen.text.replace("told", "forged"), ..seen.clone() };
    assert!(!verify(&secret, &forged));
    let told = seen.json();
    assert_eq!((told["type"].as_str(), &told["data"]["job"]["id"]), (Some("job.succeeded"), &chat["job_id"]));
    assert_eq!(told["data"]["job"]["result"]["reply"], "told");
    // It failed, and is told again with the same id once it is up.
    up.store(true, Ordering::SeqCst);
    let deliveries = async || {
        user.get(&format!("/webhooks/{id}/deliveries")).await.expect(200)["items"].as_array().unwrap().clone()
    };
    let of_chat = async || {
        let all = deliveries().await;
        all.into_iter().find(|one| {
            Some(one["id"].as_str().unwrap()) == seen.headers.get("webhook-id").map(String::as_str)
        })
    };
    let delivered = eventually("it is told again", Duration::from_secs(40), || async {
        of_chat().await.filter(|one| one["status"] == "delivered")
    })
    .await;
    assert!(delivered["attempts"].as_i64().unwrap() >= 2, "{delivered}");
    let again: Vec<Seen> = receiver
        .seen()
        .into_iter()
        .filter(|one| one.headers.get("webhook-id") == seen.headers.get("webhook-id"))
        .collect();
    assert!(again.len() >= 2 && again.iter().all(|one| one.text == seen.text && verify(&secret, one)));
    // By hand once more.
    let count = receiver.seen().len();
    let place = format!("/webhooks/{id}/deliveries/{}/redeliver", delivered["id"].as_str().unwrap());
    assert_eq!(user.post(&place, &json!({})).await.status, 202);
    eventually("by hand", Duration::from_secs(30), || async {
        (receiver.seen().len() > count).then_some(())
    })
    .await;
    // Failures and memories are told too.
    user.post("/chat", &json!({"message": "/fail 400"})).await;
    user.post("/memory", &json!({"content": "Likes tea"})).await.expect(201);
    eventually("all three", Duration::from_secs(30), || async {
        let kinds: Vec<Value> = receiver.seen().iter().map(|one| one.json()["type"].clone()).collect();
        ["job.failed", "memory.created"].iter().all(|kind| kinds.contains(&json!(kind))).then_some(())
    })
    .await;
    // One to try it with, and what each was told.
    let test = user.post(&format!("/webhooks/{id}/test"), &json!({})).await.expect(202);
    let told = eventually("the test is told", Duration::from_secs(30), || async {
        receiver.seen().into_iter().find(|one| one.json()["type"] == "webhook.test")
    })
    .await;
    assert!(verify(&secret, &told));
    let delivery = format!("/webhooks/{id}/deliveries/{}", test["delivery_id"].as_str().unwrap());
    assert_eq!(user.get(&delivery).await.expect(200)["body"], told.json());
    other.get(&delivery).await.problem(404, "not_found");
    other.post(&format!("/webhooks/{id}/test"), &json!({})).await.problem(404, "not_found");
    // Nobody else's business.
    other.get(&format!("/webhooks/{id}/deliveries")).await.problem(404, "not_found");
    other.post(&place, &json!({})).await.problem(404, "not_found");
    assert_eq!(other.get("/webhooks").await.expect(200)["items"], json!([]));
    let listed = user.get("/webhooks").await.expect(200);
    assert!(!listed.to_string().contains(&secret));
    assert!(
        !crate::harness::dump::everything(&app.db().await)
            .await
            .contains(secret.trim_start_matches("whsec_"))
    );
    assert_eq!(user.send(Method::DELETE, &format!("/webhooks/{id}"), &json!({})).await.status, 204);
}

async fn addresses_inside_are_refused(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    for url in [
        "http://127.0.0.1/",
        "http://localhost:1/",
        "http://[::1]/",
        "http://169.254.169.254/latest",
        "http://0x7f.1/",
        "ftp://example.com/",
        "http://user:pass@example.com/",
        "not a url",
        "",
        "http://10.0.0.1/",
    ] {
        let made = user.post("/webhooks", &json!({"url": url, "events": ["job.failed"]})).await;
        // A name is looked up when something is told, not before.
        if url.contains("localhost") {
            made.expect(201);
        } else {
            made.problem(422, "validation_failed");
        }
    }
    user.post("/webhooks", &json!({"url": "https://example.com/", "events": []}))
        .await
        .problem(422, "validation_failed");
    user.post("/webhooks", &json!({"url": "https://example.com/", "events": ["all"]}))
        .await
        .problem(422, "validation_failed");
    let hook = user.get("/webhooks").await.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    user.post("/chat", &json!({"message": "/fail 400"})).await;
    let refused = eventually("it is refused", Duration::from_secs(30), || async {
        let all = user.get(&format!("/webhooks/{hook}/deliveries")).await.expect(200);
        all["items"][0]["error"].as_str().map(str::to_owned)
    })
    .await;
    assert!(refused.contains("could not be reached"), "{refused}");
}

async fn one_stream_tells_everything(stack: Stack) {
    let app = App::start(stack).await;
    let (user, other) = (app.user().await, app.user().await);
    let mut stream =
        crate::harness::sse::Events::of(user.request(Method::GET, "/events").send().await.unwrap());
    other.chat("hello").await;
    let chat = user.chat("Please tell me about lamps").await;
    user.post("/memory", &json!({"content": "Likes tea"})).await.expect(201);
    let (mut job, mut title, mut memory) = (false, false, false);
    while !(job && title && memory) {
        let event = stream.next().await.unwrap();
        match event.name.as_str() {
            "job" => job |= event.data["job_id"] == chat["job_id"] && event.data["status"] == "succeeded",
            "title" => title |= event.data["session_id"] == chat["session_id"],
            "memory_created" => memory = true,
            _ => {}
        }
    }
}

/// Who was cut off, anywhere, hears the rest: each event of the memory once, and the state of each job that changed.
#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn the_stream_of_everything_resumes(stack: Stack) {
    let mut app = App::start(stack).await;
    if stack == Stack::Production {
        app.add_api();
    }
    let (user, other) = (app.user().await, app.user().await);
    let follow = async |who: &crate::harness::User, after: &str| {
        let request = who.request(Method::GET, "/events").header("last-event-id", after);
        crate::harness::sse::Events::of(request.send().await.unwrap())
    };
    let note = async |content: &str| {
        let made = user.post("/memory", &json!({"content": content})).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    };
    let mut stream =
        crate::harness::sse::Events::of(user.request(Method::GET, "/events").send().await.unwrap());
    let first = note("Likes tea").await;
    let heard = loop {
        let event = stream.next().await.unwrap();
        if event.name == "memory_created" {
            assert!(event.data.to_string().contains(&first), "{event:?}");
            break event.id;
        }
    };
    drop(stream);
    // Meanwhile:
    let missed = [note("Likes coffee").await, note("Likes cocoa").await];
    let chat = user.chat("Please tell me about lamps").await;
    let others = other.chat("hello").await;
    let there = user.at(&app.url(app.apis.len() - 1));
    for after in [heard.as_str(), "0-0"] {
        let mut stream = follow(&there, after).await;
        let (mut memories, mut ids) = (Vec::new(), Vec::new());
        let mut is_done = false;
        let wanted = if after == "0-0" { 3 } else { 2 };
        while memories.len() < wanted || !is_done {
            let event = stream.next().await.unwrap();
            match event.name.as_str() {
                "memory_created" => memories.push(event.data.to_string()),
                "job" => {
                    assert_ne!(event.data["session_id"], others["session_id"], "{event:?}");
                    is_done |= event.data["job_id"] == chat["job_id"] && event.data["status"] == "succeeded";
                }
                _ => {}
            }
            ids.push(event.id.parse::<rapport_common::domain::event::EventId>().unwrap());
        }
        assert!(ids.is_sorted(), "{ids:?}");
        let found = |id: &String| memories.iter().filter(|memory| memory.contains(id.as_str())).count();
        assert_eq!(missed.iter().map(found).collect::<Vec<_>>(), [1, 1], "{memories:?}");
        assert_eq!(found(&first), wanted - 2, "{memories:?}");
    }
    for wrong in ["x", "1", "1-x", "99999999999-1"] {
        user.request(Method::GET, "/events")
            .header("last-event-id", wrong)
            .send()
            .await
            .map(|answer| {
                assert_eq!(answer.status(), 400, "{wrong}");
            })
            .unwrap();
    }
}

/// Unknown, refused, closed and silent addresses all get the same words.
async fn failed_deliveries_do_not_map_the_network(stack: Stack) {
    let closed = crate::harness::servers::free_port();
    let garbage = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let open = garbage.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = garbage.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-OpenSSH_9.2\r\n").await;
        }
    });
    let allow = json!([format!("127.0.0.1:{closed}"), format!("127.0.0.1:{open}")]);
    let app = App::builder(stack).env("EGRESS__ALLOW", allow).start().await;
    let user = app.user().await;
    let urls = [
        "http://no-such-name.invalid/".to_owned(),
        // A name that leads inside.
        "http://localhost:9/".to_owned(),
        format!("http://127.0.0.1:{closed}/"),
        format!("http://127.0.0.1:{open}/"),
    ];
    let mut hooks = Vec::new();
    for url in urls {
        let hook =
            user.post("/webhooks", &json!({"url": url, "events": ["job.succeeded"]})).await.expect(201);
        hooks.push(hook["id"].as_str().unwrap().to_owned());
    }
    user.chat("/echo told to nobody").await;
    let mut errors = std::collections::BTreeSet::new();
    for hook in hooks {
        let error = eventually("a failed delivery", Duration::from_secs(40), || async {
            let all = user.get(&format!("/webhooks/{hook}/deliveries")).await.expect(200);
            all["items"][0]["error"].as_str().map(str::to_owned)
        })
        .await;
        errors.insert(error);
    }
    assert_eq!(errors.len(), 1, "{errors:?}");
}
