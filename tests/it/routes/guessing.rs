//! Guessing: at passwords from many addresses and at once, at reset tokens, with tokens from the future.

use rapport_common::store::{Querier, db::Raw};
use serde_json::{Value, json};

use super::codes::{post, with_email};
use crate::{
    both_stacks,
    harness::{
        App, Stack,
        app::client,
        client::{Answer, PASSWORD},
        mail,
        servers::unique,
    },
};

both_stacks!(
    one_ipv6_network_is_one_guesser,
    guesses_from_everywhere_are_slowed_and_the_owner_gets_in,
    guesses_at_once_cost_as_much_as_one_after_another,
    counts_do_not_tell_which_email_is_whose,
    a_reset_token_has_a_fixed_end,
    a_token_from_the_future_is_not_good_yet,
);

async fn behind_a_proxy(stack: Stack) -> App {
    App::builder(stack).env("TRUSTED_PROXIES", "1").start().await
}

async fn login(app: &App, from: &str, body: Value) -> Answer {
    let request = client().post(format!("{}/api/v1/auth/login", app.url(0))).header("x-forwarded-for", from);
    Answer::of(request.json(&body).send().await.unwrap()).await
}

fn wrong(name: &str) -> Value {
    json!({"username": name, "password": "Wrong-horse-1"})
}

async fn one_ipv6_network_is_one_guesser(stack: Stack) {
    let app = behind_a_proxy(stack).await;
    let name = unique("victim");
    for n in 0..10 {
        login(&app, &format!("2001:db8:1:2:{n:x}::1"), wrong(&name))
            .await
            .problem(401, "invalid_credentials");
    }
    login(&app, "2001:db8:1:2:ffff:1:2:3", wrong(&name)).await.problem(429, "rate_limited");
    login(&app, "2001:db8:1:3::1", wrong(&name)).await.problem(401, "invalid_credentials");
    // An IPv4 address is one in whichever clothes it comes.
    let name = unique("victim");
    for _ in 0..10 {
        login(&app, "::ffff:203.0.113.9", wrong(&name)).await.problem(401, "invalid_credentials");
    }
    login(&app, "203.0.113.9", wrong(&name)).await.problem(429, "rate_limited");
    login(&app, "203.0.113.10", wrong(&name)).await.problem(401, "invalid_credentials");
}

async fn guesses_from_everywhere_are_slowed_and_the_owner_gets_in(stack: Stack) {
    let app = behind_a_proxy(stack).await;
    let (_, email) = with_email(&app).await;
    let right = json!({"username": email, "password": PASSWORD});
    let device = login(&app, "192.0.2.1", right.clone()).await.expect(200)["device_token"].clone();
    let (_, other) = with_email(&app).await;
    let others = json!({"username": other, "password": PASSWORD});
    let others = login(&app, "192.0.2.2", others).await.expect(200)["device_token"].clone();
    // Whether somebody has the name or not.
    for name in [&email, &unique("nobody")] {
        for n in 0..15 {
            let from = format!("203.0.113.{n}");
            login(&app, &from, wrong(name)).await.problem(401, "invalid_credentials");
        }
        let stopped = login(&app, "198.51.100.1", wrong(name)).await;
        let wait: u64 = stopped.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(wait > 60, "{wait}");
        stopped.problem(429, "rate_limited");
    }
    login(&app, "198.51.100.2", right.clone()).await.problem(429, "rate_limited");
    // The owner's device gets through, from anywhere; nobody else's does, and none that was made up.
    let with = |device: &Value, body: &Value| {
        let mut body = body.clone();
        body["device_token"] = device.clone();
        body
    };
    for made_up in [others, json!("rd_AAAA"), json!(""), json!(device.as_str().unwrap().to_lowercase())] {
        login(&app, "198.51.100.3", with(&made_up, &right)).await.problem(429, "rate_limited");
    }
    let again = login(&app, "198.51.100.3", with(&device, &right)).await.expect(200);
    // It is no way around the limits either: who took it has ten guesses like everybody.
    let device = again["device_token"].clone();
    for n in 0..10 {
        let from = format!("198.51.100.{n}");
        login(&app, &from, with(&device, &wrong(&email))).await.problem(401, "invalid_credentials");
    }
    login(&app, "198.51.100.20", with(&device, &wrong(&email))).await.problem(429, "rate_limited");
    // So does a mail, which also ends what devices were known before.
    post(&app, "/auth/forgot-password", &json!({"email": email})).await.expect(200);
    let token = mail::code(&mail::to(&app, &email, 1).await[0]);
    let reset = json!({"email": email, "token": token, "new_password": "Another-horse-2"});
    let known = post(&app, "/auth/reset-password", &reset).await.expect(200)["device_token"].clone();
    let right = json!({"username": email, "password": "Another-horse-2"});
    login(&app, "198.51.100.30", with(&device, &right)).await.problem(429, "rate_limited");
    login(&app, "198.51.100.30", with(&known, &right)).await.expect(200);
}

async fn guesses_at_once_cost_as_much_as_one_after_another(stack: Stack) {
    let app = behind_a_proxy(stack).await;
    let (_, email) = with_email(&app).await;
    let guesses = (0..40).map(|_| login(&app, "203.0.113.7", wrong(&email)));
    let answers = futures::future::join_all(guesses).await;
    let checked = answers.iter().filter(|answer| answer.status == 401).count();
    assert!((1..=12).contains(&checked), "{checked} of 40 were checked");
    assert!(answers.iter().all(|answer| [401, 429].contains(&answer.status)));
    // The right one costs nothing.
    for _ in 0..15 {
        login(&app, "203.0.113.8", json!({"username": email, "password": PASSWORD})).await.expect(200);
    }
}

/// Guesses under a username use up nothing of its email, so that nobody can find out that they belong together; and both
/// together give no more guesses than one account is worth.
async fn counts_do_not_tell_which_email_is_whose(stack: Stack) {
    let app = behind_a_proxy(stack).await;
    let (username, email) = (unique("both"), format!("{}@example.com", unique("both")));
    let account = json!({"email": email, "username": username, "password": PASSWORD});
    post(&app, "/auth/register", &account).await.expect(201);
    for name in [&username, &email, &unique("nobody"), &format!("{}@example.com", unique("nobody"))] {
        let checked = async |from: String| login(&app, &from, wrong(name)).await.status == 401;
        let mut guesses = 0;
        while checked("203.0.113.1".to_owned()).await {
            guesses += 1;
        }
        assert!((10..=12).contains(&guesses), "{guesses} for {name} from one address");
        while checked(format!("198.51.100.{guesses}")).await {
            guesses += 1;
        }
        assert_eq!(guesses, 15, "{name} from everywhere");
        login(&app, "198.51.100.200", wrong(name)).await.problem(429, "rate_limited");
    }
}

async fn a_reset_token_has_a_fixed_end(stack: Stack) {
    let app = App::start(stack).await;
    let (_, email) = with_email(&app).await;
    let ask = async || post(&app, "/auth/forgot-password", &json!({"email": email})).await.expect(200);
    ask().await;
    let first = mail::code(&mail::to(&app, &email, 1).await[0]);
    let end = ends_of(&app).await;
    ask().await;
    assert_eq!(mail::code(&mail::to(&app, &email, 2).await[1]), first);
    assert_eq!(ends_of(&app).await, end, "asking again must not make an old token live longer");
    // One that is about to end gives way to a new one, with an end of its own.
    set_end(&app, rapport_common::clock::now() + chrono::TimeDelta::minutes(5)).await;
    ask().await;
    let second = mail::code(&mail::to(&app, &email, 3).await[2]);
    assert_ne!(second, first);
    let reset = |token: &str| json!({"email": email, "token": token, "new_password": "Another-horse-2"});
    post(&app, "/auth/reset-password", &reset(&first)).await.problem(400, "invalid_code");
    set_end(&app, rapport_common::clock::now()).await;
    post(&app, "/auth/reset-password", &reset(&second)).await.problem(400, "invalid_code");
}

async fn ends_of(app: &App) -> Vec<chrono::DateTime<chrono::Utc>> {
    let mut conn = app.db().await.read().await.unwrap();
    let sql = "select expires_at from one_time_codes";
    let rows: Vec<(chrono::DateTime<chrono::Utc>,)> = match conn.raw() {
        Raw::Pg(c) => sqlx::query_as(sql).fetch_all(c).await,
        Raw::Lite(c) => sqlx::query_as(sql).fetch_all(c).await,
    }
    .unwrap();
    rows.into_iter().map(|row| row.0).collect()
}

async fn set_end(app: &App, end: chrono::DateTime<chrono::Utc>) {
    let mut tx = app.db().await.begin().await.unwrap();
    let sql = "update one_time_codes set expires_at = $1";
    match tx.raw() {
        Raw::Pg(c) => drop(sqlx::query(sql).bind(end).execute(c).await.unwrap()),
        Raw::Lite(c) => drop(sqlx::query(sql).bind(end).execute(c).await.unwrap()),
    }
    tx.commit().await.unwrap();
}

async fn a_token_from_the_future_is_not_good_yet(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let with = |nbf: i64| crate::harness::User {
        token: super::authorization::forged(&user, "nbf", json!(nbf)),
        ..user.clone()
    };
    let now = rapport_common::clock::now().timestamp();
    with(now - 60).get("/users/me").await.expect(200);
    with(now + 600).get("/users/me").await.problem(401, "unauthorized");
}
