//! What is wrong with a field is said in words for programs too, with the values of the sentence.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack},
};

both_stacks!(every_wrong_field_has_its_code_and_its_values);

#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn every_wrong_field_has_its_code_and_its_values(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let cases: [(Method, &str, Value, Value); 8] = [
        (
            Method::POST,
            "/auth/register",
            json!({"email": "nope", "username": "a", "password": "short", "name": "x"}),
            json!([
                ["email", "not_email", null, "is not a valid address"],
                [
                    "username",
                    "not_username",
                    {"min": 3, "max": 50},
                    "must be 3 to 50 letters of one script, digits, `_`, `.` or `-`"
                ],
                [
                    "name",
                    "not_one_line",
                    {"min": 2, "max": 100},
                    "must be 2 to 100 characters, without control characters"
                ],
                ["password", "too_short", {"min": 8}, "must have at least 8 characters"],
            ]),
        ),
        (
            Method::POST,
            "/auth/register",
            json!({"password": "Password123"}),
            json!([
                ["email", "this_or_other", {"other": "username"}, "or `username` must be given"],
                ["password", "common_password", null, "is one of the most common passwords: choose another"],
            ]),
        ),
        (
            Method::PATCH,
            "/settings",
            json!({"memory_settings": {"memory_importance_threshold": 2}, "chat_settings": {"max_tokens": 0, "temperature": -1}}),
            json!([
                ["memory_settings.memory_importance_threshold", "out_of_range", {"min": 0, "max": 1}, "must be from 0 to 1"],
                ["chat_settings.temperature", "out_of_range", {"min": 0, "max": 2}, "must be from 0 to 2"],
                ["chat_settings.max_tokens", "out_of_range", {"min": 1, "max": 1_000_000}, "must be from 1 to 1000000"],
            ]),
        ),
        (
            Method::POST,
            "/chat/sessions/import",
            json!({"messages": [{"role": "robot", "content": ""}]}),
            json!([
                ["messages[0].role", "not_one_of", {"values": "user, assistant"}, "must be user or assistant"],
                [
                    "messages[0].content",
                    "wrong_length",
                    {"min": 1, "max": 32_000},
                    "must be 1 to 32000 characters, without NUL"
                ],
            ]),
        ),
        // What is read wrong has them as well.
        (
            Method::POST,
            "/chat",
            json!({"mesage": "hello"}),
            json!([
                ["mesage", "unknown_field", {"meant": "message"}, "is not known: did you mean `message`?"],
                ["message", "required", null, "is required"],
            ]),
        ),
        (
            Method::POST,
            "/chat",
            json!({"message": "hello", "temperature": "hot"}),
            json!([["temperature", "not_number", null, "must be a number"]]),
        ),
        (
            Method::POST,
            "/memory",
            json!({"content": "x".repeat(2_001)}),
            json!([[
                "content",
                "too_long",
                {"max": 2_000, "length": 2_001},
                "must be at most 2000 characters, and has 2001"
            ]]),
        ),
        (
            Method::POST,
            "/chat",
            json!({"message": "hello", "provider": "mock", "model": "gpt-4o"}),
            json!([[
                "model",
                "no_model",
                {"model": "gpt-4o", "values": "mock-1"},
                "gpt-4o is not a model of the mock, which has mock-1"
            ]]),
        ),
    ];
    for (method, path, body, wanted) in cases {
        let problem = user.send(method, path, &body).await.problem(422, "validation_failed");
        let told = |error: &Value| json!([error["field"], error["code"], error["params"], error["message"]]);
        let found: Vec<Value> = problem["errors"].as_array().unwrap().iter().map(told).collect();
        assert_eq!(Value::from(found), wanted, "{path}: {problem}");
    }
    // Where there is no value, there are no `params` either.
    let problem = user.post("/chat", &json!({"message": ""})).await.problem(422, "validation_failed");
    let error = json!({"field": "message", "message": "must not be empty", "code": "empty"});
    assert_eq!(problem["errors"], json!([error]));
}
