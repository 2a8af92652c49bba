//! What a user thinks of an answer.

use serde_json::json;

use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{MessageId, UserId},
        texts::Comment,
    },
    error::Wrong,
    store::branches,
};

/// Keeps a rating, `up` or `down`, with a comment, in the place of an earlier one. Errors:
/// `validation`, and `not_found` when it is none of the user's answers.
pub async fn rate_answer(
    ctx: &Context,
    user: UserId,
    answer: MessageId,
    rating: &str,
    comment: Option<&Comment>,
) -> Result<()> {
    if !["up", "down"].contains(&rating) {
        return Err(Error::field("rating", Wrong::Either(&["up", "down"])));
    }
    let at = clock::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let mut tx = ctx.db.begin().await?;
    let value = json!({"rating": rating, "comment": comment, "at": at});
    if !branches::feedback(&mut tx, user, answer, &value).await? {
        return Err(Error::not_found("answer"));
    }
    tx.commit().await
}
