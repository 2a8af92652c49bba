//! What the page must know before it can show anything, in one request.

use axum::{Extension, Json as Answer, extract::State};
use rapport_common::{
    domain::user::{Scope, User},
    store,
    usecase::settings::{self, UserSettings},
};
use serde::Serialize;

use crate::{
    error::Result,
    extract::{Asked, Identity},
    state::AppState,
};

#[derive(Serialize, utoipa::ToSchema)]
pub struct Boot {
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Of the UI's files; a page that was loaded with another one should be loaded again.
    ui_version: &'static str,
    /// Whether anybody has registered yet.
    has_accounts: bool,
    /// Whether mail is sent (`smtp`) or written into a folder (`outbox`).
    #[schema(example = "outbox")]
    mail: &'static str,
    /// Whether a real model answers, not only the built-in mock.
    has_model: bool,
    /// Who is signed in; the three below come with it.
    user: Option<User>,
    settings: Option<UserSettings>,
    /// Memories that await the user.
    pending_memories: Option<i64>,
    open_conflicts: Option<i64>,
}

/// What a user interface needs first
///
/// In one request: the service's state, and the account's when signed in.
#[utoipa::path(get, path = "/ui/boot", tag = "service", security(()),
    responses((status = 200, description = "What is known", body = Boot)))]
pub async fn boot(State(state): State<AppState>, Extension(asked): Extension<Asked>) -> Result<Answer<Boot>> {
    let ctx = &state.ctx;
    let mut conn = ctx.db.read().await?;
    let mut boot = Boot {
        version: env!("CARGO_PKG_VERSION"),
        ui_version: super::version(ctx.settings.ui_dir.as_deref()),
        has_accounts: store::users::any(&mut conn).await?,
        mail: if ctx.settings.email.smtp_server.is_some() { "smtp" } else { "outbox" },
        has_model: ctx.providers.offered_names().iter().any(|name| !["auto", "mock"].contains(name)),
        user: None,
        settings: None,
        pending_memories: None,
        open_conflicts: None,
    };
    if let Identity::Somebody(caller) = asked.identity
        && caller.may(Scope::Account)
    {
        boot.user = store::users::get(&mut conn, caller.user).await?;
        boot.settings = Some(settings::get(&mut conn, caller.user).await?);
        let (pending, conflicts) = store::memory_stats::awaiting(&mut conn, caller.user).await?;
        (boot.pending_memories, boot.open_conflicts) = (Some(pending), Some(conflicts));
    }
    Ok(Answer(boot))
}
