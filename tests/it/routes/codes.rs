//! Codes by mail, passwords, API keys, throttling.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        App, Stack,
        app::client,
        client::{Answer, PASSWORD, User},
        eventually, mail,
        servers::unique,
    },
};

both_stacks!(
    a_reset_ends_all_sessions_and_codes_work_once,
    guessing_a_code_is_stopped,
    guessing_a_password_is_slowed_without_locking_the_owner_out,
    mail_goes_out_over_smtp_in_text_and_html,
    known_and_unknown_accounts_take_as_long,
    an_account_changes_and_is_deactivated,
    api_keys_are_bounded_by_scope_time_and_budget,
);

pub async fn post(app: &App, path: &str, body: &Value) -> Answer {
    let url = format!("{}/api/v1{path}", app.url(0));
    Answer::of(client().post(url).json(body).send().await.unwrap()).await
}

pub async fn with_email(app: &App) -> (User, String) {
    let email = format!("{}@example.com", unique("mail"));
    let tokens =
        post(app, "/auth/register", &json!({"email": email, "password": PASSWORD})).await.expect(201);
    let text = |field: &str| tokens[field].as_str().unwrap().to_owned();
    let (token, refresh_token) = (text("access_token"), text("refresh_token"));
    let base = format!("{}/api/v1", app.url(0));
    (User { http: client(), base, name: email.clone(), token, refresh_token }, email)
}

async fn a_reset_ends_all_sessions_and_codes_work_once(stack: Stack) {
    let app = App::start(stack).await;
    let (user, email) = with_email(&app).await;
    post(&app, "/auth/forgot-password", &json!({"email": email})).await.expect(200);
    let token = mail::code(&mail::to(&app, &email, 1).await[0]);
    let reset =
        |token: &str, password: &str| json!({"email": email, "token": token, "new_password": password});
    post(&app, "/auth/reset-password", &reset(&token, "weak")).await.problem(422, "validation_failed");
    // Who knows an address cannot spoil its owner's link: not by guessing at it, and not by asking for another.
    for _ in 0..6 {
        post(&app, "/auth/reset-password", &reset("wrong", "Another-horse-2"))
            .await
            .problem(400, "invalid_code");
    }
    post(&app, "/auth/forgot-password", &json!({"email": email})).await.expect(200);
    assert_eq!(mail::code(&mail::to(&app, &email, 2).await[1]), token);
    post(&app, "/auth/reset-password", &reset(&token, "Another-horse-2")).await.expect(200);
    post(&app, "/auth/reset-password", &reset(&token, "Third-horse-3")).await.problem(400, "invalid_code");
    eventually("the old session ends", Duration::from_secs(5), || async {
        (user.get("/auth/me").await.status == 401).then_some(())
    })
    .await;
    post(&app, "/auth/refresh", &json!({"refresh_token": user.refresh_token}))
        .await
        .problem(401, "invalid_refresh_token");
    post(&app, "/auth/login", &json!({"username": email, "password": PASSWORD}))
        .await
        .problem(401, "invalid_credentials");
    post(&app, "/auth/login", &json!({"username": email, "password": "Another-horse-2"})).await.expect(200);
    // A verification code is no reset's, and no code of somebody else's is one's own.
    post(&app, "/auth/request-otp", &json!({"email": email})).await.expect(200);
    let otp = mail::code(&mail::to(&app, &email, 3).await[2]);
    assert!(otp.len() == 6 && otp.bytes().all(|b| b.is_ascii_digit()), "{otp}");
    post(&app, "/auth/reset-password", &reset(&otp, "Third-horse-3")).await.problem(400, "invalid_code");
    let (_, other) = with_email(&app).await;
    post(&app, "/auth/verify-otp", &json!({"email": other, "otp": otp})).await.problem(400, "invalid_code");
    post(&app, "/auth/verify-otp", &json!({"email": email, "otp": otp})).await.expect(200);
    post(&app, "/auth/verify-otp", &json!({"email": email, "otp": otp})).await.problem(400, "invalid_code");
    // Whoever is unknown gets the same words.
    let known = post(&app, "/auth/forgot-password", &json!({"email": email})).await.expect(200);
    let unknown =
        post(&app, "/auth/forgot-password", &json!({"email": "nobody@example.com"})).await.expect(200);
    assert_eq!(known, unknown);
    for wrong in [json!({"email": "x"}), json!({}), json!({"email": 5})] {
        assert_eq!(post(&app, "/auth/request-otp", &wrong).await.status, 422);
    }
    // Neither a code nor a token stands in the database.
    let stored = crate::harness::dump::everything(&app.db().await).await;
    assert!(!stored.contains(&token) && !stored.contains(&otp));
}

async fn guessing_a_code_is_stopped(stack: Stack) {
    let app = App::start(stack).await;
    let (_, email) = with_email(&app).await;
    post(&app, "/auth/request-otp", &json!({"email": email})).await.expect(200);
    let otp = mail::code(&mail::to(&app, &email, 1).await[0]);
    let wrong = if otp == "000000" { "000001" } else { "000000" };
    // Many at once have no more tries than one after another.
    let guess = |otp: &str| json!({"email": email, "otp": otp});
    let body = guess(wrong);
    let guesses: Vec<_> = (0..20).map(|_| post(&app, "/auth/verify-otp", &body)).collect();
    for answer in futures::future::join_all(guesses).await {
        answer.problem(400, "invalid_code");
    }
    post(&app, "/auth/verify-otp", &guess(&otp)).await.problem(400, "invalid_code");
    // Another code works; but nobody's mailbox is flooded.
    post(&app, "/auth/request-otp", &json!({"email": email})).await.expect(200);
    let otp = mail::code(&mail::to(&app, &email, 2).await[1]);
    post(&app, "/auth/verify-otp", &guess(&otp)).await.expect(200);
    for _ in 0..12 {
        post(&app, "/auth/request-otp", &json!({"email": email})).await.expect(200);
    }
    mail::to(&app, &email, 5).await;
    let folder = std::fs::read_dir(app.folder.join("outbox")).unwrap().count();
    assert!(folder <= 6, "{folder} mails");
}

async fn guessing_a_password_is_slowed_without_locking_the_owner_out(stack: Stack) {
    let app = App::builder(stack).env("TRUSTED_PROXIES", "1").start().await;
    let (user, email) = with_email(&app).await;
    // Who took a token does not find the password with it either.
    let change = json!({"current_password": "Wrong-horse-1", "new_password": "Another-horse-2"});
    for _ in 0..10 {
        user.post("/auth/change-password", &change).await.problem(403, "wrong_password");
    }
    user.post("/auth/change-password", &change).await.problem(429, "rate_limited");
    let login = async |password: &str, from: &str| {
        let url = format!("{}/api/v1/auth/login", app.url(0));
        let body = json!({"username": email, "password": password});
        Answer::of(client().post(url).header("x-forwarded-for", from).json(&body).send().await.unwrap()).await
    };
    for _ in 0..10 {
        login("Wrong-horse-1", "203.0.113.5").await.problem(401, "invalid_credentials");
    }
    let stopped = login("Wrong-horse-1", "203.0.113.5").await;
    assert!(stopped.headers.contains_key("retry-after"));
    stopped.problem(429, "rate_limited");
    // Not even the right one from there; but the owner gets in from home.
    login(PASSWORD, "203.0.113.5").await.problem(429, "rate_limited");
    login(PASSWORD, "198.51.100.7").await.expect(200);
}

async fn mail_goes_out_over_smtp_in_text_and_html(stack: Stack) {
    let smtp = mail::Smtp::start(1).await;
    let app = App::builder(stack)
        .env("EMAIL__SMTP_SERVER", "127.0.0.1")
        .env("EMAIL__SMTP_PORT", smtp.port)
        .env("EMAIL__TLS", "none")
        .env("EMAIL__FROM", "Help <help@example.org>")
        .start()
        .await;
    let (_, email) = with_email(&app).await;
    post(&app, "/auth/request-otp", &json!({"email": email})).await.expect(200);
    // The server put it off once: the job tries again.
    let mail = eventually("the mail arrives", Duration::from_secs(30), || async { smtp.taken().pop() }).await;
    for part in [
        "From: Help <help@example.org>",
        &format!("To: {email}"),
        "Content-Type: text/plain",
        "Content-Type: text/html",
        "Message-ID: <job_",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    post(&app, "/auth/verify-otp", &json!({"email": email, "otp": mail::code(&mail)})).await.expect(200);
    assert_eq!(smtp.taken().len(), 1);
    assert!(!app.folder.join("outbox").exists());
    // Nobody's address gets none.
    post(&app, "/auth/forgot-password", &json!({"email": "nobody@example.com"})).await.expect(200);
    post(&app, "/auth/forgot-password", &json!({"email": email})).await.expect(200);
    eventually("the other mail", Duration::from_secs(30), || async {
        (smtp.taken().len() == 2).then_some(())
    })
    .await;
    assert!(!smtp.taken().iter().any(|mail| mail.contains("nobody@")));
}

async fn known_and_unknown_accounts_take_as_long(stack: Stack) {
    let app = App::start(stack).await;
    let (_, email) = with_email(&app).await;
    let mut times: [[Vec<Duration>; 2]; 2] = Default::default();
    for round in 0..12 {
        for which in 0..2 {
            // Each first as often as second.
            let known = (round + which) % 2 == 0;
            let name = if known { email.clone() } else { format!("{}@example.com", unique("nobody")) };
            let started = Instant::now();
            // From other addresses, so that nothing is throttled.
            post(&app, "/auth/login", &json!({"username": name, "password": "Wrong-horse-1"})).await;
            times[0][usize::from(known)].push(started.elapsed());
            let started = Instant::now();
            post(&app, "/auth/forgot-password", &json!({"email": name})).await.expect(200);
            times[1][usize::from(known)].push(started.elapsed());
        }
    }
    for [unknown, known] in &mut times {
        unknown.sort();
        known.sort();
        // Alike: the middle of each lies well within the other's range.
        let (a, b) = (unknown[6], known[6]);
        assert!(a >= known[0].mul_f64(0.5) && a <= known[11].mul_f64(2.0), "{unknown:?} {known:?}");
        assert!(b >= unknown[0].mul_f64(0.5) && b <= unknown[11].mul_f64(2.0), "{unknown:?} {known:?}");
    }
}

async fn an_account_changes_and_is_deactivated(stack: Stack) {
    let app = App::start(stack).await;
    let (user, email) = with_email(&app).await;
    let other =
        post(&app, "/auth/login", &json!({"username": email, "password": PASSWORD})).await.expect(200);
    let change = |old: &str, new: &str| json!({"current_password": old, "new_password": new});
    user.post("/auth/change-password", &change("Wrong-horse-1", "Another-horse-2"))
        .await
        .problem(403, "wrong_password");
    user.post("/auth/change-password", &change(PASSWORD, "weak")).await.problem(422, "validation_failed");
    let answer = user.post("/auth/change-password", &change(PASSWORD, "Another-horse-2")).await.expect(200);
    // This client goes on with new tokens; the other login is over.
    let user = User { token: answer["access_token"].as_str().unwrap().to_owned(), ..user };
    user.get("/auth/me").await.expect(200);
    let other = User { token: other["access_token"].as_str().unwrap().to_owned(), ..user.clone() };
    eventually("the other login ends", Duration::from_secs(5), || async {
        (other.get("/auth/me").await.status == 401).then_some(())
    })
    .await;
    let profile = json!({"name": "Ann Lee", "username": unique("ann")});
    let changed = user.send(Method::PATCH, "/users/me", &profile).await.expect(200);
    assert_eq!((&changed["name"], &changed["email"]), (&profile["name"], &json!(email)));
    let (_, taken) = with_email(&app).await;
    let taken = json!({"email": taken, "password": "Another-horse-2"});
    user.send(Method::PATCH, "/users/me", &taken).await.problem(409, "already_taken");
    user.send(Method::PATCH, "/users/me", &json!({"email": "x", "name": ""}))
        .await
        .problem(422, "validation_failed");
    user.post("/users/me/deactivate", &json!({"password": "Wrong-horse-1"}))
        .await
        .problem(403, "wrong_password");
    user.post("/users/me/deactivate", &json!({"password": "Another-horse-2"})).await.expect(200);
    user.get("/auth/me").await.problem(401, "unauthorized");
    let again = json!({"username": email, "password": "Another-horse-2"});
    post(&app, "/auth/login", &again).await.problem(401, "invalid_credentials");
    // An admin lets them in again, from the command line.
    let done = app.command().args(["admin", "activate", &email]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    post(&app, "/auth/login", &again).await.expect(200);
}

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn api_keys_are_bounded_by_scope_time_and_budget(stack: Stack) {
    let app = App::start(stack).await;
    let (user, other) = (app.user().await, app.user().await);
    let made = user
        .post("/api-keys", &json!({"name": "bot", "scopes": ["chat"], "monthly_tokens": 900}))
        .await
        .expect(201);
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with(made["prefix"].as_str().unwrap()) && key.len() > 40);
    let bot = User { token: key.clone(), ..user.clone() };
    let answer = bot.chat("/echo by key").await;
    assert_eq!(answer["reply"], "by key");
    bot.get("/memory").await.problem(403, "key_not_allowed");
    bot.get("/settings").await.problem(403, "key_not_allowed");
    bot.post("/api-keys", &json!({"name": "more"})).await.problem(403, "key_not_allowed");
    bot.get("/admin/users").await.problem(403, "forbidden");
    // Streams and sockets take it too, and tickets stay a key's.
    bot.stream(&json!({"message": "/echo x"})).await.all().await;
    let ticket =
        bot.post("/auth/ws-ticket", &json!({})).await.expect(200)["ticket"].as_str().unwrap().to_owned();
    let url = format!("{}/memory/events?token={ticket}", bot.base);
    Answer::of(client().get(url).send().await.unwrap()).await.problem(403, "key_not_allowed");
    // Its tokens are counted, by key, and end.
    let usage = user.get("/analytics/usage").await.expect(200);
    assert!(
        usage["lines"].as_array().unwrap().iter().any(|line| line["api_key_id"] == made["id"]),
        "{usage}"
    );
    bot.post("/chat", &json!({"message": "/tokens 5", "max_tokens": 1000}))
        .await
        .problem(429, "budget_spent");
    let listed = user.get("/api-keys").await.expect(200);
    assert!(listed["items"][0].get("key").is_none() && !listed.to_string().contains(&key));
    assert!(listed["items"][0]["last_used_at"].is_string());
    assert!(!crate::harness::dump::everything(&app.db().await).await.contains(&key));
    let place = format!("/api-keys/{}", made["id"].as_str().unwrap());
    other.send(Method::DELETE, &place, &json!({})).await.problem(404, "not_found");
    assert_eq!(user.send(Method::DELETE, &place, &json!({})).await.status, 204);
    eventually("the key is good for nothing", Duration::from_secs(5), || async {
        (bot.get("/jobs").await.status == 401).then_some(())
    })
    .await;
    for wrong in [
        json!({"name": ""}),
        json!({"name": "x", "scopes": []}),
        json!({"name": "x", "scopes": ["root"]}),
        json!({"name": "x", "expires_at": "2001-01-01T00:00:00Z"}),
        json!({"name": "x", "monthly_tokens": 0}),
    ] {
        user.post("/api-keys", &wrong).await.problem(422, "validation_failed");
    }
    let soon = rapport_common::clock::now() + chrono::TimeDelta::seconds(2);
    let brief = user.post("/api-keys", &json!({"name": "brief", "expires_at": soon})).await.expect(201);
    let brief = User { token: brief["key"].as_str().unwrap().to_owned(), ..user.clone() };
    brief.get("/memory").await.expect(200);
    eventually("it expires", Duration::from_secs(20), || async {
        (brief.get("/jobs").await.status == 401).then_some(())
    })
    .await;
    for forged in ["rk_", "rk_x", &format!("{key}x")] {
        User { token: forged.to_owned(), ..user.clone() }.get("/jobs").await.problem(401, "unauthorized");
    }
}
