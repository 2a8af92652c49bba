//! Ending a chat job: the answer and the job's final state commit in one fenced transaction, or neither does.

use serde_json::{Value, json};

use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{ProjectId, SessionId, UserId},
        job::{Job, JobStatus},
        message::{AnswerSource, Details, MessageStatus, Role, Usage, Used},
        prompt::ToolCall,
    },
    jobs::{
        Ended,
        payload::{ChatPayload, TitlePayload},
    },
    store::{
        self, Db, Tx,
        answers::{self, Answered, Counted, Ending},
        db::Durability,
        group::Fate,
        jobs::{NewJob, Ready},
        ledger::AttemptOf,
        messages::NewMessage,
        usage::Spent,
    },
};

use super::fates::fates;

/// What a model said, whole or up to where it was stopped.
#[derive(Default)]
pub struct Answer {
    pub content: String,
    pub provider: String,
    pub model: String,
    pub usage: Usage,
    pub finish_reason: String,
    /// It was stopped on request.
    pub cancelled: bool,
    /// The memories that stood in the prompt.
    pub memories: Vec<Used>,
    /// What of the user's files it rests on.
    pub sources: Vec<AnswerSource>,
    /// Tools that were called: name, arguments, whether it worked, milliseconds.
    pub tool_calls: Vec<Value>,
    /// US dollars, where the model's price is known.
    pub cost: Option<f64>,
    /// The session's project.
    pub project: Option<ProjectId>,
    /// How likely each of its tokens was, in OpenAI's form, if its client wants to know.
    pub logprobs: Vec<Value>,
    /// Calls of the client's own functions, for it to make.
    pub handed: Vec<ToolCall>,
    /// What its client is told of a search that it asked for.
    pub search: Option<Value>,
    /// The same of the MCP servers that it named: what they have, and what they were asked.
    pub servers: Option<Value>,
}

/// The owner every chat job has.
pub fn owner(job: &Job) -> Result<UserId> {
    job.user_id.ok_or_else(|| Error::internal("a chat job without user"))
}

/// And the session of one that is a turn.
pub fn whose(job: &Job) -> Result<(UserId, SessionId)> {
    job.user_id.zip(job.session_id).ok_or_else(|| Error::internal("a chat job without user or session"))
}

/// The 200 body of `POST /chat`, which is also the data of `done` and the job's result.
pub fn reply(job: &Job, payload: &ChatPayload, answer: &Answer) -> Value {
    let mut reply = json!({
        "message_id": payload.answer_id,
        "session_id": job.session_id,
        "job_id": job.id,
        "reply": answer.content,
        "model": answer.model,
        "provider": answer.provider,
        "usage": answer.usage,
        "memories_used": answer.memories.len(),
        "sources": answer.sources,
        "tool_calls": answer.tool_calls,
        "finish_reason": answer.finish_reason,
        "created_at": clock::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
    });
    if !answer.handed.is_empty() {
        reply["calls"] = json!(answer.handed);
    }
    if let Some(search) = &answer.search {
        reply["file_search"] = search.clone();
    }
    if let Some(servers) = &answer.servers {
        reply["mcp"] = servers.clone();
    }
    if !answer.logprobs.is_empty() {
        reply["logprobs"] = json!(answer.logprobs);
    }
    reply
}

/// Stores the answer. `None`: this attempt has lost the job, and nothing was stored.
pub async fn finish_chat(
    ctx: &Context,
    job: &Job,
    payload: &ChatPayload,
    answer: &Answer,
) -> Result<Option<Ended>> {
    let result = reply(job, payload, answer);
    let status = if answer.cancelled { JobStatus::Cancelled } else { JobStatus::Succeeded };
    if job.session_id.is_none() {
        return finish_alone(ctx, job, payload, answer, (status, &result)).await;
    }
    // The first answer of a session asks for a title.
    let is_first = payload.seq == 1 && !answer.cancelled && !payload.again;
    let ending = ending(job, payload, answer, (status, &result))?;
    if !is_first && !payload.again && !payload.request && ctx.db.is_grouping() {
        let Answered::Stored(settled, next) = in_group(ctx, ending).await? else { return Ok(None) };
        ctx.announce(next).await;
        return Ok(Some(Ended::new(settled, result)));
    }
    let mut tx = ctx.db.begin().await?;
    if payload.again {
        // The answer there was gives way, and stays as a variant. Lost, all of this is.
        let (user, session) = whose(job)?;
        let moved = store::branches::keep_variant(&mut tx, user, session, payload.seq + 1).await?;
        store::sessions::count_message(&mut tx, session, -(moved as i64), ending.at).await?;
    }
    let Answered::Stored(settled, next) = answers::answer(&mut tx, &ending).await? else { return Ok(None) };
    if payload.request {
        store::requests::delete(&mut tx, owner(job)?, job.id).await?;
    }
    let title = if is_first { enqueue_title(ctx, &mut tx, job, payload).await? } else { None };
    tx.commit().await?;
    ctx.announce(next.into_iter().chain(title)).await;
    Ok(Some(Ended::new(settled, result)))
}

/// Ends a job that is a request of no session: its answer is its result.
async fn finish_alone(
    ctx: &Context,
    job: &Job,
    payload: &ChatPayload,
    answer: &Answer,
    (status, result): (JobStatus, &Value),
) -> Result<Option<Ended>> {
    let kind = if payload.relaxed { Durability::Relaxed } else { Durability::Durable };
    let mut tx = ctx.db.begin_whole(kind).await?;
    let project = answer.project.map(|id| id.to_string()).unwrap_or_default();
    let spent = spent(job, payload, answer, &project)?;
    let attempt = AttemptOf::job(job);
    let ended = store::whole::end(&mut tx, attempt, status, result, spent, clock::now());
    let Some(settled) = ended.await? else { return Ok(None) };
    tx.commit().await?;
    Ok(Some(Ended::new(settled, result.clone())))
}

/// Stores an answer together with others that end in this moment.
async fn in_group(ctx: &Context, ending: Ending) -> Result<Answered> {
    let db = ctx.db.clone();
    let run = move |endings| {
        let db = db.clone();
        async move { answer_all(&db, endings).await }
    };
    match ctx.groups.answers.join(ending, run).await {
        None => Err(Error::unavailable("database", "no word of a group of answers")),
        Some(Fate::Done(answered)) => answered,
        Some(Fate::Alone(ending)) => Ok(answers::answer(&mut ctx.db.begin_single().await?, &ending).await?),
    }
}

/// Those of several that wait for nobody.
async fn answer_all(db: &Db, endings: Vec<Ending>) -> Vec<Fate<Ending, Result<Answered>>> {
    let all = async { answers::answer_free(&mut db.begin_single().await?, &endings).await };
    let stored = all.await;
    fates(endings, stored)
}

/// How a turn's job ends.
fn ending(
    job: &Job,
    payload: &ChatPayload,
    answer: &Answer,
    (status, result): (JobStatus, &Value),
) -> Result<Ending> {
    let (user, session) = whose(job)?;
    let message_status = if answer.cancelled { MessageStatus::Cancelled } else { MessageStatus::Complete };
    let known = !answer.provider.is_empty();
    let counted = Counted {
        project: answer.project.map(|id| id.to_string()).unwrap_or_default(),
        api_key: payload.api_key.clone().unwrap_or_default(),
        cost: answer.cost,
        usage: answer.usage,
    };
    Ok(Ending {
        job: job.id,
        attempt: job.attempt,
        queue: job.queue,
        status,
        result: result.clone(),
        user,
        session,
        message: payload.answer_id,
        seq: payload.seq + 1,
        content: answer.content.clone(),
        message_status,
        provider: known.then(|| answer.provider.clone()),
        model: known.then(|| answer.model.clone()),
        usage: known.then_some(answer.usage),
        remember: payload.enable_memory != Some(false),
        details: details(job, answer),
        spent: (known && answer.usage.total_tokens > 0).then_some(counted),
        at: clock::now(),
    })
}

/// What the answer used, to be counted with it.
fn spent<'a>(
    job: &Job,
    payload: &'a ChatPayload,
    answer: &'a Answer,
    project: &'a str,
) -> Result<Option<Spent<'a>>> {
    if answer.provider.is_empty() || answer.usage.total_tokens == 0 {
        return Ok(None);
    }
    Ok(Some(Spent {
        user: owner(job)?,
        project,
        api_key: payload.api_key.as_deref().unwrap_or_default(),
        provider: &answer.provider,
        model: &answer.model,
        kind: job.kind.as_str(),
        usage: answer.usage,
        cost: answer.cost,
        at: clock::now(),
    }))
}

/// What is kept beside an answer.
fn details(job: &Job, answer: &Answer) -> Details {
    Details {
        finish_reason: Some(answer.finish_reason.clone()).filter(|reason| !reason.is_empty()),
        memories: answer.memories.clone(),
        tool_calls: answer.tool_calls.clone(),
        sources: answer.sources.clone(),
        ms: job.started_at.map(|started| (clock::now() - started).num_milliseconds().max(0)),
        images: Vec::new(),
    }
}

/// The answer as a message, right after its question.
fn message<'a>(
    job: &Job,
    payload: &ChatPayload,
    status: MessageStatus,
    answer: &'a Answer,
    details: &'a Details,
) -> Result<NewMessage<'a>> {
    let (user, session) = whose(job)?;
    let known = !answer.provider.is_empty();
    Ok(NewMessage {
        id: payload.answer_id,
        session,
        user,
        job: Some(job.id),
        seq: payload.seq + 1,
        role: Role::Assistant,
        content: &answer.content,
        status,
        provider: known.then_some(answer.provider.as_str()),
        model: known.then_some(answer.model.as_str()),
        usage: known.then_some(answer.usage),
        name: None,
        remember: payload.enable_memory != Some(false) && status != MessageStatus::Failed,
        details: Some(details),
        created_at: clock::now(),
    })
}

/// Stores the answer of a job that did not run to its end.
pub(super) async fn insert_answer(
    tx: &mut Tx,
    job: &Job,
    payload: &ChatPayload,
    status: MessageStatus,
    answer: &Answer,
) -> Result<()> {
    let details = details(job, answer);
    let message = message(job, payload, status, answer, &details)?;
    let (session, now) = (message.session, message.created_at);
    store::messages::insert(tx, message).await?;
    store::sessions::count_message(tx, session, 1, now).await?;
    Ok(())
}

async fn enqueue_title(
    ctx: &Context,
    tx: &mut Tx,
    job: &Job,
    payload: &ChatPayload,
) -> Result<Option<Ready>> {
    let (user, session) = whose(job)?;
    let payload = TitlePayload { session_id: session, provider: payload.provider.clone() };
    let mut title = NewJob::new(&payload, ctx.settings.queue.max_attempts)?;
    title.trace = job.trace.clone();
    let title = title.of_user(user).in_session(session, None).once(format!("title:{session}"));
    Ok(store::jobs::enqueue(tx, title).await?)
}
