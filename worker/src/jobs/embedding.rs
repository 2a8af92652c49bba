//! Gives a user's memories and messages their vectors, in batches, and the vector index its points.

use rapport_common::{
    Context, Error,
    domain::job::Job,
    store::terms::Corpus,
    usecase::{
        end_job::succeed_job,
        memory::embed::{self, EmbedError},
    },
};
use serde_json::json;

use crate::{outcome::Outcome, runner::persist};

pub async fn run(ctx: &Context, job: &Job) -> Outcome {
    let Some(user) = job.user_id else { return Outcome::Fail(Error::internal("an embedding without user")) };
    let (mut embedded, mut indexed) = (0, 0);
    for corpus in Corpus::ALL {
        loop {
            match embed::embed_some(ctx, user, corpus).await {
                Ok(0) => break,
                Ok(count) => embedded += count,
                Err(EmbedError::Provider(error)) if error.class.is_transient() => {
                    return Outcome::Retry(error.public(), error.retry_after);
                }
                Err(EmbedError::Provider(error)) => return Outcome::Fail(error.public()),
                Err(EmbedError::Ours(error)) => return super::outcome_of(error),
            }
        }
        loop {
            match embed::index_some(ctx, Some(user), corpus, 1_000).await {
                Ok(0) => break,
                Ok(count) => indexed += count,
                Err(error) => return super::outcome_of(error),
            }
        }
    }
    if ctx.vectors.is_outside()
        && let Err(error) = embed::delete_some(ctx).await
    {
        return super::outcome_of(error);
    }
    let result = json!({"embedded": embedded, "indexed": indexed});
    match persist(|| succeed_job(ctx, job, &result)).await {
        Some(true) => Outcome::Done(result),
        _ => Outcome::Lost,
    }
}
