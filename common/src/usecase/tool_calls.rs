//! Calls of tools are written down before they are made.

use crate::{
    Context, Result, clock,
    domain::job::Job,
    store::tool_calls::{self, NewCall},
};

/// Writes down that a call begins. What changes something must not be made without it, so that outlives a power cut.
/// `false`: this attempt has lost the job, and must not make the call.
pub async fn begin(
    ctx: &Context,
    job: &Job,
    step: i64,
    name: &str,
    arguments: &str,
    read_only: bool,
) -> Result<bool> {
    let (call, now) = (NewCall { step, name, arguments, read_only }, clock::now());
    if read_only {
        let mut conn = ctx.db.relaxed().await?;
        return Ok(tool_calls::begin(&mut conn, job, call, now).await?);
    }
    let mut tx = ctx.db.begin().await?;
    let begun = tool_calls::begin(&mut tx, job, call, now).await?;
    tx.commit().await?;
    Ok(begun)
}
