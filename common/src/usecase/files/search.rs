//! Which files a search or a conversation looks into, and what a prompt gets of them.

use std::time::Duration;

use serde_json::Value;

use crate::{
    Context, Error, Result,
    domain::{
        file::File,
        ids::{FileId, ProjectId, SessionId, UserId},
    },
    memory::rank::Mode,
    passages::{self as rules, frame},
    store::{self, chunks::Chunk},
    usecase::memory::search::passages::{Passage, passages},
};

/// Search that takes longer is not waited for: the answer does without.
const DEADLINE: Duration = Duration::from_millis(500);
/// Passages considered for a prompt.
const MOST: usize = 16;
/// Characters of a question that are searched for.
pub const QUESTION: usize = 2_000;

/// Where to look; everywhere, if nothing is named.
#[derive(Debug, Clone, Default)]
pub struct Within {
    pub files: Option<Vec<FileId>>,
    pub session: Option<SessionId>,
    pub project: Option<ProjectId>,
}

/// The files that are meant. What is not the user's is not there.
async fn meant(ctx: &Context, user: UserId, within: &Within) -> Result<Vec<File>> {
    let mut conn = ctx.db.read().await?;
    let mut ids: Vec<FileId> = within.files.clone().unwrap_or_default();
    let wanted = ids.len();
    if wanted > 0 && store::files::named(&mut conn, user, &ids).await?.len() < wanted {
        return Err(Error::not_found("file"));
    }
    if let Some(session) = within.session {
        store::sessions::get(&mut conn, user, session).await?.ok_or_else(|| Error::not_found("session"))?;
        ids.extend(store::files::of_session(&mut conn, user, session).await?.iter().map(|file| file.id));
    }
    if let Some(project) = within.project {
        crate::usecase::projects::get(&mut conn, user, project).await?;
        ids.extend(store::files::of_project(&mut conn, user, project).await?.iter().map(|file| file.id));
    }
    if within.files.is_none() && within.session.is_none() && within.project.is_none() {
        return Ok(store::files::readable(&mut conn, user).await?);
    }
    let mut files = store::files::named(&mut conn, user, &ids).await?;
    files.retain(|file| file.generation.is_some());
    Ok(files)
}

/// The best passages for a question.
pub async fn search(
    ctx: &Context,
    user: UserId,
    within: &Within,
    (question, mode): (&str, Mode),
    limit: usize,
) -> Result<Vec<Passage>> {
    let mut within = within.clone();
    if let Some(files) = &mut within.files {
        files.sort_unstable();
        files.dedup();
    }
    let files = meant(ctx, user, &within).await?;
    passages(ctx, user, &files, (question, mode), limit).await
}

/// What a prompt gets of the files that its conversation names.
#[derive(Debug, Default)]
pub struct Knowledge {
    /// For the system prompt; empty when nothing bears on the question.
    pub block: String,
    /// What is in it, in its order: each with its file's name and its score.
    pub used: Vec<(Chunk, String, f64)>,
    /// What the client is told of a search that it asked for itself: `queries`, and `results` if it wants to see them.
    pub told: Option<Value>,
}

/// The passages for a question. Never fails: without them, the answer is given without them.
pub async fn for_prompt(
    ctx: &Context,
    user: UserId,
    session: SessionId,
    project: Option<ProjectId>,
    question: &str,
) -> Knowledge {
    if ctx.settings.files.context_tokens == 0 {
        return Knowledge::default();
    }
    let found = tokio::time::timeout(DEADLINE, find(ctx, user, session, project, question)).await;
    let found = match found {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::warn!(%error, "answering without the files");
            return Knowledge::default();
        }
        Err(_) => {
            tracing::warn!("answering without the files: search took too long");
            return Knowledge::default();
        }
    };
    framed(ctx, &found)
}

/// What fits of the best passages.
pub fn framed(ctx: &Context, found: &[Passage]) -> Knowledge {
    let framed = found.iter().map(|passage| rules::Passage {
        file: passage.file.clone(),
        page: passage.chunk.page,
        heading: passage.chunk.heading.clone(),
        content: passage.chunk.content.clone(),
    });
    let (block, used) = frame(&framed.collect::<Vec<_>>(), ctx.settings.files.context_tokens);
    let used = used.into_iter().filter_map(|at| found.get(at));
    let used = used.map(|one| (one.chunk.clone(), one.file.clone(), one.explained.score)).collect();
    Knowledge { block, used, told: None }
}

async fn find(
    ctx: &Context,
    user: UserId,
    session: SessionId,
    project: Option<ProjectId>,
    question: &str,
) -> Result<Vec<Passage>> {
    let files = store::files::for_chat(&mut ctx.db.read().await?, user, session, project).await?;
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let question: String = question.chars().take(QUESTION).collect();
    let mut found = passages(ctx, user, &files, (&question, Mode::Hybrid), MOST).await?;
    found.retain(|passage| passage.is_relevant);
    Ok(found)
}
