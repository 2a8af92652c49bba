//! Giving documents their vectors, and the index outside its points. Everything may be repeated: what is done is marked.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::{go_on, job};
use crate::{
    Context, Error, Result,
    domain::ids::UserId,
    jobs::payload::EmbeddingPayload,
    memory::{builtin_embedder, text},
    providers::ProviderError,
    store::{
        self, Tx,
        jobs::Ready,
        memory_log,
        terms::Corpus,
        vector_index::{self, Point},
        vectors::{self, Embedded},
        words,
    },
};

/// Documents embedded in one transaction.
const BATCH: i64 = 192;
/// Parts of the index of words that one transaction makes: one keeps up with what is embedded. After an import thousands wait; each goes
/// over what those before it took in the same transaction, and whoever changes something of the user's waits meanwhile.
const PARTS: usize = 8;

/// Puts in the job that embeds what the user has; one at a time is enough, and the sweep finds what it missed.
pub async fn enqueue(ctx: &Context, tx: &mut Tx, user: UserId) -> Result<Option<Ready>> {
    let new = job(ctx, user, &EmbeddingPayload {})?.once(format!("embed:{user}"));
    Ok(store::jobs::enqueue(tx, new).await?)
}

#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("{0}")]
    Ours(Error),
}

impl From<Error> for EmbedError {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<sqlx::Error> for EmbedError {
    fn from(error: sqlx::Error) -> Self {
        Self::Ours(error.into())
    }
}

/// Embeds one batch of a corpus. How many; fewer than asked for means that nothing is left.
pub async fn embed_some(ctx: &Context, user: UserId, corpus: Corpus) -> Result<usize, EmbedError> {
    let waiting = vectors::unembedded(&mut ctx.db.read().await?, user, corpus, BATCH).await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let texts: Vec<String> = waiting.iter().map(|one| one.content.clone()).collect();
    let found = ctx.embedder.embed(&texts).await?;
    let model = ctx.embedder.model();
    let count = waiting.len();
    // Before the transaction: what takes a while holds nobody up.
    let late = waiting.iter().filter(|one| one.unsearchable);
    let late: Vec<(Uuid, words::Heard)> =
        late.map(|one| (one.id, words::Heard::of(&one.content, words::Talk::WithModel))).collect();
    let mut tx = ctx.db.begin().await?;
    let version = memory_log::take_version(&mut tx, user).await?;
    words::insert_late(&mut tx, user, &late, words::Late::Unembedded).await?;
    if corpus == Corpus::Messages {
        words::fold::fold_some(&mut tx, user, PARTS).await?;
    }
    let embedded = waiting.into_iter().zip(found).map(|(one, vector)| {
        // A memory of other words by now: this vector would be nobody's.
        let norm = if corpus == Corpus::Memories { text::normalise(&one.content) } else { String::new() };
        Embedded { doc: one.id, norm, vector: builtin_embedder::to_bytes(&vector) }
    });
    vectors::store_many(&mut tx, user, corpus, &model, version, embedded.collect()).await?;
    tx.commit().await?;
    Ok(count)
}

/// Folds some of the words that wait to be. `false`: there is nothing left.
pub async fn fold_some(ctx: &Context, user: UserId) -> Result<bool> {
    if !words::fold::is_waiting(&mut ctx.db.read().await?, user).await? {
        return Ok(false);
    }
    let mut tx = ctx.db.begin().await?;
    memory_log::take_version(&mut tx, user).await?;
    let folded = words::fold::fold_some(&mut tx, user, PARTS).await?;
    tx.commit().await?;
    Ok(folded > 0)
}

/// Puts what the index outside lacks into it: of one user, or of all. How many.
pub async fn index_some(ctx: &Context, user: Option<UserId>, corpus: Corpus, limit: i64) -> Result<usize> {
    if !ctx.vectors.is_outside() {
        return Ok(0);
    }
    let points =
        vector_index::unindexed(&mut ctx.db.read().await?, corpus, &ctx.embedder.model(), user, limit)
            .await?;
    put(ctx, corpus, &points).await?;
    Ok(points.len())
}

/// Puts points into the index and marks them, as they were when they were read.
pub async fn put(ctx: &Context, corpus: Corpus, points: &[Point]) -> Result<()> {
    if points.is_empty() {
        return Ok(());
    }
    ctx.vectors.upsert(corpus, points).await.map_err(|error| Error::unavailable("vector index", error))?;
    let mut conn = ctx.db.relaxed().await?;
    let mut users: Vec<UserId> = points.iter().map(|point| point.user_id).collect();
    users.sort_unstable();
    users.dedup();
    for user in users {
        let of = || points.iter().filter(|point| point.user_id == user);
        let docs: Vec<Uuid> = of().map(|point| point.doc_id).collect();
        let newest = of().map(|point| point.version).max().unwrap_or(0);
        vector_index::mark_indexed(&mut conn, user, corpus, &docs, newest).await?;
    }
    Ok(())
}

/// Takes from the index outside what is gone from the database. How many.
pub async fn delete_some(ctx: &Context) -> Result<usize> {
    let gone = vector_index::deletions(&mut ctx.db.read().await?, 1_000).await?;
    let mut models: Vec<&String> = gone.iter().map(|(_, model)| model).collect();
    models.sort();
    models.dedup();
    for model in models {
        let mut docs: Vec<Uuid> = gone.iter().filter(|(_, of)| of == model).map(|(doc, _)| *doc).collect();
        if *model == ctx.embedder.model() {
            // Deleted, and made again since under the same id: an undone merge.
            let mut conn = ctx.db.read().await?;
            for corpus in Corpus::ALL {
                let back = vector_index::present(&mut conn, corpus, model, &docs).await?;
                docs.retain(|doc| !back.contains(doc));
            }
        }
        ctx.vectors.delete(model, &docs).await.map_err(|error| Error::unavailable("vector index", error))?;
    }
    let mut conn = ctx.db.relaxed().await?;
    for (doc, model) in &gone {
        vector_index::forget_deletion(&mut conn, *doc, model).await?;
    }
    Ok(gone.len())
}

/// Takes the words of deleted messages out of the index of words.
pub async fn purge_words(ctx: &Context) -> Result<()> {
    let users = words::fold::users_to_purge(&mut ctx.db.read().await?).await?;
    for user in users {
        go_on(user, purge_words_of(ctx, user).await)?;
    }
    Ok(())
}

/// How long sheets are made in one go: the sweep has more to do.
const FILLING: Duration = Duration::from_secs(2);

/// Gives parts of the index of words that have no sheet of their turns theirs: after an update, some at a time.
pub async fn fill_sheets(ctx: &Context) -> Result<()> {
    let until = Instant::now() + FILLING;
    let users = words::fill::users_without(&mut ctx.db.read().await?).await?;
    for user in users {
        go_on(user, fill_sheets_of(ctx, user, until).await)?;
    }
    Ok(())
}

async fn fill_sheets_of(ctx: &Context, user: UserId, until: Instant) -> Result<()> {
    while Instant::now() < until {
        let Some(found) = words::fill::unfilled(&mut ctx.db.read().await?, user).await? else { break };
        let mut tx = ctx.db.begin().await?;
        memory_log::take_version(&mut tx, user).await?;
        words::fill::fill(&mut tx, user, found).await?;
        // What it had lost are bags now: a part of their own, if they are many.
        words::fold::fold_one(&mut tx, user).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn purge_words_of(ctx: &Context, user: UserId) -> Result<()> {
    loop {
        let mut tx = ctx.db.begin().await?;
        memory_log::take_version(&mut tx, user).await?;
        if !words::fold::purge(&mut tx, user).await? {
            return Ok(());
        }
        tx.commit().await?;
    }
}

/// Finds what the index has and the database does not, and the reverse, and repairs both. How many points were wrong.
pub async fn reconcile(ctx: &Context) -> Result<u64> {
    let away = |error| Error::unavailable("vector index", error);
    let mut wrong = delete_some(ctx).await? as u64;
    let model = ctx.embedder.model();
    let mut held = 0;
    for corpus in Corpus::ALL {
        while index_some(ctx, None, corpus, 1_000).await? > 0 {}
        held += vector_index::count(&mut ctx.db.read().await?, corpus, &model).await? as u64;
    }
    if !ctx.vectors.is_outside() || ctx.vectors.count().await.map_err(away)? == held {
        return Ok(wrong);
    }
    let (mut after, mut seen) = (None, 0u64);
    loop {
        let page = ctx.vectors.page(after, 1_000).await.map_err(away)?;
        let Some(last) = page.last() else { break };
        after = Some(last.0);
        for corpus in Corpus::ALL {
            let docs: Vec<Uuid> = page.iter().filter(|(_, of)| *of == corpus).map(|(doc, _)| *doc).collect();
            let present = vector_index::present(&mut ctx.db.read().await?, corpus, &model, &docs).await?;
            let strangers: Vec<Uuid> = docs.into_iter().filter(|doc| !present.contains(doc)).collect();
            wrong += strangers.len() as u64;
            seen += present.len() as u64;
            ctx.vectors.delete(&model, &strangers).await.map_err(away)?;
        }
    }
    if seen < held {
        // Points are missing: have all of them put in again.
        wrong += held - seen;
        for corpus in Corpus::ALL {
            vector_index::unindex_all(&mut ctx.db.relaxed().await?, corpus, &model).await?;
            while index_some(ctx, None, corpus, 1_000).await? > 0 {}
        }
    }
    Ok(wrong)
}

/// Says at the start when there are vectors of another model than the one in force: they are not compared with questions.
pub async fn tell_of_other_models(ctx: &Context) {
    let look = async || vectors::models_at_the_edges(&mut ctx.db.read().await?).await;
    let (Ok(models), model) = (look().await, ctx.embedder.model()) else { return };
    for other in models.iter().filter(|other| **other != model) {
        tracing::warn!(%other, %model, "texts have vectors of another model, and are found by their words alone: run `rapport reindex --reembed`");
    }
}

/// Puts in a job for each user with something to embed or to index. For the sweep.
pub async fn schedule(ctx: &Context) -> Result<()> {
    let users = vectors::users_to_embed(&mut ctx.db.read().await?, ctx.vectors.is_outside()).await?;
    for user in users {
        go_on(user, schedule_one(ctx, user).await)?;
    }
    Ok(())
}

async fn schedule_one(ctx: &Context, user: UserId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    let ready = enqueue(ctx, &mut tx, user).await?;
    tx.commit().await?;
    ctx.announce(ready).await;
    Ok(())
}
