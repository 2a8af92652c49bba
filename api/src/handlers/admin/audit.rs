//! The audit log.

use axum::{Json as Answer, extract::State};
use rapport_common::{
    domain::ids::{AuditId, UserId},
    store,
};
use serde::{Deserialize, Serialize};

use crate::{
    bodies::Entry,
    error::Result,
    extract::{Caller, Cursors, Query, encode_cursor},
    state::AppState,
};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    user_id: Option<String>,
    event: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct AuditList {
    items: Vec<Entry>,
    next_cursor: Option<String>,
}

/// List the audit log, newest first
///
/// Sign-ins, changes of accounts and keys, and what admins did: who, when, from which address.
#[utoipa::path(get, path = "/admin/audit", tag = "admin", params(AuditQuery, Cursors),
    responses((status = 200, description = "Entries", body = AuditList)))]
pub async fn audit(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<AuditQuery>,
    Query(page): Query<Cursors>,
) -> Result<Answer<AuditList>> {
    let (limit, before): (_, Option<AuditId>) = page.check()?;
    let user = query.user_id.map(|id| id.parse::<UserId>()).transpose();
    let Ok(user) = user else { return Ok(Answer(AuditList { items: Vec::new(), next_cursor: None })) };
    let mut conn = state.ctx.db.read().await?;
    let items = store::audit::list(&mut conn, before, user, query.event.as_deref(), limit).await?;
    let full = items.len() as i64 == limit;
    let next_cursor = items.last().filter(|_| full).map(|last| encode_cursor(&last.id));
    Ok(Answer(AuditList { items: items.into_iter().map(Entry::from).collect(), next_cursor }))
}
