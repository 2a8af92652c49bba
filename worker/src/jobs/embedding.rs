//! Gives a user's memories and messages their vectors, in batches, and the vector index its points.

use rapport_common::{
    Result,
    jobs::payload::EmbeddingPayload,
    store::terms::Corpus,
    usecase::memory::embed::{self, EmbedError},
};
use serde_json::json;

use super::Work;
use crate::{attempt::Attempt, outcome::Outcome};

impl Work for EmbeddingPayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        let (ctx, user) = (attempt.ctx, attempt.user()?);
        let (mut embedded, mut indexed) = (0, 0);
        for corpus in Corpus::ALL {
            loop {
                match embed::embed_some(ctx, user, corpus).await {
                    Ok(0) => break,
                    Ok(count) => embedded += count,
                    Err(EmbedError::Provider(error)) if error.class.is_transient() => {
                        return Ok(Outcome::Retry(error.public(), error.retry_after));
                    }
                    Err(EmbedError::Provider(error)) => return Ok(Outcome::Fail(error.public())),
                    Err(EmbedError::Ours(error)) => return Err(error),
                }
            }
            while corpus == Corpus::Messages && embed::fold_some(ctx, user).await? {}
            loop {
                match embed::index_some(ctx, Some(user), corpus, 1_000).await? {
                    0 => break,
                    count => indexed += count,
                }
            }
        }
        if ctx.vectors.is_outside() {
            embed::delete_some(ctx).await?;
        }
        Ok(attempt.succeed(json!({"embedded": embedded, "indexed": indexed})).await)
    }
}
