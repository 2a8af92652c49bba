//! Search in vector stores: in the files of some of them that a filter lets through.

use std::collections::HashMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Context, Error, Result,
    attributes::Filter,
    domain::{
        ids::{FileId, UserId, VectorStoreId},
        prompt::FileSearch,
    },
    memory::rank::Mode,
    problems::Problems,
    store::vector_stores,
    usecase::{
        files::search::{self, Knowledge},
        memory::search::passages::{Passage, passages},
    },
};

/// What is searched for.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    pub queries: &'a [String],
    pub limit: usize,
    pub filter: Option<&'a Filter>,
    /// From 0 to 1; the best passage of a query has a score near 1.
    pub threshold: Option<f64>,
}

/// A passage, and the attributes that its file has in the store.
#[derive(Debug, Clone)]
pub struct Hit {
    pub passage: Passage,
    pub attributes: Value,
}

/// The best passages for all queries together.
pub async fn search(
    ctx: &Context,
    user: UserId,
    stores: &[VectorStoreId],
    asked: &Asked<'_>,
) -> Result<Vec<Hit>> {
    let members = vector_stores::searched(&mut ctx.db.read().await?, user, stores).await?;
    let (mut files, mut attributes) = (Vec::new(), HashMap::<FileId, Value>::new());
    for member in members {
        let is_meant = asked.filter.is_none_or(|filter| filter.matches(&member.attributes));
        if is_meant && !attributes.contains_key(&member.file.id) {
            attributes.insert(member.file.id, member.attributes);
            files.push(member.file);
        }
    }
    let mut best: HashMap<Uuid, Passage> = HashMap::new();
    for query in asked.queries {
        for passage in passages(ctx, user, &files, (query, Mode::Hybrid), asked.limit).await? {
            let known = best.get(&passage.chunk.id.0);
            if known.is_none_or(|known| known.explained.score < passage.explained.score) {
                best.insert(passage.chunk.id.0, passage);
            }
        }
    }
    let mut best: Vec<Passage> = best.into_values().collect();
    best.retain(|passage| asked.threshold.is_none_or(|least| passage.explained.score >= least));
    let by_score = |a: &Passage, b: &Passage| b.explained.score.total_cmp(&a.explained.score);
    best.sort_by(|a, b| by_score(a, b).then(a.chunk.id.cmp(&b.chunk.id)));
    best.truncate(asked.limit);
    let hit = |passage: Passage| {
        let attributes = attributes.get(&passage.chunk.file_id).cloned().unwrap_or_else(|| json!({}));
        Hit { passage, attributes }
    };
    Ok(best.into_iter().map(hit).collect())
}

/// What a prompt gets of a search that its client asked for.
pub async fn for_prompt(ctx: &Context, user: UserId, search: &FileSearch) -> Result<Knowledge> {
    let mut problems = Problems::default();
    let filter = search.filters.as_ref().and_then(|filters| Filter::read(filters, "filters", &mut problems));
    // It was read before it was stored.
    problems.done().map_err(Error::internal)?;
    let asked = Asked {
        queries: &search.queries,
        limit: search.limit,
        filter: filter.as_ref(),
        threshold: search.threshold,
    };
    let mut hits = self::search(ctx, user, &search.stores, &asked).await?;
    hits.retain(|hit| hit.passage.is_relevant);
    let (passages, attributes): (Vec<Passage>, Vec<Value>) =
        hits.into_iter().map(|hit| (hit.passage, hit.attributes)).unzip();
    let mut knowledge = search::framed(ctx, &passages);
    let of_file: HashMap<FileId, &Value> =
        passages.iter().map(|passage| passage.chunk.file_id).zip(&attributes).collect();
    let results: Vec<Value> = knowledge
        .used
        .iter()
        .map(|(chunk, file, score)| {
            json!({
                "file_id": chunk.file_id, "filename": file, "score": score, "text": chunk.content,
                "attributes": of_file.get(&chunk.file_id),
            })
        })
        .collect();
    let results = search.shows_results.then_some(results);
    knowledge.told = Some(json!({"queries": search.queries, "results": results}));
    Ok(knowledge)
}
