//! What was said before: the responses that one goes on from.

use rapport_common::{
    Context, Error, Result,
    domain::{
        ids::{JobId, UserId},
        job::JobStatus,
    },
    error::Wrong,
    problems::Problems,
    providers::ChatMessage,
    store,
};

use super::items::{self, Called};
use crate::v1::answer::Said;

/// Responses that one can go on from.
const MOST: i64 = 500;
/// Bytes of them all: each is read, and stored once more with what goes on from it.
const MOST_BYTES: i64 = 16 << 20;

/// The messages of a response and of those before it. Their instructions were theirs, and are not among them.
pub async fn messages(
    ctx: &Context,
    user: UserId,
    previous: JobId,
    called: &mut Called,
) -> Result<Vec<ChatMessage>> {
    let refuse = |why: &'static str| Error::field("previous_response_id", Wrong::Unfit(why));
    let mut conn = ctx.db.read().await?;
    if store::requests::chain_size(&mut conn, user, previous, MOST).await? > MOST_BYTES {
        return Err(refuse("has more than 16 MiB before it"));
    }
    let chain = store::requests::chain(&mut conn, user, previous, MOST).await?;
    drop(conn);
    let Some(first) = chain.first() else { return Err(refuse("is no stored response of yours")) };
    if first.previous.is_some() {
        let too_long = chain.len() as i64 == MOST;
        let deleted = "goes on from one that was deleted, or was not stored";
        return Err(refuse(if too_long { "has too many before it" } else { deleted }));
    }
    let mut messages = Vec::new();
    for kept in chain {
        let input = kept.body["input"].as_array().cloned().unwrap_or_default();
        // It was read once before: nothing is wrong with it.
        messages.extend(items::messages(&input, called, &mut Problems::default()));
        let said = match (kept.job.status, kept.job.result) {
            (JobStatus::Succeeded | JobStatus::Cancelled, result) => Said(result.unwrap_or_default()),
            (JobStatus::Failed, _) => {
                return Err(refuse("has failed, or one before it: there is nothing to go on from"));
            }
            _ => return Err(refuse("has not ended: wait for it first")),
        };
        let answer = items::of_answer(kept.job.id, &said, "completed");
        messages.extend(items::messages(&answer, called, &mut Problems::default()));
    }
    Ok(messages)
}
