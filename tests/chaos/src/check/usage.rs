//! What is counted against what the provider really saw.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    Violation,
    database::{Reader, text},
};

fn number(row: &Value, column: &str) -> i64 {
    row[column].as_i64().or_else(|| row[column].as_f64().map(|number| number as i64)).unwrap_or(0)
}

/// Calls that reached the mocks, by their own count.
pub async fn calls(client: &reqwest::Client, ports: &[u16]) -> Result<i64, String> {
    let mut calls = 0;
    for port in ports {
        let asked = client.get(format!("http://127.0.0.1:{port}/stats")).send().await;
        let stats =
            asked.map_err(|error| error.to_string())?.text().await.map_err(|error| error.to_string())?;
        let stats: Value = serde_json::from_str(&stats).map_err(|error| error.to_string())?;
        calls += number(&stats, "requests");
    }
    Ok(calls)
}

pub async fn counted(reader: &Reader) -> Result<i64, String> {
    Ok(number(&reader.usage().await?, "requests"))
}

/// `known` is how many calls were found to be counted too many already: they are told once.
pub async fn check(reader: &Reader, calls: i64, known: &mut i64) -> Result<Vec<Violation>, String> {
    let mut found = Vec::new();
    let counted = counted(reader).await?;
    if counted - calls > *known {
        *known = counted - calls;
        found.push(Violation::new(
            "I6 usage",
            format!("{counted} calls are counted, the provider saw {calls}"),
        ));
    }
    let totals = reader.usage_by_user().await?;
    let totals: HashMap<&str, &Value> = totals.iter().map(|row| (text(row, "user_id"), row)).collect();
    for row in &reader.answered_by_user().await? {
        found.extend(of_user(row, totals.get(text(row, "user_id")).copied()));
    }
    Ok(found)
}

/// Each answer's tokens are counted with it, in one transaction. Tries besides may come on top: they show as attempts, or,
/// when an attempt asks again for itself, as calls beyond the answers.
fn of_user(answered: &Value, total: Option<&Value>) -> Option<Violation> {
    let (answers, usages) = (number(answered, "answers"), number(answered, "usages"));
    let retried = number(answered, "retried");
    let (requests, tokens) =
        total.map_or((0, 0), |total| (number(total, "requests"), number(total, "tokens")));
    let has_other_tries = retried > 0 || requests > answers;
    (tokens < usages || requests < answers - retried || !has_other_tries && tokens != usages).then(|| {
        let user = text(answered, "user_id");
        let what = format!(
            "user {user}: {answers} answers used {usages} tokens; counted are {requests} calls and {tokens} tokens, {retried} were tried again"
        );
        Violation::new("I6 usage", what)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::of_user;

    #[test]
    fn an_answer_is_counted_once_and_a_try_besides_on_top() {
        let wrong = |retried: i64, requests: i64, tokens: i64| {
            let answered = json!({"user_id": "u", "answers": 2, "usages": 70, "retried": retried});
            of_user(&answered, Some(&json!({"requests": requests, "tokens": tokens}))).is_some()
        };
        assert!(!wrong(0, 2, 70), "two answers, two calls");
        assert!(wrong(0, 2, 95), "tokens of no call");
        assert!(wrong(0, 2, 60) && wrong(0, 3, 60), "an answer is not counted");
        assert!(wrong(0, 1, 70), "a call is not counted");
        assert!(!wrong(0, 3, 95) && !wrong(1, 3, 95), "a call that was cut, and its answer by another");
    }
}
