//! Ending a title job: the title and the job's state commit together. A title the user gave stays.

use serde_json::json;

use crate::{
    Context, Result, clock,
    domain::{
        ids::{SessionId, UserId},
        job::{Job, JobStatus},
    },
    jobs::Ended,
    providers::Completion,
    store,
};

/// `None`: this attempt has lost the job.
pub async fn finish_title(
    ctx: &Context,
    job: &Job,
    user: UserId,
    session: SessionId,
    title: Option<&str>,
    answer: Option<&Completion>,
) -> Result<Option<Ended>> {
    let result = json!({"session_id": session, "title": title});
    let mut tx = ctx.db.begin().await?;
    // The session's row before the job's (docs/jobs.md, "Locks").
    store::sessions::lock(&mut tx, session).await?;
    let settled = store::ledger::settle(
        &mut tx,
        store::ledger::AttemptOf::job(job),
        JobStatus::Succeeded,
        Some(&result),
        None,
        clock::now(),
    );
    let Some(settled) = settled.await? else { return Ok(None) };
    if let Some(answer) = answer {
        super::budget::count(ctx, &mut tx, job, user, answer).await?;
    }
    if let Some(title) = title {
        store::sessions::title_from_model(&mut tx, session, title).await?;
    }
    tx.commit().await?;
    Ok(Some(Ended::new(settled, result)))
}
