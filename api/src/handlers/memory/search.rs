//! Searching memories and past turns.

use axum::{Json as Answer, extract::State};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error, clock,
    domain::{
        ids::{MessageId, SessionId},
        memory::{MemoryStatus, MemoryType, MemoryView},
        message::Role,
    },
    error::{FieldError, Wrong},
    memory::rank::{Explained, Mode},
    usecase::memory::search::{self, Document, Floor, Hit, Query},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    extract::{Caller, Json},
    policy::Content,
    state::AppState,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct SearchBody {
    /// 1-2,000 characters.
    #[schema(example = "Where do I live?")]
    query: String,
    /// 1-100, 10 by default.
    limit: Option<i64>,
    /// `false` is `mode: keyword`.
    use_semantic_search: Option<bool>,
    /// `semantic`, `keyword` or `hybrid` (default).
    mode: Option<String>,
    memory_type: Option<String>,
    min_importance: Option<f64>,
    /// Default: pending and confirmed; with `as_of` also what was superseded or expired since.
    status: Option<String>,
    /// Any of these.
    #[serde(default)]
    contexts: Vec<String>,
    /// What was true at this time, instead of now. A date is its first moment, UTC.
    #[serde(default, deserialize_with = "clock::moment::deserialize")]
    as_of: Option<DateTime<Utc>>,
    /// Past turns are given only if one of the first ten bears on the question at least so much; 0 gives the best guesses whatever
    /// they are worth. Default: a floor that was measured, by what the search goes by; none with `mode: semantic`. A turn with a name
    /// or a number of the question that hardly any other turn has counts as bearing on it. Memories have a floor of their own.
    min_bearing: Option<f64>,
    /// `memories` (default), `messages` (past turns), or both. An API key needs the scope `chat` for messages.
    sources: Option<Vec<String>>,
    /// Show every term of the scores.
    #[serde(default)]
    explain: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct MessageHit {
    #[schema(value_type = String)]
    id: MessageId,
    #[schema(value_type = String)]
    session_id: SessionId,
    #[schema(value_type = String)]
    role: Role,
    name: Option<String>,
    content: String,
    #[serde(with = "clock::rfc3339_millis")]
    created_at: DateTime<Utc>,
}

/// A memory or a message.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SearchHit {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<MemoryView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageHit>,
    /// Likeness in meaning (cosine), 0-1.
    similarity_score: f64,
    /// What the list is ordered by. Scaled to the best of this question: not comparable with another question's.
    score: f64,
    /// How much it bears on the question, comparable between questions: the share of what is rare in the question that it has, and half
    /// of its likeness. 0 is nothing; from 1 on it has all, or a past turn has a name or a number that hardly any other has.
    bearing: f64,
    #[schema(example = "shares the words dhaka; likeness 0.61")]
    relevance_reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Explained>,
}

impl SearchBody {
    fn query(self) -> Result<Query> {
        let mut errors = Vec::new();
        let mut problem = |field: &str, wrong: Wrong| errors.push(FieldError::new(field, wrong));
        let length = self.query.trim().chars().count();
        if length == 0 || length > 2_000 || self.query.contains('\0') {
            problem("query", Wrong::Text { min: 1, max: 2_000 });
        }
        let limit = self.limit.unwrap_or(10);
        if !(1..=100).contains(&limit) {
            problem("limit", Wrong::Range { min: 1, max: 100 });
        }
        let mode = match (self.mode.as_deref(), self.use_semantic_search) {
            (Some("semantic"), _) => Mode::Semantic,
            (Some("keyword"), _) | (None, Some(false)) => Mode::Keyword,
            (Some("hybrid") | None, _) => Mode::Hybrid,
            (Some(_), _) => {
                problem("mode", Wrong::Either(&["semantic", "keyword", "hybrid"]));
                Mode::Hybrid
            }
        };
        let memory_type = self.memory_type.map(|word| word.parse::<MemoryType>()).transpose();
        if memory_type.is_err() {
            problem("memory_type", MemoryType::one_of());
        }
        let status = self.status.map(|word| word.parse::<MemoryStatus>()).transpose();
        if status.is_err() {
            problem("status", MemoryStatus::one_of());
        }
        if self.min_importance.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
            problem("min_importance", Wrong::Range { min: 0, max: 1 });
        }
        if self.min_bearing.is_some_and(|least| !(0.0..=2.0).contains(&least)) {
            problem("min_bearing", Wrong::Range { min: 0, max: 2 });
        }
        if self.contexts.len() > 20 {
            problem("contexts", Wrong::Count { min: 0, max: 20 });
        }
        let sources = self.sources.unwrap_or_else(|| vec!["memories".to_owned()]);
        if sources.is_empty() || sources.iter().any(|source| source != "memories" && source != "messages") {
            let values = &["memories", "messages"];
            problem("sources", Wrong::Choice { values, said: "memories, messages, or both" });
        }
        if !errors.is_empty() {
            return Err(Error::fields(errors).into());
        }
        Ok(Query {
            text: self.query,
            limit: limit as usize,
            mode,
            memories: sources.iter().any(|source| source == "memories"),
            messages: sources.iter().any(|source| source == "messages"),
            memory_type: memory_type.unwrap_or_default(),
            min_importance: self.min_importance,
            status: status.unwrap_or_default(),
            contexts: self.contexts,
            as_of: self.as_of,
            without_private: false,
            floor: self.min_bearing.map_or(Floor::Usual, Floor::At),
        })
    }
}

fn view(hit: Hit, explain: bool) -> SearchHit {
    let (memory, message) = match hit.document {
        Document::Memory(memory) => (Some(MemoryView::from(*memory)), None),
        Document::Message(found) => {
            let message = MessageHit {
                id: found.id,
                session_id: found.session_id,
                role: found.role,
                name: found.name,
                content: found.content,
                created_at: found.created_at,
            };
            (None, Some(message))
        }
    };
    SearchHit {
        memory,
        message,
        similarity_score: hit.explained.cosine.clamp(0.0, 1.0),
        score: hit.explained.score,
        bearing: if hit.is_named { hit.bearing.max(1.0) } else { hit.bearing },
        relevance_reason: hit.reason,
        explain: explain.then_some(hit.explained),
    }
}

/// Search memories and past turns
///
/// By words (BM25), by meaning (vectors), or both joined; the best first.
#[utoipa::path(post, path = "/memory/search", tag = "memory", request_body = SearchBody,
    responses((status = 200, description = "What was found", body = [SearchHit])))]
pub async fn search(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Json(body): Json<SearchBody>,
) -> Result<Answer<Vec<SearchHit>>> {
    let explain = body.explain;
    let query = body.query()?;
    if query.messages {
        Content::Conversations.check(&caller)?;
    }
    let hits = search::search(&state.ctx, caller.user, &query).await?;
    Ok(Answer(hits.into_iter().map(|hit| view(hit, explain)).collect()))
}
