//! Whether a provider and a model that somebody names are there. What is not there is refused when it is named, not when
//! the first message needs it.

use crate::{
    Context, Error, Result,
    domain::ids::{ProjectId, SessionId, UserId},
    store::{self, Querier},
};

/// What is named, and where it would be used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named<'a> {
    pub provider: Option<&'a str>,
    pub model: Option<&'a str>,
    pub project: Option<ProjectId>,
    pub session: Option<SessionId>,
    /// Whether others may answer in the provider's place: then it need not be there. `None`: as the project says.
    pub fallback: Option<bool>,
}

/// Refuses a message that names what cannot answer it. What is not named comes from the project, or the user's settings.
pub async fn check(ctx: &Context, q: &mut impl Querier, user: UserId, named: Named<'_>) -> Result<()> {
    if named.provider.is_none() && named.model.is_none() {
        return Ok(());
    }
    if named.fallback == Some(true) {
        return Ok(());
    }
    let known = named.provider.map(|provider| ctx.providers.refusal(provider, named.model, &[]));
    if known == Some(None) {
        return Ok(());
    }
    let project = match (named.project, named.session) {
        (Some(project), _) => Some(project),
        (None, Some(session)) => store::projects::of_session(q, user, session).await?,
        (None, None) => None,
    };
    if named.fallback.is_none()
        && let Some(project) = project
        && store::projects::get(q, user, project).await?.is_some_and(|found| found.fallback)
    {
        return Ok(());
    }
    let keys = match project {
        Some(project) => own_keys(q, user, project).await?,
        None => Vec::new(),
    };
    let provider = match named.provider {
        Some(provider) => provider.to_owned(),
        None => default_provider(ctx, q, user, project).await?,
    };
    match ctx.providers.refusal(&provider, named.model, &keys) {
        None => Ok(()),
        Some((field, wrong)) => Err(Error::field(field, wrong)),
    }
}

/// The providers that a project brings keys for.
pub async fn own_keys(q: &mut impl Querier, user: UserId, project: ProjectId) -> Result<Vec<String>> {
    let keys = store::projects::keys(q, user, project).await?;
    Ok(keys.into_iter().map(|key| key.provider).collect())
}

async fn default_provider(
    ctx: &Context,
    q: &mut impl Querier,
    user: UserId,
    project: Option<ProjectId>,
) -> Result<String> {
    if let Some(project) = project
        && let Some(found) = store::projects::get(q, user, project).await?
        && let Some(provider) = found.default_provider
    {
        return Ok(provider);
    }
    let set = super::settings::get(q, user).await?.chat_settings.default_provider;
    Ok(set.filter(|provider| ctx.providers.offers(provider)).unwrap_or_else(|| "auto".to_owned()))
}
