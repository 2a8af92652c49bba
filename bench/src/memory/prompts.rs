//! What stands in prompts of past turns: of LoCoMo's questions, asked as chats of a new conversation, the share of each one's evidence
//! that its prompt had; and how often the prompt of a question about another user's life had any. `MEMORY__TURN_TOKENS` is the budget.

use serde_json::{Value, json};

use super::{
    Account, accounts,
    quality::{Conversation, File, import},
};
use crate::{
    cluster::{self, Cluster},
    report::Report,
};

/// Questions of another user that each is asked.
const STRANGE: usize = 40;

pub async fn run(cluster: &Cluster, file: &File, report: &mut Report) -> Result<(), String> {
    let client = cluster::client()?;
    let users = accounts(cluster, &client, file.conversations.len()).await?;
    let (mut share, mut turns, mut questions) = (0.0, 0, 0);
    let (mut strange, mut misled) = (0, 0);
    for (at, (conversation, user)) in file.conversations.iter().zip(&users).enumerate() {
        let settings =
            json!({"memory_settings": {"auto_memory_extraction": false, "allow_private_in_context": true}});
        user.call(reqwest::Method::PATCH, "/settings", &settings).await?;
        let ids = import(conversation, user).await?;
        user.until_embedded(ids.len() as u64).await?;
        for question in &conversation.questions {
            let Some(gold) = question.gold(&ids) else { continue };
            let given = given(user, &question.question).await?;
            share += gold.iter().filter(|id| given.contains(**id)).count() as f64 / gold.len() as f64;
            turns += given.len();
            questions += 1;
        }
        let other: &Conversation = &file.conversations[(at + 1) % file.conversations.len()];
        for question in other.questions.iter().take(STRANGE) {
            misled += usize::from(!given(user, &unnamed(other, &question.question)).await?.is_empty());
            strange += 1;
        }
    }
    report.number("prompts", f64::from(questions), "")?;
    report.number("evidence that stands in the prompt", 100.0 * share / f64::from(questions.max(1)), "%")?;
    report.number("past turns a prompt", turns as f64 / f64::from(questions.max(1)), "")?;
    report.number(
        "prompts with past turns, of questions about another's life",
        100.0 * misled as f64 / strange.max(1) as f64,
        "%",
    )
}

/// Without the names of whom it is about: a namesake would be no mistake.
pub(super) fn unnamed(conversation: &Conversation, question: &str) -> String {
    let without = |question: String, name: &String| question.replace(name, "somebody");
    conversation.speakers.iter().fold(question.to_owned(), without)
}

/// The past turns in the prompt of a question. The conversation goes again, so that later questions do not find this one.
async fn given(user: &Account<'_>, question: &str) -> Result<Vec<String>, String> {
    let done = user.post("/chat", &json!({"message": question})).await?;
    let text = |name: &str| done[name].as_str().unwrap_or_default();
    let events =
        user.client.get(format!("{}/jobs/{}/events", user.base, text("job_id"))).bearer_auth(&user.token);
    let events = events.send().await.map_err(|error| error.to_string())?.text().await;
    let events = events.map_err(|error| error.to_string())?;
    let told = events.split("\n\n").find(|event| event.lines().any(|line| line == "event: past_turns"));
    let told = told.and_then(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
    let told: Value = told.and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default();
    let session = text("session_id");
    user.call(reqwest::Method::DELETE, &format!("/chat/sessions/{session}"), &Value::Null).await?;
    let ids = told["turns"].as_array().into_iter().flatten();
    Ok(ids.filter_map(|turn| turn["message_id"].as_str().map(str::to_owned)).collect())
}
