//! Deleting a stored response: with its job, once that has ended.

use std::time::Duration;

use super::cancel_job::cancel_job;
use crate::{
    Context, Error, Result,
    domain::ids::{JobId, UserId},
    error::Code,
    follow::wait_final,
    store,
};

/// One that runs is cancelled first, and waited for.
pub async fn delete_response(ctx: &Context, user: UserId, id: JobId, stops: Duration) -> Result<()> {
    match cancel_job(ctx, user, id).await {
        Ok(_) => drop(wait_final(ctx, user, id, stops).await?),
        // It has ended.
        Err(error) if error.code == Code::WrongState => {}
        Err(error) => return Err(error),
    }
    let mut tx = ctx.db.begin().await?;
    if !store::requests::delete_job(&mut tx, user, id).await? {
        let detail = "The response is being stopped. Try again.";
        return Err(Error::new(Code::WrongState, detail).retry_after(1));
    }
    tx.commit().await?;
    // Nobody is told what is gone; if this fails, they expire.
    let _erased = ctx.events.erase(id).await;
    Ok(())
}
