//! Building the index outside anew from the database, while searches and changes go on.
//!
//! A new index is begun beside the one in use, and from then on whoever changes a point changes it in both. What the database has
//! is put into the new one page by page. A page may be old by the time it arrives, and overwrite what was changed since or bring
//! back what was deleted: so each document's version is read again after its page was written, and what differs is put right, until
//! nothing does. A change that comes later goes into both by itself. Then the new index takes the place of the old one, in one step.

use std::collections::HashMap;

use uuid::Uuid;

use super::embed;
use crate::{
    Context, Error, Result,
    store::{
        terms::Corpus,
        vector_index::{self, Point},
    },
};

const PAGE: i64 = 1_000;

/// What was built.
pub struct Rebuilt {
    pub points: u64,
    /// Points that were missing or too many at the end.
    pub repaired: u64,
}

/// Builds the index anew. `told` hears how far it is: what, how many of how many.
pub async fn rebuild(ctx: &Context, mut told: impl FnMut(Corpus, i64, i64)) -> Result<Rebuilt> {
    let anew = ctx.vectors.begin_anew().await.map_err(away)?;
    if let Err(error) = fill_all(ctx, &anew, &mut told).await {
        // Nobody waits for it any more: changes go to the one in use alone.
        if let Err(also) = ctx.vectors.abandon(&anew).await {
            tracing::warn!(error = %also, collection = %anew, "what was filled could not be dropped: the next reindex does");
        }
        return Err(error);
    }
    ctx.vectors.switch(&anew).await.map_err(away)?;
    // Deletions that wait are no fault of anybody.
    embed::delete_some(ctx).await?;
    let repaired = embed::reconcile(ctx).await?;
    Ok(Rebuilt { points: ctx.vectors.count().await.map_err(away)?, repaired })
}

async fn fill_all(ctx: &Context, anew: &str, told: &mut impl FnMut(Corpus, i64, i64)) -> Result<()> {
    let model = ctx.embedder.model();
    for corpus in Corpus::ALL {
        let total = vector_index::count(&mut ctx.db.read().await?, corpus, &model).await?;
        let (mut after, mut done) = (Uuid::nil(), 0);
        loop {
            let page = vector_index::page(&mut ctx.db.read().await?, corpus, &model, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.doc_id;
            done += page.len() as i64;
            fill(ctx, anew, corpus, page).await?;
            told(corpus, done, total);
        }
    }
    Ok(())
}

fn away(error: crate::vectors::VectorError) -> Error {
    Error::unavailable("vector index", error)
}

/// Puts a page into the new index, as the database has it after that.
async fn fill(ctx: &Context, anew: &str, corpus: Corpus, page: Vec<Point>) -> Result<()> {
    let model = ctx.embedder.model();
    let mut open: Vec<Uuid> = page.iter().map(|point| point.doc_id).collect();
    let mut read = page;
    while !open.is_empty() {
        let known: HashMap<Uuid, i64> = read.iter().map(|point| (point.doc_id, point.version)).collect();
        ctx.vectors.fill(anew, corpus, &read).await.map_err(away)?;
        let gone: Vec<Uuid> = open.iter().filter(|doc| !known.contains_key(doc)).copied().collect();
        ctx.vectors.unfill(anew, &gone).await.map_err(away)?;
        let now = vector_index::versions(&mut ctx.db.read().await?, corpus, &model, &open).await?;
        let now: HashMap<Uuid, i64> = now.into_iter().collect();
        open.retain(|doc| now.get(doc) != known.get(doc));
        read = vector_index::points(&mut ctx.db.read().await?, corpus, &model, &open).await?;
    }
    Ok(())
}
