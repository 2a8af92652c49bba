//! Every route that takes an id, from the OpenAPI description: as nobody 401, as another user 404, as nonsense 404.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack, client::Answer},
};

both_stacks!(no_route_gives_or_changes_what_is_anothers);

fn is_of_session_or_job(path: &str) -> bool {
    path.contains("/chat/sessions/{id}") || path.contains("/jobs/{id}")
}

async fn no_route_gives_or_changes_what_is_anothers(stack: Stack) {
    let app = App::start(stack).await;
    let owner = app.user().await;
    let other = app.user().await;
    let answer = owner.chat("/echo mine").await;
    let (session, job) = (answer["session_id"].as_str().unwrap(), answer["job_id"].as_str().unwrap());
    let before = owner.messages(session).await;
    let description: Value =
        owner.http.get(format!("{}/openapi.json", app.url(0))).send().await.unwrap().json().await.unwrap();
    let mut checked = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let public =
                operation["security"].as_array().is_some_and(|all| all.iter().all(|one| one == &json!({})));
            let fill = |id: &str| format!("{}{}", app.url(0), path.replace("{id}", id));
            let body = if path.ends_with("/files") { json!({"file_ids": []}) } else { json!({"title": "x"}) };
            let request = |url: String| owner.http.request(method.clone(), url).json(&body);
            if !public {
                let answer = Answer::of(request(fill("sess_x")).send().await.unwrap()).await;
                assert_eq!(answer.status, 401, "{method} {path} as nobody: {}", answer.body);
            }
            // All other ids are in the authorization matrix.
            if !is_of_session_or_job(path) {
                continue;
            }
            let theirs = if path.contains("/sessions/") { session } else { job };
            for id in [
                theirs,
                "sess_",
                "job_06gzqtmcpsrcddge92jzncy0dcx",
                "..%2f",
                "%00",
                "msg_06gzqtmcpsrcddge92m6mjfnjc",
            ] {
                let answer =
                    Answer::of(request(fill(id)).bearer_auth(&other.token).send().await.unwrap()).await;
                assert_eq!(answer.status, 404, "{method} {path} with {id}: {}", answer.body);
            }
            checked += 1;
        }
    }
    let all = description["paths"].as_object().unwrap().iter().filter(|(path, _)| is_of_session_or_job(path));
    assert_eq!(checked, all.map(|(_, item)| item.as_object().unwrap().len()).sum::<usize>());
    assert!(checked > 0);
    other.post("/chat", &json!({"message": "x", "session_id": session})).await.problem(404, "not_found");
    other.get(&format!("/chat/history?session_id={session}")).await.problem(404, "not_found");
    assert_eq!(owner.messages(session).await, before);
    assert_eq!(other.get("/chat/sessions?status=all").await.expect(200)["total"], 0);
    assert_eq!(other.get("/jobs").await.expect(200)["items"], json!([]));
}
