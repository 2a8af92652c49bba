//! Search in a vector store.

use axum::{Json as Answer, extract::State};
use rapport_common::{
    domain::ids::FileId,
    error::Wrong,
    problems::Problems,
    usecase::{
        files::search::QUESTION,
        vector_stores::{
            self,
            search::{self, Asked, Hit},
        },
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::filter;
use crate::{
    error::Result,
    extract::{Caller, VectorStorePath, Wide},
    state::AppState,
    v1::{
        body::NOT_HERE,
        ranking::{ranking, read_limit},
    },
};

/// Texts that one request searches for.
const QUERIES: usize = 10;
const RESULTS: i64 = 10;

#[derive(Deserialize, utoipa::ToSchema)]
pub struct VectorStoreSearch {
    /// A text, or up to 10.
    #[schema(value_type = Object, example = "When does the pump stop?")]
    query: Value,
    /// 1-50, 10 by default.
    #[schema(minimum = 1, maximum = 50)]
    max_num_results: Option<i64>,
    /// Of the attributes of files: comparisons, joined by `and` and `or`.
    #[schema(value_type = Option<Object>)]
    filters: Option<Value>,
    /// `score_threshold`, from 0 to 1.
    #[schema(value_type = Option<Object>)]
    ranking_options: Option<Value>,
    /// Only `false`.
    rewrite_query: Option<bool>,
}

/// What was found, as OpenAI's clients expect it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct VectorStoreResults {
    #[schema(example = "vector_store.search_results.page")]
    object: &'static str,
    search_query: Vec<String>,
    data: Vec<VectorStoreResult>,
    has_more: bool,
    next_page: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct VectorStoreResult {
    #[schema(value_type = String, example = "file_06dqz6ef8swq1bnx1rc6a2k8t4")]
    file_id: FileId,
    #[schema(example = "manual.pdf")]
    filename: String,
    score: f64,
    #[schema(value_type = Object)]
    attributes: Value,
    #[schema(value_type = Vec<Object>)]
    content: Vec<Value>,
}

impl From<Hit> for VectorStoreResult {
    fn from(hit: Hit) -> Self {
        let Hit { passage, attributes } = hit;
        Self {
            file_id: passage.chunk.file_id,
            filename: passage.file,
            score: passage.explained.score,
            attributes,
            content: vec![json!({"type": "text", "text": passage.chunk.content})],
        }
    }
}

fn queries(given: &Value, problems: &mut Problems) -> Vec<String> {
    let all: Option<Vec<String>> = match given {
        Value::String(one) => Some(vec![one.clone()]),
        many => serde_json::from_value(many.clone()).ok(),
    };
    let Some(all) = all.filter(|all| (1..=QUERIES).contains(&all.len())) else {
        problems.add("query", Wrong::Form("must be a text, or 1 to 10 of them"));
        return Vec::new();
    };
    let fits =
        |query: &String| (1..=QUESTION).contains(&query.trim().chars().count()) && !query.contains('\0');
    problems.unless(all.iter().all(fits), "query", Wrong::Text { min: 1, max: QUESTION });
    all
}

/// Search in a vector store
///
/// Passages by words and by meaning, of those of its files that `filters` lets through; the best first. Scores are relative to the best
/// passage. What is not about the query is left out.
#[utoipa::path(post, path = "/v1/vector_stores/{id}/search", tag = "openai", params(("id" = String, Path)),
    request_body = VectorStoreSearch, responses((status = 200, description = "What was found", body = VectorStoreResults)))]
pub async fn search(
    State(state): State<AppState>,
    Caller(caller): Caller,
    VectorStorePath(id): VectorStorePath,
    Wide(body, _): Wide<VectorStoreSearch>,
) -> Result<Answer<VectorStoreResults>> {
    vector_stores::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    let mut problems = Problems::default();
    let queries = queries(&body.query, &mut problems);
    let limit = read_limit(body.max_num_results, RESULTS, "max_num_results", &mut problems);
    let filter = filter(body.filters.as_ref(), "filters", &mut problems);
    let threshold = ranking(body.ranking_options.as_ref(), "ranking_options", &mut problems);
    problems.unless(body.rewrite_query != Some(true), "rewrite_query", NOT_HERE);
    problems.done()?;
    let asked = Asked { queries: &queries, limit, filter: filter.as_ref(), threshold };
    let found = search::search(&state.ctx, caller.user, &[id], &asked).await?;
    Ok(Answer(VectorStoreResults {
        object: "vector_store.search_results.page",
        data: found.into_iter().map(Into::into).collect(),
        search_query: queries,
        has_more: false,
        next_page: None,
    }))
}
