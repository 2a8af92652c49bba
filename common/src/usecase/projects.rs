//! Projects, their prompts, and the keys they bring along.

use serde_json::{Value, json};
use sqlx::types::Json;

use super::{
    choice,
    memory::{Idempotency, repeated},
};
use crate::{
    Context, Error, Result,
    chat::template,
    clock,
    domain::{
        ids::{ProjectId, PromptId, UserId},
        patch::Patch,
        texts,
    },
    error::{Code, FieldError, Wrong},
    providers::NAMES,
    secret::Secret,
    store::{
        self, Querier, projects,
        projects::{Project, Prompt},
    },
};

/// Prompts of one project at most.
const PROMPTS_MAX: usize = 100;

#[derive(Debug, Clone, Default)]
pub struct ProjectDraft {
    pub name: Option<String>,
    pub description: Option<String>,
    pub default_provider: Patch<String>,
    pub default_model: Patch<String>,
    pub temperature: Patch<f64>,
    pub fallback: Option<bool>,
}

impl ProjectDraft {
    fn check(&self) -> Result<()> {
        let mut errors = Vec::new();
        let mut problem = |field: &str, wrong: Wrong| errors.push(FieldError::new(field, wrong));
        if let Some(name) = &self.name
            && let Some(wrong) = name_problem(name)
        {
            problem("name", wrong);
        }
        if self.description.as_ref().is_some_and(|text| !texts::fits(text, 2_000)) {
            problem("description", Wrong::Text { min: 0, max: 2_000 });
        }
        if self.default_model.new_value().is_some_and(|model| !texts::is_model(model)) {
            problem("default_model", Wrong::Text { min: 1, max: 200 });
        }
        if self.temperature.new_value().is_some_and(|temperature| !(0.0..=2.0).contains(temperature)) {
            problem("temperature", Wrong::Range { min: 0, max: 2 });
        }
        if errors.is_empty() { Ok(()) } else { Err(Error::fields(errors)) }
    }

    /// Refuses a default that could not answer: `own` are the providers that the project has keys for.
    fn check_choice(&self, ctx: &Context, project: Option<&Project>, own: &[String]) -> Result<()> {
        if self.default_provider.new_value().is_none() && self.default_model.new_value().is_none() {
            return Ok(());
        }
        let provider = project.and_then(|project| project.default_provider.clone());
        let provider = self.default_provider.clone().over(provider);
        let model = project.and_then(|project| project.default_model.clone());
        let model = self.default_model.clone().over(model);
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
            project.name = name.trim().to_owned();
        }
        project.description = self.description.unwrap_or_else(|| project.description.clone());
        self.default_provider.apply(&mut project.default_provider);
        self.default_model.apply(&mut project.default_model);
        self.temperature.apply(&mut project.temperature);
        project.fallback = self.fallback.unwrap_or(project.fallback);
    }
}

fn name_problem(name: &str) -> Option<Wrong> {
    let length = name.trim().chars().count();
    (length == 0 || length > 100 || name.chars().any(char::is_control))
        .then_some(Wrong::Line { min: 1, max: 100 })
}

pub async fn get(q: &mut impl Querier, user: UserId, id: ProjectId) -> Result<Project> {
    projects::get(q, user, id).await?.ok_or_else(|| Error::not_found("project"))
}

/// Makes a project. `true` when this answers a repeated request with the same key.
pub async fn create(
    ctx: &Context,
    user: UserId,
    draft: ProjectDraft,
    idempotency: &Idempotency,
) -> Result<(Project, bool)> {
    if draft.name.is_none() {
        return Err(Error::field("name", Wrong::Required));
    }
    draft.check()?;
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
    if let Some(first) = repeated(ctx, &mut tx, user, "project", idempotency, &project.id.to_string()).await?
    {
        let id = first.parse().map_err(|_| Error::not_found("project"))?;
        return Ok((get(&mut tx, user, id).await?, true));
    }
    projects::insert(&mut tx, user, &project).await?;
    tx.commit().await?;
    Ok((project, false))
}

pub async fn change(ctx: &Context, user: UserId, id: ProjectId, draft: ProjectDraft) -> Result<Project> {
    draft.check()?;
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

#[derive(Debug, Clone, Default)]
pub struct PromptDraft {
    pub name: Option<String>,
    pub content: Option<String>,
    pub variables: Option<Value>,
    pub is_active: Option<bool>,
    /// An earlier version to use again.
    pub version: Option<i64>,
}

async fn check_template(content: &str, variables: &Value) -> Result<()> {
    if content.trim().is_empty() || !texts::fits(content, template::TEMPLATE_MAX) {
        return Err(Error::field("content", Wrong::Text { min: 1, max: template::TEMPLATE_MAX }));
    }
    let sample = template::variables("Ann", "Project", "", "2026-01-31", variables);
    template::checked(content.to_owned(), sample, "content").await
}

fn check_variables(variables: &Value) -> Result<()> {
    let Some(object) = variables.as_object() else {
        return Err(Error::field("variables", Wrong::NotObject));
    };
    let named = |name: &String| {
        let mut letters = name.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !object.keys().all(named) {
        return Err(Error::field("variables", Wrong::VariableNames));
    }
    let text = variables.to_string();
    if text.len() > 20_000 || text.contains("\\u0000") {
        return Err(Error::field("variables", Wrong::Bytes { max: 20_000, nul: true }));
    }
    Ok(())
}

pub async fn create_prompt(
    ctx: &Context,
    user: UserId,
    project: ProjectId,
    draft: PromptDraft,
    idempotency: &Idempotency,
) -> Result<(Prompt, bool)> {
    let name = draft.name.ok_or_else(|| Error::field("name", Wrong::Required))?;
    if let Some(wrong) = name_problem(&name) {
        return Err(Error::field("name", wrong));
    }
    let content = draft.content.ok_or_else(|| Error::field("content", Wrong::Required))?;
    let variables = draft.variables.unwrap_or_else(|| json!({}));
    check_variables(&variables)?;
    check_template(&content, &variables).await?;
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    get(&mut tx, user, project).await?;
    let known = projects::prompts(&mut tx, user, project).await?;
    let id = PromptId::new();
    if let Some(first) = repeated(ctx, &mut tx, user, "prompt", idempotency, &id.to_string()).await? {
        let id = first.parse().map_err(|_| Error::not_found("prompt"))?;
        return Ok((prompt_in(&mut tx, user, project, id).await?, true));
    }
    if known.len() >= PROMPTS_MAX {
        return Err(Error::new(Code::Conflict, format!("A project has at most {PROMPTS_MAX} prompts.")));
    }
    // The first one is what the project wants, unless it says otherwise.
    let is_active = draft.is_active.unwrap_or_else(|| !known.iter().any(|prompt| prompt.is_active));
    if is_active {
        projects::none_active(&mut tx, user, project).await?;
    }
    let prompt = Prompt {
        id,
        project_id: project,
        name: name.trim().to_owned(),
        content,
        version: 1,
        variables: Json(variables),
        is_active,
        created_at: now,
        updated_at: now,
    };
    projects::insert_prompt(&mut tx, user, &prompt).await?;
    tx.commit().await?;
    Ok((prompt, false))
}

pub async fn prompt_in(
    q: &mut impl Querier,
    user: UserId,
    project: ProjectId,
    id: PromptId,
) -> Result<Prompt> {
    projects::prompt(q, user, project, id).await?.ok_or_else(|| Error::not_found("prompt"))
}

/// Puts the text and the variables that a draft names into a prompt.
async fn edit(q: &mut impl Querier, user: UserId, prompt: &mut Prompt, draft: &PromptDraft) -> Result<()> {
    if let Some(variables) = &draft.variables {
        check_variables(variables)?;
        prompt.variables = Json(variables.clone());
    }
    if let Some(content) = &draft.content {
        prompt.content = content.clone();
    } else if let Some(version) = draft.version {
        let versions = projects::versions(q, user, prompt.id).await?;
        let Some(found) = versions.into_iter().find(|found| found.version == version) else {
            return Err(Error::field("version", Wrong::Unfit("is not one of this prompt's")));
        };
        prompt.version = version;
        prompt.content = found.content;
    }
    Ok(())
}

/// Changes a prompt. Another text is another version; `version` alone goes back to one there was.
pub async fn change_prompt(
    ctx: &Context,
    user: UserId,
    project: ProjectId,
    id: PromptId,
    draft: PromptDraft,
) -> Result<Prompt> {
    if draft.content.is_some() && draft.version.is_some() {
        return Err(Error::field("version", Wrong::NotWith("content")));
    }
    if let Some(wrong) = draft.name.as_deref().and_then(name_problem) {
        return Err(Error::field("name", wrong));
    }
    // Checked before the transaction, which others wait for.
    let mut checked = prompt_in(&mut ctx.db.read().await?, user, project, id).await?;
    edit(&mut ctx.db.read().await?, user, &mut checked, &draft).await?;
    check_template(&checked.content, &checked.variables.0).await?;
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    // Its row is taken by the first update; two edits at once get two versions.
    store::memory_log::take_version(&mut tx, user).await?;
    let mut prompt = prompt_in(&mut tx, user, project, id).await?;
    let before = prompt.content.clone();
    edit(&mut tx, user, &mut prompt, &draft).await?;
    if (&prompt.content, &prompt.variables) != (&checked.content, &checked.variables) {
        return Err(Error::new(
            Code::WrongState,
            "The prompt was changed by somebody else just now. Try again.",
        ));
    }
    if draft.content.is_some() && prompt.content != before {
        prompt.version = projects::last_version(&mut tx, id).await? + 1;
        projects::insert_version(&mut tx, id, prompt.version, &prompt.content, now).await?;
    }
    if let Some(name) = draft.name {
        prompt.name = name.trim().to_owned();
    }
    if let Some(is_active) = draft.is_active {
        if is_active && !prompt.is_active {
            projects::none_active(&mut tx, user, project).await?;
        }
        prompt.is_active = is_active;
    }
    prompt.updated_at = now;
    projects::update_prompt(&mut tx, user, &prompt).await?;
    let prompt = prompt_in(&mut tx, user, project, id).await?;
    tx.commit().await?;
    Ok(prompt)
}

pub async fn delete_prompt(ctx: &Context, user: UserId, project: ProjectId, id: PromptId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    if !projects::delete_prompt(&mut tx, user, project, id).await? {
        return Err(Error::not_found("prompt"));
    }
    tx.commit().await
}

/// Renders a template as a chat in the project would.
pub async fn preview(
    ctx: &Context,
    user: UserId,
    project: ProjectId,
    content: Option<String>,
    prompt: Option<PromptId>,
    variables: Option<Value>,
) -> Result<String> {
    let mut conn = ctx.db.read().await?;
    let project = get(&mut conn, user, project).await?;
    let (content, own) = match (content, prompt) {
        (Some(content), None) => (content, json!({})),
        (None, Some(id)) => {
            let prompt = prompt_in(&mut conn, user, project.id, id).await?;
            (prompt.content, prompt.variables.0)
        }
        _ => return Err(Error::field("content", Wrong::OnlyThisOr("prompt_id"))),
    };
    let own = variables.unwrap_or(own);
    check_variables(&own)?;
    let name = store::users::get(&mut conn, user).await?.map(|user| user.display_name()).unwrap_or_default();
    drop(conn);
    check_template(&content, &own).await?;
    let date = clock::now().format("%Y-%m-%d").to_string();
    let memories = "(what is remembered of the user)";
    let all = template::variables(&name, &project.name, memories, &date, &own);
    template::rendered(content, all, "content").await
}

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
    if !NAMES.contains(&provider) || ["auto", "mock"].contains(&provider) {
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
    super::audit::note(&mut tx, user, "provider_key_set", address, Some(detail)).await?;
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
    let open = |(provider, sealed, _): (String, Vec<u8>, _)| {
        let key = ctx.sealer.open(&place(project, &provider), &sealed);
        if key.is_none() {
            tracing::warn!(%project, provider, "a sealed key does not open: ENCRYPTION_KEY has changed");
        }
        Some((provider, key?))
    };
    Ok(sealed.into_iter().filter_map(open).collect())
}
