use std::time::Duration;

use rapport_common::{clock, domain::ids::JobId, store};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::app::{App, travel};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn an_access_token_ends_after_half_an_hour_and_a_refresh_token_after_thirty_days() {
    let app = App::start(&[]).await;
    let account = app.account().await;
    let token = account["access_token"].as_str().unwrap();
    travel(29 * MINUTE).await;
    assert_eq!(app.get("/auth/me", token).await.0, StatusCode::OK);
    travel(2 * MINUTE).await;
    assert_eq!(app.get("/auth/me", token).await.0, StatusCode::UNAUTHORIZED);
    travel(29 * DAY).await;
    let refresh = json!({"refresh_token": account["refresh_token"]});
    let (status, renewed) = app.post("/auth/refresh", "", refresh).await;
    assert_eq!(status, StatusCode::OK, "{renewed}");
    assert_eq!(app.get("/auth/me", renewed["access_token"].as_str().unwrap()).await.0, StatusCode::OK);
    travel(31 * DAY).await;
    let refresh = json!({"refresh_token": renewed["refresh_token"]});
    assert_eq!(app.post("/auth/refresh", "", refresh).await.0, StatusCode::UNAUTHORIZED);
    app.finish(&[]).await;
}

#[tokio::test]
async fn a_key_ends_when_it_was_said_to() {
    let app = App::start(&[]).await;
    let token = app.token().await;
    let body = json!({"name": "a script", "expires_at": (clock::now() + HOUR).to_rfc3339()});
    let (status, key) = app.post("/api-keys", &token, body).await;
    assert_eq!(status, StatusCode::CREATED, "{key}");
    let key = key["key"].as_str().unwrap();
    travel(59 * MINUTE).await;
    assert_eq!(app.get("/chat/sessions", key).await.0, StatusCode::OK);
    travel(2 * MINUTE).await;
    assert_eq!(app.get("/chat/sessions", key).await.0, StatusCode::UNAUTHORIZED);
    app.finish(&[]).await;
}

#[tokio::test]
async fn a_clients_code_ends_after_a_minute_and_its_tokens_as_others_do() {
    // The pair of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const REDIRECT: &str = "http://127.0.0.1/callback";
    let app = App::start(&[("ACCESS_TOKEN_EXPIRE_MINUTES", "30")]).await;
    let token = app.token().await;
    let (_, client) = app.post("/register", "", json!({"redirect_uris": [REDIRECT]})).await;
    let client = &client["client_id"];
    let asked = json!({"client_id": client, "redirect_uri": REDIRECT, "response_type": "code", "code_challenge": CHALLENGE,
                       "code_challenge_method": "S256"});
    let code = async || {
        let (status, let_in) = app.post("/oauth/authorization", &token, asked.clone()).await;
        assert_eq!(status, StatusCode::OK, "{let_in}");
        let go_to = reqwest::Url::parse(let_in["go_to"].as_str().unwrap()).unwrap();
        let (_, code) = go_to.query_pairs().find(|(name, _)| name == "code").unwrap();
        json!({"grant_type": "authorization_code", "client_id": client, "redirect_uri": REDIRECT, "code": code,
               "code_verifier": VERIFIER})
    };
    let late = code().await;
    travel(MINUTE).await;
    let (status, refused) = app.post("/token", "", late).await;
    assert_eq!((status, refused["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_grant")));
    let good = code().await;
    travel(MINUTE - Duration::from_secs(1)).await;
    let (status, first) = app.post("/token", "", good).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    // The one that never came is not kept; a client that does not come back is seen to have ended.
    let (_, keys) = app.get("/api-keys", &token).await;
    assert_eq!(keys["items"].as_array().unwrap().len(), 1, "{keys}");
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let mcp = async |tokens: &serde_json::Value| {
        app.post("/mcp", tokens["access_token"].as_str().unwrap(), ping.clone()).await.0
    };
    travel(29 * MINUTE).await;
    assert_eq!(mcp(&first).await, StatusCode::OK);
    travel(2 * MINUTE).await;
    assert_eq!(mcp(&first).await, StatusCode::UNAUTHORIZED);
    let refresh = |tokens: &serde_json::Value| json!({"grant_type": "refresh_token", "client_id": client, "refresh_token": tokens["refresh_token"]});
    travel(29 * DAY).await;
    let (status, next) = app.post("/token", "", refresh(&first)).await;
    assert_eq!((status, mcp(&next).await), (StatusCode::OK, StatusCode::OK), "{next}");
    travel(31 * DAY).await;
    assert_eq!(app.post("/token", "", refresh(&next)).await.0, StatusCode::BAD_REQUEST);
    app.finish(&[]).await;
}

#[tokio::test]
async fn a_spent_budget_is_there_again_the_next_day() {
    let app = App::start(&[("QUOTA__DAILY_TOKENS", "5000"), ("ACCESS_TOKEN_EXPIRE_MINUTES", "10000")]).await;
    let token = app.token().await;
    let say = json!({"message": "/tokens 900"});
    let mut status = StatusCode::OK;
    for _ in 0..10 {
        (status, _) = app.post("/chat", &token, say.clone()).await;
        if status != StatusCode::OK {
            break;
        }
    }
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    travel(DAY).await;
    let second = app.submit(&token, "/echo again").await;
    app.job_is(&token, &second["id"], &["succeeded"]).await;
    app.finish(&[]).await;
}

#[tokio::test]
async fn a_job_of_a_worker_that_went_silent_is_taken_back_when_its_lease_has_ended() {
    let mut app = App::without_workers(&[]).await;
    let token = app.token().await;
    let job = app.submit(&token, "/echo taken back").await;
    let id: JobId = job["id"].as_str().unwrap().parse().unwrap();
    let lease = chrono::TimeDelta::from_std(app.ctx.settings.queue.lease).unwrap();
    let mut conn = app.ctx.db.relaxed().await.unwrap();
    let claimed =
        store::ledger::claim(&mut conn, id, "a worker that hangs", lease, clock::now()).await.unwrap();
    assert!(claimed.is_some());
    drop(conn);
    app.add_workers();
    travel(Duration::from_secs(10)).await;
    assert_eq!(app.get(&format!("/jobs/{id}"), &token).await.1["status"], "running", "its lease holds");
    travel(Duration::from_secs(6)).await;
    // A job that may have ended a process is run in one of its own, and a test has no program to start.
    let job = app.job_is(&token, &job["id"], &["queued"]).await;
    assert_eq!(job["crashes"], 1, "{job}");
    app.finish(&[&job["id"]]).await;
}

#[tokio::test]
async fn a_failed_attempt_is_made_again_after_a_pause() {
    let app = App::start(&[]).await;
    let token = app.token().await;
    let job = app.submit(&token, "/fail 500 x1 /echo at last").await;
    // It waits before its first attempt, too.
    app.job_when(&token, &job["id"], |job| job["status"] == "queued" && job["attempt"] == 1).await;
    travel(MINUTE).await;
    let job = app.job_is(&token, &job["id"], &["succeeded", "failed"]).await;
    assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{job}");
    app.finish(&[]).await;
}

#[tokio::test]
async fn a_request_may_be_sent_again_for_a_day_with_its_key() {
    let app = App::start(&[("ACCESS_TOKEN_EXPIRE_MINUTES", "10000")]).await;
    let token = app.token().await;
    let headers = [("idempotency-key", "once"), ("prefer", "respond-async")];
    let send = async || {
        let body = json!({"message": "/echo once"});
        let (status, job) = app.request_with(Method::POST, "/chat", &token, Some(body), &headers).await;
        // Of a chat that is finished, the answer itself.
        job[if status == StatusCode::OK { "job_id" } else { "id" }].clone()
    };
    let first = send().await;
    app.job_is(&token, &first, &["succeeded"]).await;
    travel(23 * HOUR).await;
    assert_eq!(send().await, first);
    travel(2 * HOUR).await;
    let later = send().await;
    assert_ne!(later, first);
    app.job_is(&token, &later, &["succeeded"]).await;
    app.finish(&[]).await;
}

#[tokio::test]
async fn what_a_request_of_v1_left_goes_after_a_day_and_a_stored_response_stays() {
    let app = App::start(&[("ACCESS_TOKEN_EXPIRE_MINUTES", "10000")]).await;
    let token = app.token().await;
    let ask = json!({"model": "mock", "messages": [{"role": "user", "content": "/echo passing"}]});
    let (status, answer) = app.post("/v1/chat/completions", &token, ask).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let passing = format!("/jobs/{}", answer["rapport"]["job_ids"][0].as_str().unwrap());
    let kept = app.post("/v1/responses", &token, json!({"model": "mock", "input": "/echo kept"})).await.1;
    travel(23 * HOUR).await;
    // A sweep each few seconds; it looks for what is over in one of ten.
    for _ in 0..15 {
        travel(Duration::from_secs(3)).await;
        assert_eq!(app.get(&passing, &token).await.0, StatusCode::OK);
    }
    travel(2 * HOUR).await;
    // How many sweeps fit into a journey depends on the machine: it goes on until the request is gone.
    let mut journeys = 0;
    while app.get(&passing, &token).await.0 == StatusCode::OK {
        journeys += 1;
        assert!(journeys < 600, "half an hour after its day it is still there");
        travel(Duration::from_secs(3)).await;
    }
    assert_eq!(app.get(&passing, &token).await.0, StatusCode::NOT_FOUND);
    let path = format!("/v1/responses/{}", kept["id"].as_str().unwrap());
    assert_eq!(app.get(&path, &token).await.1["status"], "completed");
    app.finish(&[]).await;
}

#[tokio::test]
#[should_panic(expected = "looks for open jobs")]
async fn a_test_that_does_not_look_for_open_jobs_fails() {
    drop(App::without_workers(&[]).await);
}
