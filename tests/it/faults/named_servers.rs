//! A worker that dies in the middle of an answer for which it called an MCP server: what it called is not called again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        App, Stack, User, dump, eventually,
        servers::{folder, unique},
    },
    routes::tools::mcp_over_http,
};

both_stacks!(a_call_of_a_named_server_is_made_once);

async fn a_call_of_a_named_server_is_made_once(stack: Stack) {
    let folder = folder().join(unique("mcp"));
    std::fs::create_dir_all(&folder).unwrap();
    let (server, url) = mcp_over_http(&folder);
    let mut app = App::builder(stack).env("TOOLS__HOSTS", r#"["127.0.0.1"]"#).start().await;
    let user = app.user().await;
    let v1 = User { base: user.base.replace("/api/v1", "/v1"), ..user.clone() };
    let tool = json!({"type": "mcp", "server_label": "calc", "server_url": url, "require_approval": "never"});
    let ask = async |input: &str| {
        let body = json!({"model": "mock", "input": input, "background": true, "tools": [tool]});
        let made = v1.post("/responses", &body).await.expect(200);
        made["id"].as_str().unwrap().to_owned()
    };
    // One is told what its call gave, and answers slowly; the other waits for what its call gives.
    let words: String = (1..=80).map(|n| format!(" w{n}")).collect();
    let told =
        ask(&format!(r#"/tool calc__append {{"text":"told"}} /delay 100 /echo {}"#, words.trim())).await;
    let cut_off = ask(r#"/tool calc__append {"text":"cut","seconds":30}"#).await;
    let written = || std::fs::read_to_string(folder.join("http.txt")).unwrap_or_default();
    let db = app.db().await;
    eventually("both were called, and one has ended", Duration::from_secs(60), || async {
        let mut conn = db.read().await.unwrap();
        let ended = dump::count(&mut conn, "select count(*) from tool_calls where ok").await;
        (ended == 1 && written().contains("cut")).then_some(())
    })
    .await;
    app.kill_runner();
    app.start_runner();
    let ended = async |id: &str| -> Value {
        user.finished(&id.replace("resp_", "job_"), Duration::from_secs(90)).await;
        v1.get(&format!("/responses/{id}")).await.expect(200)
    };
    let (told, cut_off) = (ended(&told).await, ended(&cut_off).await);
    let kinds = |response: &Value| -> Vec<Value> {
        response["output"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect()
    };
    assert_eq!(kinds(&told), ["mcp_list_tools", "mcp_call", "message"], "{told}");
    assert_eq!(
        (&told["output"][1]["status"], &told["output"][1]["output"]),
        (&json!("completed"), &json!("written"))
    );
    assert!(told["output"][2]["content"][0]["text"].as_str().unwrap().ends_with("w80"));
    assert_eq!(kinds(&cut_off), ["mcp_list_tools", "mcp_call", "message"], "{cut_off}");
    let error = cut_off["output"][1]["error"]["content"][0]["text"].as_str().unwrap();
    assert!(error.contains("outcome unknown"), "{cut_off}");
    let written = written();
    let mut lines: Vec<&str> = written.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["cut", "told"], "each was called once");
    // Who reads the stream now sees both attempts: the call once, and every number.
    let id = told["id"].as_str().unwrap();
    let path = format!("/responses/{id}?stream=true");
    let stream = v1.request(reqwest::Method::GET, &path).send().await.unwrap().text().await.unwrap();
    let events: Vec<Value> =
        stream.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{stream}");
    }
    let ends = events.iter().filter(|event| event["type"] == "response.mcp_call.completed").count();
    assert_eq!(ends, 1, "{stream}");
    let items = events.iter().filter(|event| event["type"] == "response.output_item.done");
    let items: Vec<&Value> = items.map(|event| &event["item"]).collect();
    assert_eq!(items, told["output"].as_array().unwrap().iter().collect::<Vec<_>>(), "{stream}");
    drop(server);
}
