//! Tools over HTTP: those of configuration, those of a project, those of an OpenAPI document; and servers that mean harm.

mod described;
mod hostile;

use serde_json::{Value, json};

use crate::harness::{
    App, Stack, User,
    client::Answer,
    replay::{Replay, Reply, Seen},
    servers,
};

fn answer(seen: &Seen, _: usize) -> Reply {
    let path = seen.line.split(' ').nth(1).unwrap().split('?').next().unwrap().to_owned();
    let redirect = |to: &str| Reply::new(302, "text/plain", "").header("location", to);
    match path.as_str() {
        // It repeats what its owner sends along, in a way that no comparison of texts would find.
        "/orders/A%2F7" => {
            Reply::json(200, r#"{"state": "shipped", "asked": "Bearer \u0063anary-of-the-owner"}"#)
        }
        "/notes" | "/pets" | "/stock" => Reply::json(201, json!({"noted": seen.json(), "at": seen.line})),
        "/text" => Reply::new(200, "text/plain; charset=utf-8", "forty-two"),
        "/nothing" => Reply::new(204, "text/plain", ""),
        "/here" => redirect("/stock"),
        "/inside" => redirect("http://10.0.0.1/latest/meta-data"),
        "/elsewhere" => redirect("http://localhost:9/"),
        "/round" => redirect("/round"),
        "/html" => Reply::new(200, "text/html", "<html>no</html>"),
        "/broken" => Reply::new(200, "application/json", "{\"half\": "),
        "/bytes" => Reply::new(200, "text/plain", vec![0xff, 0xfe, 0x00]),
        "/fails" => Reply::new(500, "text/plain", format!("the cellar is flooded {}", "x".repeat(5_000))),
        "/slow" | "/hangs" => Reply { hangs_before: true, ..Reply::json(200, "{}") },
        "/endless" => {
            Reply { hangs_after: true, ..Reply::new(200, "application/json", "[".repeat(300 * 1_024)) }
        }
        "/cut" => Reply { breaks_off: true, ..Reply::json(200, "{\"a\":1}") },
        _ => Reply::json(404, json!({"error": "no such order"})),
    }
}

struct Desk {
    user: User,
    project: String,
}

impl Desk {
    async fn new(user: &User) -> Self {
        let project = user.post("/projects", &json!({"name": "Desk"})).await.expect(201);
        Self { user: user.clone(), project: project["id"].as_str().unwrap().to_owned() }
    }

    fn tools(&self) -> String {
        format!("/projects/{}/tools", self.project)
    }

    async fn describe(&self, body: Value) -> Answer {
        self.user.post(&self.tools(), &body).await
    }

    async fn say(&self, message: &str) -> Value {
        let body = json!({"message": message, "project_id": self.project});
        self.user.post("/chat", &body).await.expect(200)
    }

    async fn offered(&self) -> Vec<String> {
        names(&self.user.get(&format!("/tools?project_id={}", self.project)).await.expect(200)["tools"])
    }
}

fn names(tools: &Value) -> Vec<String> {
    tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn number(kind: &str) -> Value {
    json!({"type": "object", "properties": {"number": {"type": kind}}, "required": ["number"]})
}

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// An app whose operator describes a tool and gives a document, and lets projects reach the test's server.
async fn app_with(stack: Stack, server: &Replay) -> App {
    let folder = servers::folder().join(servers::unique("openapi"));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("pets.json");
    let document = json!({"openapi": "3.1.0", "servers": [{"url": server.url}], "paths": {"/pets": {
        "post": {"operationId": "add_pet", "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}},
        "get": {"operationId": "list_pets"}, "put": {"operationId": "unwanted"}}}});
    std::fs::write(&file, document.to_string()).unwrap();
    let configured = json!([
        {"name": "stock", "description": "What is there.", "url": format!("{}/stock", server.url), "method": "GET",
         "parameters": number("integer"), "headers": {"X-Api-Key": "canary-of-the-operator"}, "secret": SECRET},
        {"openapi": file, "operations": ["add_pet", "list_pets"]},
    ]);
    App::builder(stack)
        .env("TOOLS__HTTP", configured)
        .env("EGRESS__ALLOW", r#"["127.0.0.1"]"#)
        .env("TOOLS__HOSTS", r#"["127.0.0.1"]"#)
        .start()
        .await
}
