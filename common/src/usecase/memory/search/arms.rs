//! The two arms of a search, by words and by meaning: what each of them finds.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::reason::Words;
use crate::{
    Context, Error, Result,
    domain::ids::UserId,
    memory::{
        concepts,
        rank::{self, Mode},
    },
    store::{
        terms::{self, Corpus},
        words,
    },
    vectors::VectorFilter,
};

/// Candidates an arm brings in.
const CANDIDATES: usize = 200;

/// By words: messages with their score, and what the words count.
async fn messages_by_words(
    ctx: &Context,
    user: UserId,
    words: &HashMap<String, i64>,
) -> Result<(HashMap<Uuid, f64>, Words)> {
    let mut conn = ctx.db.read().await?;
    let terms: Vec<&str> = words.keys().map(String::as_str).collect();
    let found = words::search::find(&mut conn, user, &terms).await?;
    let weight = |term: &&str| ((*term).to_owned(), rank::idf(found.size, found.frequency(term)));
    let weights: Vec<(String, f64)> = terms.iter().map(weight).collect();
    let ideal = rank::ideal(&weights);
    let best = found.best(&mut conn, user, &weights, CANDIDATES).await?;
    Ok((best.into_iter().collect(), Words { weights, ideal }))
}

/// By words: memories with their score, and what the words count.
async fn memories_by_words(
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

/// The nearest to a question, and its vector.
async fn nearest(
    ctx: &Context,
    user: UserId,
    corpus: Corpus,
    question: &str,
    filter: &VectorFilter,
) -> Result<(Arc<[f32]>, HashMap<Uuid, f64>)> {
    let vector = ctx.embedder.query(question).await.map_err(|error| error.public())?;
    let away = |error| Error::unavailable("vector index", error);
    let found = ctx.vectors.search(user, corpus, &vector, filter, CANDIDATES).await.map_err(away)?;
    Ok((vector, found.into_iter().map(|(id, cosine)| (id, f64::from(cosine))).collect()))
}

/// Cosines of the nearest, and of whatever the words found: both arms then know every candidate.
async fn with_cosines_of(
    ctx: &Context,
    user: UserId,
    corpus: Corpus,
    (vector, mut cosines): (Arc<[f32]>, HashMap<Uuid, f64>),
    also: &HashMap<Uuid, f64>,
) -> Result<HashMap<Uuid, f64>> {
    let missing: Vec<Uuid> = also.keys().filter(|id| !cosines.contains_key(id)).copied().collect();
    if !missing.is_empty() {
        let scored = ctx.vectors.score(user, corpus, &vector, &missing).await;
        let scored = scored.map_err(|error| Error::unavailable("vector index", error))?;
        cosines.extend(scored.into_iter().map(|(id, cosine)| (id, f64::from(cosine))));
    }
    Ok(cosines)
}

/// What is searched for, and where.
pub(super) struct Wanted<'a> {
    pub corpus: Corpus,
    pub mode: Mode,
    pub words: &'a HashMap<String, i64>,
    /// The question in words, for the arm of meaning.
    pub question: &'a str,
    pub filter: &'a VectorFilter,
}

/// Both arms at once, as the mode wants them. An arm of meaning that is away leaves the words, unless only meaning was
/// asked for.
pub(super) async fn both_arms(
    ctx: &Context,
    user: UserId,
    wanted: Wanted<'_>,
) -> Result<(HashMap<Uuid, f64>, Words, HashMap<Uuid, f64>)> {
    let Wanted { corpus, mode, words, question, filter } = wanted;
    let no_words = || (HashMap::new(), Words { weights: Vec::new(), ideal: 1.0 });
    let (by_word, by_meaning) = tokio::join!(
        async {
            match corpus {
                _ if mode == Mode::Semantic || words.is_empty() => Ok(no_words()),
                Corpus::Memories => memories_by_words(ctx, user, words).await,
                Corpus::Messages => messages_by_words(ctx, user, words).await,
            }
        },
        async {
            if mode == Mode::Keyword {
                Ok(None)
            } else {
                nearest(ctx, user, corpus, question, filter).await.map(Some)
            }
        },
    );
    let (by_word, weights) = by_word?;
    let joined = match by_meaning {
        Ok(None) => Ok(HashMap::new()),
        Ok(Some(found)) => with_cosines_of(ctx, user, corpus, found, &by_word).await,
        Err(error) => Err(error),
    };
    let by_meaning = match joined {
        Err(error) if mode == Mode::Hybrid => {
            tracing::warn!(%error, "searching by words alone");
            HashMap::new()
        }
        joined => joined?,
    };
    Ok((by_word, weights, by_meaning))
}
