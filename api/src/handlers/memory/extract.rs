//! Reading conversations again.

use axum::{Json as Answer, extract::State, response::Response};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error, clock,
    domain::{ids::SessionId, memory::RunOutcome, message::Usage},
    error::Wrong,
    store::extraction,
    usecase::memory::extraction::read_again,
};
use serde::{Deserialize, Serialize};

use super::result_of;
use crate::{
    error::Result,
    extract::{Caller, Keyed, Prefer, SkipParams, SkipQuery},
    handlers::jobs::JobView,
    state::AppState,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ExtractBody {
    /// One session; without it `backfill` must be true.
    session_id: Option<String>,
    /// All sessions of the account.
    #[serde(default)]
    backfill: bool,
    /// Tell what would be added, changed, removed or is blocked by a decision, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Read a session, or all sessions, again for memories
///
/// Idempotent: what is known gains no second evidence from the same message, decisions hold, deleted facts stay deleted. A
/// job with progress; waits for it as chat does.
#[utoipa::path(post, path = "/memory/extract", tag = "memory", request_body = ExtractBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters"),
           ("Prefer" = Option<String>, Header, description = "`respond-async` or `wait=N` (0-120 seconds)")),
    responses((status = 200, description = "What came of it", body = Object),
              (status = 202, description = "Not done yet: the job", body = JobView),
              (status = 404, description = "There is no such session", body = crate::problem::Problem),
              (status = 502, description = "The model failed", body = crate::problem::Problem)))]
pub async fn extract(
    State(state): State<AppState>,
    Caller(caller): Caller,
    prefer: Prefer,
    Keyed(body, repeatable): Keyed<ExtractBody>,
) -> Result<Response> {
    let session = match (&body.session_id, body.backfill) {
        (Some(text), false) => Some(text.parse::<SessionId>().map_err(|_| Error::not_found("session"))?),
        (None, true) => None,
        _ => return Err(Error::field("session_id", Wrong::OnlyThisOr("backfill: true")).into()),
    };
    let job = read_again(&state.ctx, caller.user, session, body.dry_run, repeatable.as_ref()).await?;
    result_of(&state, &caller, job, prefer).await
}

/// One window that was read.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RunView {
    #[schema(value_type = String)]
    session_id: SessionId,
    from_seq: i64,
    to_seq: i64,
    extractor_version: String,
    /// `facts`, `no_facts`, `invalid_output` or `provider_error`.
    #[schema(value_type = String)]
    outcome: RunOutcome,
    facts: i64,
    created: i64,
    /// Kept out by decisions of the user.
    blocked: i64,
    /// Not believed: the quote is not in the message.
    unsupported: i64,
    provider: Option<String>,
    model: Option<String>,
    usage: Option<Usage>,
    /// US dollars, where the model's price is known.
    cost: Option<f64>,
    #[serde(with = "clock::rfc3339_millis")]
    created_at: DateTime<Utc>,
}

/// List which parts of conversations were read for memories
///
/// Each with what was found, by which model, and what it cost.
#[utoipa::path(get, path = "/memory/extract/runs", tag = "memory", params(SkipParams),
    responses((status = 200, description = "The newest first", body = [RunView])))]
pub async fn runs(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SkipQuery { limit, skip }: SkipQuery,
) -> Result<Answer<Vec<RunView>>> {
    let runs = extraction::runs(&mut state.ctx.db.read().await?, caller.user, limit, skip).await?;
    let view = |run: extraction::Run| RunView {
        session_id: run.session_id,
        from_seq: run.from_seq,
        to_seq: run.to_seq,
        extractor_version: run.extractor_version,
        outcome: run.outcome,
        facts: run.facts,
        created: run.created,
        blocked: run.blocked,
        unsupported: run.unsupported,
        provider: run.provider,
        model: run.model,
        usage: run.usage,
        cost: run.cost,
        created_at: run.created_at,
    };
    Ok(Answer(runs.into_iter().map(view).collect()))
}
