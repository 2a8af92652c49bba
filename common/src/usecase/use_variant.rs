//! An earlier answer takes the place of the present one, which becomes a variant.

use crate::{
    Context, Error, Result,
    domain::{
        ids::{MessageId, SessionId, UserId},
        message::Role,
    },
    error::Code,
    store::{
        self, Tx,
        branches::{Place, Standing},
        words,
    },
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
    store::sessions::said_otherwise(&mut tx, user, session).await?;
    find_again(&mut tx, user, session, variant).await?;
    tx.commit().await
}

/// An answer that was deleted and comes back under its id is found by its words again. What the index holds of its first time is
/// taken out before: later it would take the new words along.
async fn find_again(tx: &mut Tx, user: UserId, session: SessionId, answer: MessageId) -> Result<()> {
    let Some(Place { content, .. }) = store::branches::find(tx, user, session, answer).await? else {
        return Ok(());
    };
    store::memory_log::take_version(tx, user).await?;
    while words::fold::purge(tx, user).await? {}
    let heard = words::Heard::of(&content, words::Talk::WithModel);
    Ok(words::insert_late(tx, user, &[(answer.0, heard)], words::Late::Unembedded).await?)
}
