//! Keys of providers that projects bring along, sealed.

use serde_json::json;

use super::get;
use crate::{
    Context, Error, Result, clock,
    domain::ids::{ProjectId, UserId},
    error::Wrong,
    secret::Secret,
    settings::PROVIDERS,
    store::projects::{self, ProviderKey},
    usecase::audit,
};

fn place(project: ProjectId, provider: &str) -> String {
    format!("{project}|{provider}")
}

/// Keeps a provider's key for a project, sealed.
pub async fn put_key(
    ctx: &Context,
    user: UserId,
    project: ProjectId,
    provider: &str,
    key: &str,
    address: Option<&str>,
) -> Result<()> {
    if !PROVIDERS.contains(&provider) {
        return Err(Error::not_found("provider"));
    }
    if !(8..=500).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::field("api_key", Wrong::Ascii { min: 8, max: 500 }));
    }
    let sealed = ctx.sealer.seal(&place(project, provider), &Secret::new(key))?;
    let mut tx = ctx.db.begin().await?;
    get(&mut tx, user, project).await?;
    projects::put_key(&mut tx, user, project, provider, &sealed, clock::now()).await?;
    let detail = json!({"project": project, "provider": provider});
    audit::note(&mut tx, user, "provider_key_set", address, Some(detail)).await?;
    tx.commit().await
}

pub async fn delete_key(ctx: &Context, user: UserId, project: ProjectId, provider: &str) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    if !projects::delete_key(&mut tx, user, project, provider).await? {
        return Err(Error::not_found("key"));
    }
    tx.commit().await
}

/// The keys a project brings along, opened. One that does not open (its sealing key is gone) is left out.
pub async fn keys(ctx: &Context, user: UserId, project: ProjectId) -> Result<Vec<(String, Secret)>> {
    let sealed = projects::keys(&mut ctx.db.read().await?, user, project).await?;
    let open = |ProviderKey { provider, sealed, .. }| {
        let key = ctx.sealer.open(&place(project, &provider), &sealed);
        if key.is_none() {
            tracing::warn!(%project, provider, "a sealed key does not open: ENCRYPTION_KEY has changed");
        }
        Some((provider, key?))
    };
    Ok(sealed.into_iter().filter_map(open).collect())
}
