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
        let (answers, usages) = (number(row, "answers"), number(row, "usages"));
        let total = totals.get(text(row, "user_id")).map_or(0, |total| number(total, "tokens"));
        // Each answer's tokens are counted with it, in one transaction; tries besides may come on top.
        if total < usages || number(row, "retried") == 0 && total != usages {
            let what = format!(
                "user {}: {answers} answers used {usages} tokens, counted are {total}, {} were tried again",
                text(row, "user_id"),
                number(row, "retried")
            );
            found.push(Violation::new("I6 usage", what));
        }
    }
    Ok(found)
}
