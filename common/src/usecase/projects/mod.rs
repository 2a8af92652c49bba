//! Projects, their prompts, and the keys they bring along.

mod keys;
mod prompts;
pub mod tools;

pub use keys::{delete_key, keys, put_key};
pub use prompts::{PromptDraft, change_prompt, create_prompt, delete_prompt, preview, prompt_in};

use super::{
    choice,
    repeat::{Repeatable, repeated},
};
use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{ProjectId, UserId},
        patch::Patch,
        texts::{Description, ModelName, Name},
    },
    error::{Code, Wrong},
    problems::Problems,
    store::{
        self, Querier,
        projects::{self, Project},
    },
};

#[derive(Debug, Clone, Default)]
pub struct ProjectDraft {
    pub name: Option<Name>,
    pub description: Option<Description>,
    pub default_provider: Patch<String>,
    pub default_model: Patch<ModelName>,
    pub temperature: Patch<f64>,
    pub fallback: Option<bool>,
}

impl ProjectDraft {
    /// What is wrong with it beside its texts, which were checked where they were made.
    pub fn check(&self, problems: &mut Problems) {
        let fits = self.temperature.new_value().is_none_or(|value| (0.0..=2.0).contains(value));
        problems.unless(fits, "temperature", Wrong::Range { min: 0, max: 2 });
    }

    fn checked(&self) -> Result<()> {
        let mut problems = Problems::default();
        self.check(&mut problems);
        problems.done()
    }

    /// Refuses a default that could not answer: `own` are the providers that the project has keys for.
    fn check_choice(&self, ctx: &Context, project: Option<&Project>, own: &[String]) -> Result<()> {
        if self.default_provider.new_value().is_none() && self.default_model.new_value().is_none() {
            return Ok(());
        }
        let provider = project.and_then(|project| project.default_provider.clone());
        let provider = self.default_provider.clone().over(provider);
        let model = project.and_then(|project| project.default_model.clone());
        let model = self.default_model.clone().map(ModelName::into_string).over(model);
        match ctx.providers.refusal(provider.as_deref().unwrap_or("auto"), model.as_deref(), own) {
            None => Ok(()),
            Some((_, Wrong::NoProvider { provider, there })) => {
                Err(Error::field("default_provider", Wrong::NoProviderKey { provider, there }))
            }
            Some((_, wrong)) => Err(Error::field("default_model", wrong)),
        }
    }

    fn apply(self, project: &mut Project) {
        if let Some(name) = self.name {
            project.name = name.into_string();
        }
        if let Some(description) = self.description {
            project.description = description.into_string();
        }
        self.default_provider.apply(&mut project.default_provider);
        self.default_model.map(ModelName::into_string).apply(&mut project.default_model);
        self.temperature.apply(&mut project.temperature);
        project.fallback = self.fallback.unwrap_or(project.fallback);
    }
}

pub async fn get(q: &mut impl Querier, user: UserId, id: ProjectId) -> Result<Project> {
    projects::get(q, user, id).await?.ok_or_else(|| Error::not_found("project"))
}

/// Makes a project. `true` when this answers a repeated request with the same key.
pub async fn create(
    ctx: &Context,
    user: UserId,
    draft: ProjectDraft,
    repeatable: Option<&Repeatable>,
) -> Result<(Project, bool)> {
    if draft.name.is_none() {
        return Err(Error::field("name", Wrong::Required));
    }
    draft.checked()?;
    draft.check_choice(ctx, None, &[])?;
    let now = clock::now();
    let mut project = Project {
        id: ProjectId::new(),
        name: String::new(),
        description: String::new(),
        default_provider: None,
        default_model: None,
        temperature: None,
        fallback: false,
        created_at: now,
        updated_at: now,
    };
    draft.apply(&mut project);
    let mut tx = ctx.db.begin().await?;
    if let Some(first) = repeated(ctx, &mut tx, user, "project", repeatable, project.id).await? {
        return Ok((get(&mut tx, user, first).await?, true));
    }
    projects::insert(&mut tx, user, &project).await?;
    tx.commit().await?;
    Ok((project, false))
}

pub async fn change(ctx: &Context, user: UserId, id: ProjectId, draft: ProjectDraft) -> Result<Project> {
    draft.checked()?;
    let mut tx = ctx.db.begin().await?;
    let mut project = get(&mut tx, user, id).await?;
    draft.check_choice(ctx, Some(&project), &choice::own_keys(&mut tx, user, id).await?)?;
    draft.apply(&mut project);
    project.updated_at = clock::now();
    projects::update(&mut tx, user, &project).await?;
    tx.commit().await?;
    Ok(project)
}

/// Sets what a project's chats may spend a day.
pub async fn set_budget(
    ctx: &Context,
    user: UserId,
    id: ProjectId,
    tokens: Option<i64>,
    cost: Option<f64>,
) -> Result<()> {
    super::budget::check_limits(tokens, cost)?;
    let mut tx = ctx.db.begin().await?;
    get(&mut tx, user, id).await?;
    let micros = cost.map(|cost| (cost * 1e6).round() as i64);
    store::usage::set(&mut tx, &id.to_string(), tokens, micros).await?;
    tx.commit().await
}

/// Deletes a project with its prompts and keys. Its sessions stay, in none, or go first: cut off in between, there is
/// still a project to delete.
pub async fn delete(ctx: &Context, user: UserId, id: ProjectId, with_sessions: bool) -> Result<()> {
    if with_sessions {
        delete_sessions(ctx, user, id).await?;
    }
    let mut tx = ctx.db.begin().await?;
    if !projects::delete(&mut tx, user, id).await? {
        return Err(Error::not_found("project"));
    }
    tx.commit().await
}

/// Some at a time, until none is left.
async fn delete_sessions(ctx: &Context, user: UserId, id: ProjectId) -> Result<()> {
    loop {
        let mut conn = ctx.db.read().await?;
        get(&mut conn, user, id).await?;
        let some = projects::sessions(&mut conn, user, id).await?;
        drop(conn);
        if some.is_empty() {
            return Ok(());
        }
        for session in some {
            match super::sessions::delete(ctx, user, session).await {
                Err(error) if error.code != Code::NotFound => return Err(error),
                _ => {}
            }
        }
    }
}
