//! After a theft: what a reset, a change of the password and another mail address do to what was handed out before.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::codes::{post, with_email};
use crate::{
    both_stacks,
    harness::{App, Stack, User, client::PASSWORD, eventually, mail},
};

both_stacks!(
    a_reset_takes_back_everything_that_was_handed_out,
    a_change_of_the_password_ends_all_logins_and_keeps_its_own_client,
    another_mail_address_needs_the_password_and_the_old_one_is_told,
);

/// An API key and a webhook, as a thief would leave behind.
async fn leave_behind(user: &User) -> User {
    let key = user.post("/api-keys", &json!({"name": "back door"})).await.expect(201);
    let hook = json!({"url": "https://example.com/hook", "events": ["job.succeeded"]});
    user.post("/webhooks", &hook).await.expect(201);
    User { token: key["key"].as_str().unwrap().to_owned(), ..user.clone() }
}

fn of(user: &User, tokens: &Value) -> User {
    let text = |field: &str| tokens[field].as_str().unwrap_or_else(|| panic!("{field}: {tokens}")).to_owned();
    User { token: text("access_token"), refresh_token: text("refresh_token"), ..user.clone() }
}

async fn ends(what: &str, user: &User) {
    eventually(what, Duration::from_secs(5), || async {
        (user.get("/users/me").await.status == 401).then_some(())
    })
    .await;
}

async fn left_of(user: &User) -> (usize, usize) {
    let count = |list: Value| list["items"].as_array().unwrap().len();
    (count(user.get("/api-keys").await.expect(200)), count(user.get("/webhooks").await.expect(200)))
}

async fn a_reset_takes_back_everything_that_was_handed_out(stack: Stack) {
    let app = App::start(stack).await;
    let (user, email) = with_email(&app).await;
    let thief = leave_behind(&user).await;
    post(&app, "/auth/forgot-password", &json!({"email": email})).await.expect(200);
    let token = mail::code(&mail::to(&app, &email, 1).await[0]);
    let reset = json!({"email": email, "token": token, "new_password": "Another-horse-2"});
    post(&app, "/auth/reset-password", &reset).await.expect(200);
    ends("the key is good for nothing", &thief).await;
    ends("the login is over", &user).await;
    let login = json!({"username": email, "password": "Another-horse-2"});
    let owner = of(&user, &post(&app, "/auth/login", &login).await.expect(200));
    assert_eq!(left_of(&owner).await, (0, 0));
}

async fn a_change_of_the_password_ends_all_logins_and_keeps_its_own_client(stack: Stack) {
    let app = App::start(stack).await;
    let (user, email) = with_email(&app).await;
    let login = json!({"username": email, "password": PASSWORD});
    let other = of(&user, &post(&app, "/auth/login", &login).await.expect(200));
    let key = leave_behind(&user).await;
    let change = |old: &str, new: &str| json!({"current_password": old, "new_password": new});
    let answer = user.post("/auth/change-password", &change(PASSWORD, "Another-horse-2")).await.expect(200);
    let goes_on = of(&user, &answer);
    assert_eq!(answer["token_type"], "bearer");
    // Whoever had this login's old tokens, or another login's, is out; the client that changed it has new ones.
    for old in [&user, &other] {
        ends("the old tokens end", old).await;
        let refresh = json!({"refresh_token": old.refresh_token});
        old.post("/auth/refresh", &refresh).await.problem(401, "invalid_refresh_token");
    }
    goes_on.get("/users/me").await.expect(200);
    let refresh = json!({"refresh_token": goes_on.refresh_token});
    let goes_on = of(&user, &goes_on.post("/auth/refresh", &refresh).await.expect(200));
    // Keys and webhooks stay unless one says otherwise.
    key.get("/users/me").await.expect(200);
    assert_eq!(left_of(&goes_on).await, (1, 1));
    let mut all = change("Another-horse-2", "Third-horse-3");
    all["revoke_keys_and_webhooks"] = json!(true);
    let goes_on = of(&user, &goes_on.post("/auth/change-password", &all).await.expect(200));
    ends("the key is good for nothing", &key).await;
    assert_eq!(left_of(&goes_on).await, (0, 0));
}

async fn another_mail_address_needs_the_password_and_the_old_one_is_told(stack: Stack) {
    let app = App::start(stack).await;
    let (user, old) = with_email(&app).await;
    post(&app, "/auth/request-otp", &json!({"email": old})).await.expect(200);
    let otp = mail::code(&mail::to(&app, &old, 1).await[0]);
    post(&app, "/auth/verify-otp", &json!({"email": old, "otp": otp})).await.expect(200);
    let new = format!("new-{old}");
    let patch = async |body: &Value| user.send(Method::PATCH, "/users/me", body).await;
    let missing = patch(&json!({"email": new})).await.problem(422, "validation_failed");
    assert_eq!(missing["errors"][0]["field"], "password");
    patch(&json!({"email": new, "password": "Wrong-horse-1"})).await.problem(403, "wrong_password");
    let me = user.get("/users/me").await.expect(200);
    assert_eq!((me["email"].as_str(), me["is_verified"].as_bool()), (Some(old.as_str()), Some(true)));
    // The rest needs none, and neither does the address one has.
    patch(&json!({"name": "Ann Lee", "email": old.to_uppercase()})).await.expect(200);
    let changed = patch(&json!({"email": new, "password": PASSWORD})).await.expect(200);
    assert_eq!(
        (changed["email"].as_str(), changed["is_verified"].as_bool()),
        (Some(new.as_str()), Some(false))
    );
    let told = &mail::to(&app, &old, 2).await[1];
    assert!(told.contains("address of your account") && !told.contains(&new), "{told}");
    // The old address stands nowhere any more, and the thief cannot stop the mail: it is nobody's job.
    let stored = crate::harness::dump::everything(&app.db().await).await;
    assert!(!stored.contains(&format!("\"{old}\"")) && !stored.contains(&format!("'{old}'")));
    let jobs = user.get("/jobs?kind=mail").await.expect(200);
    assert_eq!(jobs["items"], json!([]));
}
