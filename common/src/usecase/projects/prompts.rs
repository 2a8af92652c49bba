//! Prompts of projects: templates, their versions, and how they would be rendered.

use serde_json::{Value, json};

use super::get;
use crate::{
    Context, Error, Result,
    chat::template,
    clock,
    domain::{
        ids::{ProjectId, PromptId, UserId},
        texts::{self, Name},
    },
    error::{Code, Wrong},
    store::{
        self, Querier,
        projects::{self, Prompt},
    },
    usecase::repeat::{Repeatable, repeated},
};

/// Prompts of one project at most.
const PROMPTS_MAX: usize = 100;

#[derive(Debug, Clone, Default)]
pub struct PromptDraft {
    pub name: Option<Name>,
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
    repeatable: Option<&Repeatable>,
) -> Result<(Prompt, bool)> {
    let name = draft.name.ok_or_else(|| Error::field("name", Wrong::Required))?;
    let content = draft.content.ok_or_else(|| Error::field("content", Wrong::Required))?;
    let variables = draft.variables.unwrap_or_else(|| json!({}));
    check_variables(&variables)?;
    check_template(&content, &variables).await?;
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    get(&mut tx, user, project).await?;
    let known = projects::prompts(&mut tx, user, project).await?;
    let id = PromptId::new();
    if let Some(first) = repeated(ctx, &mut tx, user, "prompt", repeatable, id).await? {
        return Ok((prompt_in(&mut tx, user, project, first).await?, true));
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
        name: name.into_string(),
        content,
        version: 1,
        variables,
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
        prompt.variables = variables.clone();
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
    // Checked before the transaction, which others wait for.
    let mut checked = prompt_in(&mut ctx.db.read().await?, user, project, id).await?;
    edit(&mut ctx.db.read().await?, user, &mut checked, &draft).await?;
    check_template(&checked.content, &checked.variables).await?;
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
        prompt.name = name.into_string();
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
            (prompt.content, prompt.variables)
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
