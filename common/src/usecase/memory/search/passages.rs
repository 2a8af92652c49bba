//! Passages of files that a question may be about: by words and by meaning, joined as for memories, within the files that are named.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    arms::{add_cosines, nearest, or_words_alone, wants_meaning},
    reason::{SHOWN, Words, is_relevant, reason},
};
use crate::{
    Context, Result,
    domain::{
        file::File,
        ids::{FileId, UserId},
    },
    memory::{
        rank::{self, Explained, Mode},
        text,
    },
    store::{
        chunks::{self, Chunk},
        terms::Corpus,
    },
    vectors::VectorFilter,
};

/// Candidates by words.
const CANDIDATES: i64 = 200;
/// Passages of one file beyond this many stand behind those of others.
const PER_FILE: usize = 8;

#[derive(Debug, Clone)]
pub struct Passage {
    pub chunk: Chunk,
    /// The file's name.
    pub file: String,
    pub explained: Explained,
    /// Whether it is about the question at all, by an absolute measure.
    pub is_relevant: bool,
    pub reason: String,
}

/// Searches the passages of some files; the best first.
pub async fn passages(
    ctx: &Context,
    user: UserId,
    files: &[File],
    (question, mode): (&str, Mode),
    limit: usize,
) -> Result<Vec<Passage>> {
    let readings: Vec<&str> = files.iter().filter_map(|file| file.generation.as_deref()).collect();
    if readings.is_empty() {
        return Ok(Vec::new());
    }
    let terms = text::terms(question);
    let (found, by_meaning) = tokio::join!(
        async {
            if mode == Mode::Semantic || terms.is_empty() {
                return Ok((HashMap::new(), Words { weights: Vec::new(), ideal: 1.0 }));
            }
            by_words(ctx, user, files, &terms, &readings).await
        },
        async {
            if !wants_meaning(ctx, mode, question) {
                return Ok(None);
            }
            let filter = VectorFilter {
                readings: readings.iter().map(|&one| one.to_owned()).collect(),
                ..VectorFilter::default()
            };
            nearest(ctx, user, Corpus::Chunks, question, &filter).await.map(Some)
        },
    );
    let (by_word, words) = found?;
    let joined = match by_meaning {
        Ok(Some((vector, mut cosines))) => {
            let also = by_word.keys().copied();
            add_cosines(ctx, user, Corpus::Chunks, (&vector, &mut cosines), also)
                .await
                .map(|()| Some(cosines))
        }
        other => other.map(|_| None),
    };
    let by_meaning = or_words_alone(mode, joined)?.unwrap_or_default();
    let fused = rank::fuse(mode, ctx.embedder.weight(), &by_word, &by_meaning);
    let mut order: Vec<(Uuid, Explained)> = fused.into_iter().collect();
    order.sort_by(|a, b| b.1.relevance.total_cmp(&a.1.relevance).then(a.0.cmp(&b.0)));
    order.retain(|(_, explained)| is_relevant(ctx, explained, &words, SHOWN));
    order.truncate((limit * 3).max(60));
    loaded(ctx, user, files, order, &words).await.map(|found| spread(found, limit))
}

/// Passages with their rows, in the order of their relevance.
async fn loaded(
    ctx: &Context,
    user: UserId,
    files: &[File],
    order: Vec<(Uuid, Explained)>,
    words: &Words,
) -> Result<Vec<Passage>> {
    let ids: Vec<Uuid> = order.iter().map(|(id, _)| *id).collect();
    let rows = chunks::get(&mut ctx.db.read().await?, user, &ids).await?;
    let mut rows: HashMap<Uuid, Chunk> = rows.into_iter().map(|row| (row.id.0, row)).collect();
    let names: HashMap<FileId, &str> = files.iter().map(|file| (file.id, file.name.as_str())).collect();
    let mut passages = Vec::new();
    for (id, mut explained) in order {
        let Some(chunk) = rows.remove(&id) else { continue };
        let Some(name) = names.get(&chunk.file_id) else { continue };
        explained.score = explained.relevance;
        passages.push(Passage {
            is_relevant: is_relevant(ctx, &explained, words, 1.0),
            reason: reason(&explained, &chunk.content, words),
            file: (*name).to_owned(),
            explained,
            chunk,
        });
    }
    Ok(passages)
}

/// One long file must not be all that is found, where others say something too.
fn spread(passages: Vec<Passage>, limit: usize) -> Vec<Passage> {
    let mut counts: HashMap<FileId, usize> = HashMap::new();
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for passage in passages {
        let count = counts.entry(passage.chunk.file_id).or_default();
        *count += 1;
        if *count <= PER_FILE { first.push(passage) } else { rest.push(passage) }
    }
    first.append(&mut rest);
    first.truncate(limit);
    first
}

async fn by_words(
    ctx: &Context,
    user: UserId,
    files: &[File],
    words: &HashMap<String, i64>,
    readings: &[&str],
) -> Result<(HashMap<Uuid, f64>, Words)> {
    let terms: Vec<&str> = words.keys().map(String::as_str).collect();
    let passages: i64 = files.iter().map(|file| file.chunks).sum();
    let mean = files.iter().map(|file| file.words).sum::<i64>() as f64 / passages.max(1) as f64;
    let mut conn = ctx.db.read().await?;
    let frequencies = chunks::frequencies(&mut conn, user, &terms, readings).await?;
    let weight =
        |term: &&str| ((*term).to_owned(), rank::idf(passages, frequencies.get(*term).copied().unwrap_or(0)));
    let weights: Vec<(String, f64)> = terms.iter().map(weight).collect();
    let ideal = rank::ideal(&weights);
    let found = if frequencies.is_empty() {
        Vec::new()
    } else {
        chunks::score(&mut conn, user, (&weights, mean), readings, CANDIDATES).await?
    };
    Ok((found.into_iter().collect(), Words { weights, ideal }))
}
