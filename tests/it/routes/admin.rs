//! Operating the service over HTTP.

use std::{io::Write, time::Duration};

use reqwest::Method;
use serde_json::json;

use crate::{
    both_stacks,
    harness::{
        App, Stack, User,
        app::client,
        client::{Answer, PASSWORD},
        eventually,
        servers::unique,
    },
};

both_stacks!(an_admin_operates_the_service, an_admin_is_not_made_of_a_strangers_account);

/// An admin made on the command line, signed in.
pub async fn admin(app: &App) -> User {
    let name = unique("chief");
    let mut command = app.command();
    let child = command
        .args(["admin", "create", &name])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null());
    let mut child = child.spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    assert!(child.wait().unwrap().success());
    let base = format!("{}/api/v1", app.url(0));
    let body = json!({"username": name, "password": PASSWORD});
    let tokens = Answer::of(client().post(format!("{base}/auth/login")).json(&body).send().await.unwrap())
        .await
        .expect(200);
    assert_eq!(tokens["user"]["role"], "admin");
    let text = |field: &str| tokens[field].as_str().unwrap().to_owned();
    User { http: client(), base, name, token: text("access_token"), refresh_token: text("refresh_token") }
}

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn an_admin_operates_the_service(stack: Stack) {
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "1").start().await;
    let admin = admin(&app).await;
    let user = app.user().await;
    user.get("/admin/users").await.problem(403, "forbidden");
    let id = user.get("/users/me").await.expect(200)["id"].as_str().unwrap().to_owned();
    let found = admin.get(&format!("/admin/users?q={}", user.name)).await.expect(200);
    assert_eq!((found["items"][0]["id"].as_str(), found["total"].as_i64()), (Some(id.as_str()), Some(2)));
    assert!(!found.to_string().contains("argon2"));
    // A user is shut out and let in.
    admin.post(&format!("/admin/users/{id}/deactivate"), &json!({})).await.expect(200);
    eventually("shut out", Duration::from_secs(5), || async {
        (user.get("/auth/me").await.status == 401).then_some(())
    })
    .await;
    admin.post(&format!("/admin/users/{id}/activate"), &json!({})).await.expect(200);
    let login = json!({"username": user.name, "password": PASSWORD});
    let tokens =
        Answer::of(client().post(format!("{}/auth/login", user.base)).json(&login).send().await.unwrap())
            .await
            .expect(200);
    let user = User { token: tokens["access_token"].as_str().unwrap().to_owned(), ..user };
    // A budget.
    let place = format!("/admin/users/{id}/quota");
    assert_eq!(admin.send(Method::PUT, &place, &json!({"daily_tokens": 100})).await.status, 204);
    user.post("/chat", &json!({"message": "/echo x", "max_tokens": 1000})).await.problem(429, "budget_spent");
    assert_eq!(user.get("/analytics/quota").await.expect(200)["daily_tokens"], 100);
    assert_eq!(admin.send(Method::PUT, &place, &json!({})).await.status, 204);
    admin.send(Method::PUT, &place, &json!({"daily_tokens": -1})).await.problem(422, "validation_failed");
    admin
        .send(Method::PUT, "/admin/users/user_06dqz6ef8swq1bnx1rc6a2k8t4/quota", &json!({}))
        .await
        .problem(404, "not_found");
    // A paused queue takes nothing, and loses nothing.
    assert_eq!(admin.post("/admin/queues/chat/pause", &json!({})).await.status, 204);
    tokio::time::sleep(Duration::from_secs(2)).await; // what "within a second" promises, and some
    let waiting = user.submit("/echo waited").await;
    let queue = async |name: &str| {
        let all = admin.get("/admin/queues").await.expect(200);
        all["queues"].as_array().unwrap().iter().find(|queue| queue["name"] == name).unwrap().clone()
    };
    let paused = queue("chat").await;
    assert_eq!(
        (paused["is_paused"].as_bool(), paused["depth"].as_i64(), paused["running"].as_i64()),
        (Some(true), Some(1), Some(0))
    );
    let look = user.get(&format!("/jobs/{}?wait=1", waiting["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(look["status"], "queued");
    assert_eq!(admin.post("/admin/queues/chat/resume", &json!({})).await.status, 204);
    let done = user.finished(waiting["id"].as_str().unwrap(), Duration::from_secs(20)).await;
    assert_eq!(done["result"]["reply"], "waited");
    admin.post("/admin/queues/nothing/pause", &json!({})).await.problem(404, "not_found");
    let workers = admin.get("/admin/queues").await.expect(200)["workers"].as_array().unwrap().clone();
    assert!(
        workers.iter().any(|worker| worker["queues"].as_array().unwrap().contains(&json!("chat"))),
        "{workers:?}"
    );
    // Dead jobs: some run again, some are dropped.
    let mut dead = Vec::new();
    for _ in 0..3 {
        user.post("/chat", &json!({"message": "/fail 500 x1 /echo alive", "enable_memory": false}))
            .await
            .problem(502, "provider_failed");
    }
    let listed = admin.get("/admin/jobs/dead?kind=chat").await.expect(200);
    for job in listed["items"].as_array().unwrap() {
        if job["error"]["code"] == "provider_failed" {
            dead.push(job["id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(dead.len(), 3, "{listed}");
    assert!(listed.get("total").is_none(), "counted only when asked: {listed}");
    let all = listed["items"].as_array().unwrap().len();
    for (filter, total) in [("kind=chat&limit=1&count=true", all), ("kind=probe&count=true", 0)] {
        let counted = admin.get(&format!("/admin/jobs/dead?{filter}")).await.expect(200);
        assert_eq!(counted["total"], json!(total), "{filter}: {counted}");
    }
    let retried = admin
        .post("/admin/jobs/dead/retry", &json!({"job_ids": [dead[0], dead[1], "job_x"]}))
        .await
        .expect(200);
    assert_eq!(retried["count"], 2);
    let again = user.finished(&dead[0], Duration::from_secs(20)).await;
    assert_eq!(again["result"]["reply"], "alive");
    assert_eq!(
        admin.post("/admin/jobs/dead/discard", &json!({"job_ids": [dead[2]]})).await.expect(200)["count"],
        1
    );
    let left = admin.get("/admin/jobs/dead?kind=chat").await.expect(200);
    assert!(!left.to_string().contains(&dead[2]));
    admin.post("/admin/jobs/dead/retry", &json!({"job_ids": []})).await.problem(422, "validation_failed");
    let providers = admin.get("/admin/providers").await.expect(200);
    assert_eq!(
        (providers["items"][0]["name"].as_str(), providers["items"][0]["breaker"].as_str()),
        (Some("mock"), Some("closed"))
    );
    // All of it is in the log.
    let log = admin.get(&format!("/admin/audit?user_id={id}")).await.expect(200);
    let events: Vec<&str> =
        log["items"].as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    for event in ["deactivated_by_admin", "activated_by_admin", "quota_set"] {
        assert!(events.contains(&event), "{events:?}");
    }
    let all = admin.get("/admin/audit?event=queue_paused").await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
}

/// Runs `rapport admin …` with what somebody types; gives whether it worked, and all it said.
fn command(app: &App, arguments: &[&str], typed: &str) -> (bool, String) {
    let mut command = app.command();
    command.arg("admin").args(arguments).stdin(std::process::Stdio::piped());
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // It may have ended without reading.
    let _gone = writeln!(child.stdin.take().unwrap(), "{typed}");
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

async fn an_admin_is_not_made_of_a_strangers_account(stack: Stack) {
    let app = App::start(stack).await;
    let stranger = app.user().await;
    let name = stranger.name.as_str();
    let key = stranger.post("/api-keys", &json!({"name": "back door"})).await.expect(201);
    let by_key = User { token: key["key"].as_str().unwrap().to_owned(), ..stranger.clone() };
    let hook = json!({"url": "https://example.com/hook", "events": ["job.failed"]});
    stranger.post("/webhooks", &hook).await.expect(201);
    // A name that is taken is no new admin's; the command that promotes is named, and nothing has changed.
    let (done, said) = command(&app, &["create", name], "Other-horse-2");
    assert!(!done && said.contains("admin promote"), "{said}");
    assert_eq!(by_key.get("/users/me").await.expect(200)["role"], "user");
    // Promoting says what the account holds, and asks.
    let (done, said) = command(&app, &["promote", name], "no");
    assert!(!done, "{said}");
    for part in
        ["1 API key", "1 webhook", "1 login", "no mail address", "back door", "https://example.com/hook"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(by_key.get("/users/me").await.expect(200)["role"], "user");
    // Agreed: what was handed out before is good for nothing.
    let (done, said) = command(&app, &["promote", name, "--yes"], "");
    assert!(done, "{said}");
    for old in [&by_key, &stranger] {
        eventually("the old proofs end", Duration::from_secs(5), || async {
            (old.get("/users/me").await.status == 401).then_some(())
        })
        .await;
    }
    let refresh = json!({"refresh_token": stranger.refresh_token});
    stranger.post("/auth/refresh", &refresh).await.problem(401, "invalid_refresh_token");
    let login = json!({"username": name, "password": PASSWORD});
    let tokens = stranger.post("/auth/login", &login).await.expect(200);
    assert_eq!(tokens["user"]["role"], "admin");
    let chief = User { token: tokens["access_token"].as_str().unwrap().to_owned(), ..stranger.clone() };
    assert_eq!(chief.get("/api-keys").await.expect(200)["items"], json!([]));
    assert_eq!(chief.get("/webhooks").await.expect(200)["items"], json!([]));
    let audit = chief.get("/admin/audit?event=promoted").await.expect(200);
    assert_eq!(audit["items"][0]["detail"]["api_keys"], 1, "{audit}");
    // Nobody is promoted twice, and nobody who is not there.
    assert!(!command(&app, &["promote", "nobody-at-all", "--yes"], "").0);
}
