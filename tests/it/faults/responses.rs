//! A response in the background, while an official client reads its stream and everybody is killed.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::worker_dies::one;
use crate::{
    both_stacks,
    harness::{App, Stack, User, client::Answer, eventually, python},
};

both_stacks!(a_response_survives_kill_9_of_everybody_and_its_reader_sees_every_number_once);

async fn a_response_survives_kill_9_of_everybody_and_its_reader_sees_every_number_once(stack: Stack) {
    let mut app = App::builder(stack).workers(2).start().await;
    let user = app.user().await;
    let text: String = (1..=80).map(|n| format!("w{n} ")).collect::<String>().trim().to_owned();
    // Longer than the reader takes to start, also on a machine that is busy.
    let body = json!({"model": "mock", "input": format!("/delay 150 /echo {text}"), "background": true});
    let at = User { base: format!("{}/v1", app.url(0)), ..user.clone() };
    let made = at.post("/responses", &body).await.expect(200);
    let id = made["id"].as_str().unwrap().to_owned();
    let job = id.replace("resp_", "job_");

    let mut reader = Command::new(python::tool("python"));
    reader.arg(python::script("openai_responses.py")).args(["follow", &id, "12", "90"]);
    reader.env("OPENAI_BASE_URL", &at.base).env("OPENAI_API_KEY", &user.token);
    let mut reader = reader.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut said = BufReader::new(reader.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "seen", "it reads");

    // First whoever answers; then, while another answers anew, whoever serves the stream.
    match stack {
        Stack::Embedded => {
            app.kill_runner();
            app.start_runner();
        }
        Stack::Production => {
            let db = app.db().await;
            let sql = "select worker from jobs where status = 'running' and kind = 'chat'";
            let (worker,): (String,) = one(&db, sql).await;
            let pid: u32 = worker.rsplit('-').nth(1).unwrap().parse().unwrap();
            let index = app.workers.iter().position(|worker| worker.pid() == pid).unwrap();
            app.workers[index].kill();
        }
    }
    eventually("another attempt runs", Duration::from_secs(30), || async {
        let found =
            Answer::of(user.request(reqwest::Method::GET, &format!("/jobs/{job}")).send().await.ok()?);
        (found.await.body["attempt"] == 2).then_some(())
    })
    .await;
    if stack == Stack::Production {
        app.restart_api(0);
    }

    let last = tokio::task::spawn_blocking(move || said.next().unwrap().unwrap()).await.unwrap();
    assert!(reader.wait().unwrap().success());
    let seen: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(seen["text"], text.as_str());
    let kept = at.get(&format!("/responses/{id}")).await.expect(200);
    assert_eq!(
        (kept["status"].as_str(), &kept["output"][0]["content"][0]["text"]),
        (Some("completed"), &seen["text"])
    );
    assert_eq!(kept["output"].as_array().unwrap().len(), 1, "one answer");
    let jobs = user.get("/jobs?kind=chat").await.expect(200);
    assert_eq!(jobs["items"].as_array().unwrap().len(), 1, "{jobs}");
}
