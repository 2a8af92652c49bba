//! Evidence recall on LoCoMo: a conversation is a user, its sessions are imported as sessions, its questions are asked of
//! `/memory/search` over messages. The share of each question's evidence among the first k, mean over questions.

use std::{collections::HashMap, path::Path};

use chrono::{NaiveDateTime, TimeDelta};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Account, accounts};
use crate::{
    cluster::{self, Cluster},
    report::Report,
};

#[derive(Deserialize)]
pub(super) struct File {
    pub conversations: Vec<Conversation>,
}

#[derive(Deserialize)]
pub(super) struct Conversation {
    pub speakers: Vec<String>,
    sessions: Vec<Session>,
    pub questions: Vec<Question>,
}

#[derive(Deserialize)]
pub(super) struct Session {
    n: i64,
    time: String,
    turns: Vec<Turn>,
}

#[derive(Deserialize)]
pub(super) struct Turn {
    id: String,
    speaker: String,
    text: String,
}

#[derive(Deserialize)]
pub(super) struct Question {
    pub question: String,
    category: String,
    evidence: Vec<String>,
    /// When it is asked, if not now.
    as_of: Option<String>,
}

impl Question {
    /// The messages that answer it, of those that turns became. None: it cannot be asked.
    pub fn gold<'a>(&self, ids: &'a HashMap<String, String>) -> Option<Vec<&'a String>> {
        let gold: Vec<&String> = self.evidence.iter().filter_map(|turn| ids.get(turn)).collect();
        (!gold.is_empty()).then_some(gold)
    }
}

const MODES: [&str; 3] = ["keyword", "semantic", "hybrid"];
const KS: [usize; 4] = [1, 5, 10, 20];
/// What a turn's relevance is made of, as `explain` says it. The order is that of all but one of them among the first hundred, so
/// what only that one brought so far is not missed.
const PARTS: [&str; 10] =
    ["words", "passage", "meaning", "nearby", "date", "time", "speaker", "length", "asks", "first_person"];

/// Recall by (mode, k), and at 10 by category for hybrid.
#[derive(Default)]
struct Sums {
    recall: HashMap<(&'static str, usize), f64>,
    category: HashMap<String, (f64, usize)>,
    /// At 1 and at 10, without a part.
    without: HashMap<(&'static str, &'static str), (f64, f64)>,
    questions: usize,
    parts: bool,
}

pub fn read(path: &Path) -> Result<File, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// `gates`: fails if the recall is too low. `parts`: also what the recall would be without each part of the sum.
pub async fn run(
    cluster: &Cluster,
    file: &File,
    (parts, gates): (bool, bool),
    report: &mut Report,
) -> Result<(), String> {
    let client = cluster::client()?;
    let users = accounts(cluster, &client, file.conversations.len()).await?;
    let mut sums = Sums { parts, ..Sums::default() };
    for (conversation, user) in file.conversations.iter().zip(&users) {
        ask_all(conversation, user, &mut sums).await?;
    }
    let of = |sum: f64| sum / sums.questions.max(1) as f64;
    report.number("questions", sums.questions as f64, "")?;
    for mode in MODES {
        for k in KS {
            let recall = sums.recall.get(&(mode, k)).copied().unwrap_or(0.0);
            report.number(&format!("{mode}: evidence recall@{k}"), 100.0 * of(recall), "%")?;
        }
    }
    for mode in MODES.iter().filter(|_| parts) {
        for part in PARTS {
            let (first, ten) = sums.without.get(&(mode, part)).copied().unwrap_or_default();
            report.number(&format!("{mode} without {part}: evidence recall@1"), 100.0 * of(first), "%")?;
            report.number(&format!("{mode} without {part}: evidence recall@10"), 100.0 * of(ten), "%")?;
        }
    }
    let mut categories: Vec<_> = sums.category.into_iter().collect();
    categories.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, (sum, count)) in categories {
        report.number(&format!("{name} (n={count})"), 100.0 * sum / count.max(1) as f64, "%")?;
    }
    let ten = |mode: &'static str| 100.0 * of(sums.recall.get(&(mode, 10)).copied().unwrap_or(0.0));
    if gates { keep(ten("keyword"), ten("hybrid")) } else { Ok(()) }
}

/// What search over past turns must not fall below: recall@10 in per cent. The built-in vectors know words only.
const WORDS: f64 = 83.0;
const BOTH: f64 = 87.0;

fn keep(words: f64, both: f64) -> Result<(), String> {
    let has_model = ["EMBEDDING__MODEL_DIR", "AI_SERVICES__EMBEDDING_BASE_URL"];
    let least = if has_model.iter().any(|name| std::env::var_os(name).is_some()) { BOTH } else { WORDS };
    if words < WORDS || both < least {
        return Err(format!(
            "recall@10 is {words:.1} % by words and {both:.1} % by both: it must be {WORDS} and {least} %"
        ));
    }
    Ok(())
}

pub(super) async fn import(
    conversation: &Conversation,
    user: &Account<'_>,
) -> Result<HashMap<String, String>, String> {
    let mut ids = HashMap::new();
    for session in &conversation.sessions {
        let began = NaiveDateTime::parse_from_str(&session.time, "%I:%M %p on %d %B, %Y")
            .map_err(|error| format!("{}: {error}", session.time))?
            .and_utc();
        let first = conversation.speakers.first();
        let messages: Vec<Value> = session
            .turns
            .iter()
            .enumerate()
            .map(|(index, turn)| {
                let role = if Some(&turn.speaker) == first { "user" } else { "assistant" };
                let at = began + TimeDelta::seconds(20 * index as i64);
                // A model has no name, and its user needs none.
                let name = Some(&turn.speaker).filter(|name| !matches!(name.as_str(), "user" | "assistant"));
                json!({"role": role, "name": name, "content": turn.text, "created_at": at.to_rfc3339()})
            })
            .collect();
        let body = json!({"title": format!("Session {}", session.n), "messages": messages});
        let imported = user.post("/chat/sessions/import", &body).await?;
        for (turn, id) in session.turns.iter().zip(imported["message_ids"].as_array().into_iter().flatten()) {
            ids.insert(turn.id.clone(), id.as_str().unwrap_or_default().to_owned());
        }
    }
    Ok(ids)
}

async fn ask_all(conversation: &Conversation, user: &Account<'_>, sums: &mut Sums) -> Result<(), String> {
    let settings = json!({"memory_settings": {"auto_memory_extraction": false}});
    user.call(reqwest::Method::PATCH, "/settings", &settings).await?;
    let ids = import(conversation, user).await?;
    user.until_embedded(ids.len() as u64).await?;
    for question in &conversation.questions {
        let Some(gold) = question.gold(&ids) else { continue };
        sums.questions += 1;
        for mode in MODES {
            let limit = if sums.parts { 100 } else { 20 };
            let body = json!({"query": question.question, "mode": mode, "sources": ["messages"], "limit": limit, "min_bearing": 0, "explain": sums.parts, "as_of": question.as_of});
            let hits = user.post("/memory/search", &body).await?;
            let hits: Vec<&Value> = hits.as_array().into_iter().flatten().collect();
            for part in PARTS.iter().filter(|_| sums.parts) {
                let mut rest = hits.clone();
                let without = |hit: &Value| {
                    let explain = &hit["explain"];
                    explain["relevance"].as_f64().unwrap_or(0.0)
                        - explain["parts"][part].as_f64().unwrap_or(0.0)
                };
                rest.sort_by(|a, b| without(b).total_cmp(&without(a)));
                let of = sums.without.entry((mode, part)).or_default();
                *of = (of.0 + recall(&rest, 1, &gold), of.1 + recall(&rest, 10, &gold));
            }
            for k in KS {
                let recall = recall(&hits, k, &gold);
                *sums.recall.entry((mode, k)).or_default() += recall;
                if mode != "semantic" && matches!(k, 1 | 10) {
                    let of = sums
                        .category
                        .entry(format!("{mode}: recall@{k}, {}", question.category))
                        .or_default();
                    *of = (of.0 + recall, of.1 + 1);
                }
            }
        }
    }
    Ok(())
}

/// The share of the evidence among the first k.
pub(super) fn recall(hits: &[&Value], k: usize, gold: &[&String]) -> f64 {
    let first: Vec<&str> = hits.iter().take(k).filter_map(|hit| hit["message"]["id"].as_str()).collect();
    gold.iter().filter(|id| first.contains(&id.as_str())).count() as f64 / gold.len() as f64
}
