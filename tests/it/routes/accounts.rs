use rapport_common::store::{Querier, db::Raw};
use reqwest::Method;
use serde_json::json;

use crate::{
    both_stacks,
    harness::{
        App, Stack,
        app::client,
        client::{Answer, PASSWORD},
    },
};

both_stacks!(
    an_account_from_register_to_logout,
    a_reused_refresh_token_ends_its_whole_login,
    a_login_storm_starves_nobody,
    names_that_look_alike_are_one_or_none,
    names_of_another_script_that_look_alike_are_refused,
);

async fn an_account_from_register_to_logout(stack: Stack) {
    let app = App::start(stack).await;
    let base = format!("{}/api/v1", app.url(0));
    let http = client();
    let post = async |path: &str, body: serde_json::Value| {
        Answer::of(http.post(format!("{base}{path}")).json(&body).send().await.unwrap()).await
    };
    let account =
        json!({"email": " Ann@Example.com", "username": "Ann", "password": PASSWORD, "name": "Ann Lee"});
    let made = post("/auth/register", account.clone()).await.expect(201);
    assert_eq!(made["user"]["email"], "ann@example.com");
    assert_eq!((made["token_type"].as_str(), made["user"]["role"].as_str()), (Some("bearer"), Some("user")));
    post("/auth/register", account).await.problem(409, "already_taken");
    // By email, by username, as JSON and as a form.
    for name in ["ann@example.com", "ANN", "ann"] {
        post("/auth/login", json!({"username": name, "password": PASSWORD})).await.expect(200);
        let form = [("username", name), ("password", PASSWORD), ("grant_type", "password")];
        let response = http.post(format!("{base}/auth/token")).form(&form).send().await.unwrap();
        Answer::of(response).await.expect(200);
    }
    let wrong = post("/auth/login", json!({"username": "ann", "password": "Wrong-horse-1"})).await;
    let unknown = post("/auth/login", json!({"username": "nobody", "password": PASSWORD})).await;
    let without_id = |problem: serde_json::Value| (problem["detail"].clone(), problem["code"].clone());
    let wrong = without_id(wrong.problem(401, "invalid_credentials"));
    assert_eq!(wrong, without_id(unknown.problem(401, "invalid_credentials")));

    let token = made["access_token"].as_str().unwrap();
    let get = async |path: &str, token: &str| {
        Answer::of(http.get(format!("{base}{path}")).bearer_auth(token).send().await.unwrap()).await
    };
    let me = get("/auth/me", token).await.expect(200);
    assert_eq!(me, get("/users/me", token).await.expect(200));
    assert_eq!(me["username"], "ann");
    let response = http.post(format!("{base}/auth/logout")).bearer_auth(token).send().await.unwrap();
    Answer::of(response).await.expect(200);
    let gone = get("/auth/me", token).await;
    assert_eq!(gone.headers["www-authenticate"], "Bearer");
    gone.problem(401, "unauthorized");
    let refresh = json!({"refresh_token": made["refresh_token"]});
    post("/auth/refresh", refresh).await.problem(401, "invalid_refresh_token");
}

async fn a_reused_refresh_token_ends_its_whole_login(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let refresh = async |token: &str| user.post("/auth/refresh", &json!({"refresh_token": token})).await;
    let second = refresh(&user.refresh_token).await.expect(200);
    let third = refresh(second["refresh_token"].as_str().unwrap()).await.expect(200);
    // Somebody uses the first again: it was stolen, or the thief's turn is now.
    refresh(&user.refresh_token).await.problem(401, "invalid_refresh_token");
    refresh(third["refresh_token"].as_str().unwrap()).await.problem(401, "invalid_refresh_token");
    let mut with_third = user.clone();
    with_third.token = third["access_token"].as_str().unwrap().to_owned();
    with_third.get("/auth/me").await.problem(401, "unauthorized");
    // Another login of the same account goes on.
    let login = json!({"username": user.name, "password": PASSWORD});
    let other = user.post("/auth/login", &login).await.expect(200);
    with_third.token = other["access_token"].as_str().unwrap().to_owned();
    with_third.get("/auth/me").await.expect(200);
    user.post("/auth/refresh", &json!({"refresh_token": "no such token"}))
        .await
        .problem(401, "invalid_refresh_token");
    // All of them end at once.
    with_third.send(Method::POST, "/auth/logout", &json!({"all": true})).await.expect(200);
    with_third.get("/auth/me").await.problem(401, "unauthorized");
}

async fn a_login_storm_starves_nobody(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let storm: Vec<_> = (0..40)
        .map(|n| {
            let user = user.clone();
            tokio::spawn(async move {
                // Many accounts: guesses at one are stopped before they take a core.
                let body = json!({"username": format!("{}-{n}", user.name), "password": "Wrong-horse-1"});
                user.post("/auth/login", &body).await.status
            })
        })
        .collect();
    // Others are answered while most of the storm still waits for a core.
    for _ in 0..5 {
        user.get("/auth/me").await.expect(200);
    }
    let waiting = storm.iter().filter(|login| !login.is_finished()).count();
    assert!(waiting > 0, "five small requests outlasted forty password checks");
    for login in storm {
        assert_eq!(login.await.unwrap(), 401);
    }
}

async fn names_that_look_alike_are_one_or_none(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let register = async |name: &str| {
        user.post("/auth/register", &json!({"username": name, "password": PASSWORD})).await
    };
    // One name, however it is written: composed or not, wide, in capitals.
    for (first, same) in
        [("ren\u{e9}", "rene\u{301}"), ("wide.name", "\u{ff57}\u{ff49}\u{ff44}\u{ff45}.NAME")]
    {
        let made = register(first).await.expect(201);
        register(same).await.problem(409, "already_taken");
        let login = json!({"username": same, "password": PASSWORD});
        assert!(user.post("/auth/login", &login).await.expect(200)["access_token"].is_string());
        assert!(made["user"]["id"].is_string());
    }
    // Latin with a Cyrillic a, with a Greek o.
    for mixed in ["p\u{430}yments", "c\u{3bf}py"] {
        let problem = register(mixed).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "username");
        let change = json!({"username": mixed});
        user.send(Method::PATCH, "/users/me", &change).await.problem(422, "validation_failed");
    }
    // Honest names in one script, or in Japanese, whose writing has three.
    for honest in [
        "\u{430}\u{43d}\u{43d}\u{430}-1",
        "\u{9a8}\u{9be}\u{9b9}\u{9bf}\u{9a6}.2",
        "\u{30c6}\u{30b9}\u{30c8}\u{592a}\u{90ce}",
    ] {
        register(honest).await.expect(201);
    }
}

async fn names_of_another_script_that_look_alike_are_refused(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let register = async |name: &str| {
        user.post("/auth/register", &json!({"username": name, "password": PASSWORD})).await
    };
    // All Cyrillic, all Latin; whichever comes first.
    for (first, second) in [
        ("aex", "\u{430}\u{435}\u{445}"),
        ("\u{441}\u{43e}\u{441}\u{43e}", "coco"),
        ("papa-1", "\u{440}\u{430}\u{440}\u{430}-1"),
    ] {
        register(first).await.expect(201);
        register(second).await.problem(409, "already_taken");
        let change = json!({"username": second});
        user.send(Method::PATCH, "/users/me", &change).await.problem(409, "already_taken");
    }
    // Plain names are not compared by their looks, nor are names that only sound alike.
    for plain in
        ["ann0", "anno", "modern", "rnodern", "bill", "bi11", "b1ll", "\u{430}\u{43d}\u{43d}\u{430}", "anna"]
    {
        register(plain).await.expect(201);
    }
    // Somebody may change to what looks like their own name, and gives up the old one.
    let own = register("\u{445}\u{43e}\u{440}").await.expect(201);
    let token = own["access_token"].as_str().unwrap().to_owned();
    let own = crate::harness::User { token, ..user.clone() };
    own.send(Method::PATCH, "/users/me", &json!({"username": "xop"})).await.expect(200);
    register("\u{445}\u{43e}\u{440}").await.problem(409, "already_taken");
    // A name from before looks were noted.
    register("\u{440}\u{435}\u{440}\u{435}").await.expect(201);
    let db = app.db().await;
    let mut tx = db.begin().await.unwrap();
    let sql = "update users set username_skeleton = null where username is not null";
    match tx.raw() {
        Raw::Pg(c) => drop(sqlx::query(sql).execute(c).await.unwrap()),
        Raw::Lite(c) => drop(sqlx::query(sql).execute(c).await.unwrap()),
    }
    tx.commit().await.unwrap();
    register("pepe").await.problem(409, "already_taken");
    register("\u{430}\u{435}\u{445}").await.problem(409, "already_taken");
}
