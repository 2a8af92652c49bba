//! What a user did and spent.

use axum::{Json as Answer, extract::State};
use rapport_common::usecase::budget::{self, Left};

use crate::{error::Result, extract::Caller, state::AppState};

/// What is left of today's budget
///
/// A day is one in UTC. Without a limit, what is left is null.
#[utoipa::path(get, path = "/analytics/quota", tag = "analytics",
    responses((status = 200, description = "The budget", body = Left)))]
pub async fn quota(State(state): State<AppState>, Caller(caller): Caller) -> Result<Answer<Left>> {
    Ok(Answer(budget::left(&state.ctx, caller.user, None).await?))
}
