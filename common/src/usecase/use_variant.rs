//! An earlier answer takes the place of the present one, which becomes a variant.

use crate::{
    Context, Error, Result,
    domain::{
        ids::{MessageId, UserId},
        message::Role,
    },
    error::Code,
    store::{self, branches::Standing},
};

/// `answer` is the present one. Errors: `not_found`, and `session_busy` while the session is being answered.
pub async fn use_variant(ctx: &Context, user: UserId, answer: MessageId, variant: MessageId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    let place = store::branches::place(&mut tx, user, answer).await?;
    let Standing { session_id: session, seq, role, .. } = place.ok_or_else(|| Error::not_found("message"))?;
    if role != Role::Assistant {
        return Err(Error::not_found("answer"));
    }
    // The session's row first (docs/jobs.md, "Locks"): an answer that is being stored waits for us, or we for it.
    store::sessions::lock(&mut tx, session).await?;
    if store::jobs::open_chat(&mut tx, user, session).await?.is_some() {
        let busy = "The session is being answered. Wait for it, or cancel it.";
        return Err(Error::new(Code::SessionBusy, busy));
    }
    if !store::branches::use_variant(&mut tx, user, session, seq, variant).await? {
        return Err(Error::not_found("variant"));
    }
    tx.commit().await
}
