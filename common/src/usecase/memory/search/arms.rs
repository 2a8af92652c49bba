//! The two arms of a search, by words and by meaning: what each of them finds.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::{Query, reason::Words};
use crate::{
    Context, Error, Result,
    domain::ids::UserId,
    memory::{
        concepts,
        rank::{self, Mode},
    },
    store::terms::{self, Corpus},
    vectors::{VectorError, VectorFilter},
};

/// Candidates an arm brings in.
const CANDIDATES: usize = 200;

/// By words: memories with their score, and what the words count.
async fn by_words(
    ctx: &Context,
    user: UserId,
    words: &HashMap<String, i64>,
) -> Result<(HashMap<Uuid, f64>, Words)> {
    let mut conn = ctx.db.read().await?;
    let mut terms: Vec<&str> = words.keys().map(String::as_str).collect();
    let own = terms.len();
    terms.extend(concepts::linked(words));
    let frequencies = terms::frequencies(&mut conn, user, &terms).await?;
    let (size, mean) = ctx.sizes.of(&mut conn, user).await?;
    let weight =
        |term: &&str| ((*term).to_owned(), rank::idf(size, frequencies.get(*term).copied().unwrap_or(0)));
    let linked = terms.split_off(own);
    let mut weights: Vec<(String, f64)> = terms.iter().map(weight).collect();
    let ideal = rank::ideal(&weights);
    // Linked words stand for the question's own, and only where the user's memories have them.
    let best = weights.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let found = linked.into_iter().filter(|term| frequencies.contains_key(*term));
    weights.extend(found.map(|term| (term.to_owned(), best * concepts::WEIGHT)));
    let found = if frequencies.is_empty() {
        Vec::new()
    } else {
        terms::score(&mut conn, user, &weights, mean, CANDIDATES as i64).await?
    };
    Ok((found.into_iter().collect(), Words { weights, ideal }))
}

/// Whether the arm of meaning is asked at all: in hybrid mode not by a question that the model cannot read, whose likenesses would
/// be noise.
pub(super) fn wants_meaning(ctx: &Context, mode: Mode, question: &str) -> bool {
    match mode {
        Mode::Keyword => false,
        Mode::Semantic => true,
        Mode::Hybrid => ctx.embedder.reads(question),
    }
}

/// The vector of a question.
pub(super) type Asked = Arc<[f32]>;

/// The nearest to a question, and its vector.
pub(super) async fn nearest(
    ctx: &Context,
    user: UserId,
    corpus: Corpus,
    question: &str,
    filter: &VectorFilter,
) -> Result<(Asked, HashMap<Uuid, f64>)> {
    let vector = ctx.embedder.query(question).await.map_err(|error| error.public())?;
    let found = ctx.vectors.search(user, corpus, &vector, filter, CANDIDATES).await.map_err(away)?;
    Ok((vector, found.into_iter().map(|(id, cosine)| (id, f64::from(cosine))).collect()))
}

fn away(error: VectorError) -> Error {
    Error::unavailable("vector index", error)
}

/// Adds the cosines of some documents to those that are known.
pub(super) async fn add_cosines(
    ctx: &Context,
    user: UserId,
    corpus: Corpus,
    (vector, cosines): (&Asked, &mut HashMap<Uuid, f64>),
    also: impl Iterator<Item = Uuid>,
) -> Result<()> {
    let missing: Vec<Uuid> = also.filter(|id| !cosines.contains_key(id)).collect();
    if !missing.is_empty() {
        let scored = ctx.vectors.score(user, corpus, vector, &missing).await.map_err(away)?;
        cosines.extend(scored.into_iter().map(|(id, cosine)| (id, f64::from(cosine))));
    }
    Ok(())
}

/// Nothing was found by meaning because it is away: words are enough, unless only meaning was asked for.
pub(super) fn or_words_alone<T>(mode: Mode, found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(error) if mode == Mode::Hybrid => {
            tracing::warn!(%error, "searching by words alone");
            Ok(None)
        }
        found => found,
    }
}

/// Memories by words and by meaning at once, as the mode wants it.
pub(super) async fn both_arms(
    ctx: &Context,
    user: UserId,
    query: &Query,
    words: &HashMap<String, i64>,
    filter: &VectorFilter,
) -> Result<(HashMap<Uuid, f64>, Words, HashMap<Uuid, f64>)> {
    let (corpus, mode) = (Corpus::Memories, query.mode);
    let (by_word, by_meaning) = tokio::join!(
        async {
            if mode == Mode::Semantic || words.is_empty() {
                return Ok((HashMap::new(), Words { weights: Vec::new(), ideal: 1.0 }));
            }
            by_words(ctx, user, words).await
        },
        async {
            if !wants_meaning(ctx, mode, &query.text) {
                return Ok(None);
            }
            nearest(ctx, user, corpus, &query.text, filter).await.map(Some)
        },
    );
    let (by_word, weights) = by_word?;
    let joined = match by_meaning {
        // Both arms then know every candidate.
        Ok(Some((vector, mut cosines))) => {
            let added =
                add_cosines(ctx, user, corpus, (&vector, &mut cosines), by_word.keys().copied()).await;
            added.map(|()| Some(cosines))
        }
        other => other.map(|_| None),
    };
    Ok((by_word, weights, or_words_alone(mode, joined)?.unwrap_or_default()))
}
