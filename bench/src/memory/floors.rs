//! What a floor of search over past turns costs, and what it is worth: of LoCoMo's questions, the evidence among the first ten that it
//! takes away; of questions about another user's life, the share that it leaves without an answer. Chosen on the first three
//! conversations, told for the others too.

use serde_json::{Value, json};

use super::{
    Account, accounts,
    prompts::unnamed,
    quality::{File, import, recall},
};
use crate::{
    cluster::{self, Cluster},
    report::Report,
};

const MODES: [&str; 3] = ["keyword", "semantic", "hybrid"];
/// Questions of another user that each is asked.
const STRANGE: usize = 60;
const CHOSEN_ON: usize = 3;
const STEPS: u32 = 16;

/// What one question found.
struct Found {
    /// By what counts it would be shown: the most that one of the first ten bears on the question.
    bearing: f64,
    /// The share of its evidence among them; of a stranger's question there is none.
    recall: Option<f64>,
}

/// What was found, by mode.
type Half = [Vec<Found>; MODES.len()];

pub async fn run(cluster: &Cluster, file: &File, report: &mut Report) -> Result<(), String> {
    let client = cluster::client()?;
    let users = accounts(cluster, &client, file.conversations.len()).await?;
    let mut halves: [Half; 2] = Default::default();
    for (at, (conversation, user)) in file.conversations.iter().zip(&users).enumerate() {
        let settings = json!({"memory_settings": {"auto_memory_extraction": false}});
        user.call(reqwest::Method::PATCH, "/settings", &settings).await?;
        let ids = import(conversation, user).await?;
        user.until_embedded(ids.len() as u64).await?;
        let half = &mut halves[usize::from(at >= CHOSEN_ON)];
        for question in &conversation.questions {
            let Some(gold) = question.gold(&ids) else { continue };
            for (mode, found) in MODES.iter().zip(half.iter_mut()) {
                let (bearing, hits) = ask(user, mode, &question.question).await?;
                let recall = recall(&hits.iter().collect::<Vec<_>>(), 10, &gold);
                found.push(Found { bearing, recall: Some(recall) });
            }
        }
        let other = &file.conversations[(at + 1) % file.conversations.len()];
        for question in other.questions.iter().take(STRANGE) {
            for (mode, found) in MODES.iter().zip(half.iter_mut()) {
                let (bearing, _) = ask(user, mode, &unnamed(other, &question.question)).await?;
                found.push(Found { bearing, recall: None });
            }
        }
    }
    let [chosen, tried] = halves;
    for (mode, (chosen, tried)) in MODES.iter().zip(chosen.iter().zip(&tried)) {
        for step in 0..=STEPS {
            let floor = f64::from(step) * 0.05;
            let figures = format!("{} | {}", tell(chosen, floor), tell(tried, floor));
            report.text(&format!("{mode}, floor {floor:.2}: chosen on | tried on"), &figures)?;
        }
    }
    Ok(())
}

/// The best that one of the first ten bears on a question, and all ten.
async fn ask(user: &Account<'_>, mode: &str, question: &str) -> Result<(f64, Vec<Value>), String> {
    let body =
        json!({"query": question, "mode": mode, "sources": ["messages"], "limit": 10, "min_bearing": 0});
    let hits = user.post("/memory/search", &body).await?;
    let hits = hits.as_array().cloned().unwrap_or_default();
    let best = hits.iter().filter_map(|hit| hit["bearing"].as_f64()).fold(0.0, f64::max);
    Ok((best, hits))
}

fn tell(found: &[Found], floor: f64) -> String {
    let own: Vec<(f64, f64)> = found.iter().filter_map(|one| Some((one.bearing, one.recall?))).collect();
    let strange: Vec<f64> = found.iter().filter(|one| one.recall.is_none()).map(|one| one.bearing).collect();
    let kept: f64 = own.iter().filter(|(bearing, _)| *bearing >= floor).map(|(_, recall)| recall).sum();
    let all: f64 = own.iter().map(|(_, recall)| recall).sum();
    let silent = strange.iter().filter(|bearing| **bearing < floor).count();
    let share = |part: f64, of: usize| 100.0 * part / of.max(1) as f64;
    format!(
        "evidence {:.1} %, {:.1} points lost; strangers told nothing {:.1} %",
        share(kept, own.len()),
        share(all - kept, own.len()),
        share(silent as f64, strange.len())
    )
}
