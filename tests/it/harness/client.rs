//! A user with an account, as a client sees the service.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{eventually, servers::unique, sse::Events};

#[derive(Clone)]
pub struct User {
    pub http: Client,
    /// `http://host:port/api/v1`
    pub base: String,
    pub name: String,
    pub token: String,
    pub refresh_token: String,
}

pub const PASSWORD: &str = "Correct-horse-1";

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { status, headers, body }
    }

    /// Asserts the status and gives the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Asserts a problem with this status and code, in the contract's form.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        for field in ["type", "title", "detail", "request_id"] {
            assert!(self.body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {}", self.body);
        }
        self.body
    }
}

impl User {
    pub async fn register(http: Client, url: &str) -> Self {
        let name = unique("user");
        let base = format!("{url}/api/v1");
        let body = json!({"username": name, "password": PASSWORD});
        let response = http.post(format!("{base}/auth/register")).json(&body).send().await.unwrap();
        let tokens = Answer::of(response).await.expect(201);
        let text = |field: &str| tokens[field].as_str().unwrap().to_owned();
        Self { http, base, name, token: text("access_token"), refresh_token: text("refresh_token") }
    }

    /// The same user at another API.
    pub fn at(&self, url: &str) -> Self {
        Self { base: format!("{url}/api/v1"), ..self.clone() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(method, path).json(body).send().await.unwrap()).await
    }

    pub async fn chat(&self, message: &str) -> Value {
        self.post("/chat", &json!({"message": message})).await.expect(200)
    }

    pub async fn chat_in(&self, session: &str, message: &str) -> Value {
        self.post("/chat", &json!({"message": message, "session_id": session})).await.expect(200)
    }

    /// Sends a message without waiting for its answer; gives the job, or `None` when the service did not accept it.
    pub async fn try_submit(&self, body: &Value) -> Option<Value> {
        let request = self.request(Method::POST, "/chat").header("prefer", "respond-async").json(body);
        let answer = Answer::of(request.send().await.ok()?).await;
        match answer.status {
            202 => Some(answer.body),
            // Done before we looked.
            200 => Some(json!({"id": answer.body["job_id"], "session_id": answer.body["session_id"]})),
            _ => None,
        }
    }

    pub async fn submit(&self, message: &str) -> Value {
        self.try_submit(&json!({"message": message})).await.expect("accepted")
    }

    pub async fn new_session(&self) -> String {
        let session = self.post("/chat/sessions", &json!({})).await.expect(201);
        session["id"].as_str().unwrap().to_owned()
    }

    pub async fn job(&self, id: &str) -> Value {
        self.get(&format!("/jobs/{id}")).await.expect(200)
    }

    pub async fn until_running(&self, id: &str) {
        eventually(&format!("{id} runs"), Duration::from_secs(10), || async {
            (self.job(id).await["status"] == "running").then_some(())
        })
        .await;
    }

    /// Waits until a job is final; asks again when an API is down.
    pub async fn finished(&self, id: &str, within: Duration) -> Value {
        eventually(&format!("{id} ends"), within, || async {
            let response = self.request(Method::GET, &format!("/jobs/{id}")).send().await.ok()?;
            let job: Value = response.json().await.ok()?;
            ["succeeded", "failed", "cancelled"].contains(&job["status"].as_str()?).then_some(job)
        })
        .await
    }

    /// All of a session, page by page.
    pub async fn messages(&self, session: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/chat/sessions/{session}/messages?limit=200{cursor}");
            let page = self.get(&path).await.expect(200);
            all.extend(page["messages"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    pub async fn stream(&self, body: &Value) -> Events {
        let response = self.request(Method::POST, "/chat/stream").json(body).send().await.unwrap();
        Events::of(response)
    }

    pub async fn events(&self, job: &str, after: Option<&str>) -> Events {
        let mut request = self.request(Method::GET, &format!("/jobs/{job}/events"));
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        Events::of(request.send().await.unwrap())
    }
}
