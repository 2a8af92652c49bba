//! The audit log.

use axum::{Json as Answer, extract::State};
use rapport_common::{
    domain::ids::{AuditId, UserId},
    store,
};
use serde::Deserialize;

use crate::{
    bodies::Entry,
    error::Result,
    extract::{Caller, CursorParams, CursorQuery, Query},
    page::{Page, listed},
    state::AppState,
};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    user_id: Option<String>,
    event: Option<String>,
}

listed!(AuditList = Page<Entry>);

/// List the audit log, newest first
///
/// Sign-ins, changes of accounts and keys, and what admins did: who, when, from which address.
#[utoipa::path(get, path = "/admin/audit", tag = "admin", params(AuditQuery, CursorParams),
    responses((status = 200, description = "Entries", body = AuditList)))]
pub async fn audit(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<AuditQuery>,
    CursorQuery { limit, after }: CursorQuery<AuditId>,
) -> Result<Answer<AuditList>> {
    let user = query.user_id.map(|id| id.parse::<UserId>()).transpose();
    let Ok(user) = user else { return Ok(Answer(Page::empty())) };
    let mut conn = state.ctx.db.read().await?;
    let items = store::audit::list(&mut conn, after, user, query.event.as_deref(), limit).await?;
    Ok(Answer(Page::of(items, limit, |last| last.id)))
}
