//! Accepting a message: it and the job that answers it commit together, so an accepted message has an answer coming.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    Context, Error, Result,
    auth::Caller,
    clock,
    domain::{
        ids::{FileId, JobId, MessageId, ProjectId, SessionId, UserId},
        job::{JobStatus, Queue},
        message::{Details, Image},
        prompt::Prompted,
        request::Api,
        session::first_words,
        texts::{MessageText, ModelName},
        user::Scope,
    },
    error::{Code, Wrong},
    jobs::payload::{self, ChatPayload, ToolChoice},
    problems::Problems,
    store::{
        self, Db, Tx,
        chats::{self, Question, accept},
        group::Fate,
        jobs::Ready,
    },
};

use super::{
    choice,
    fates::fates,
    files::images,
    projects,
    repeat::{Repeatable, repeated},
    send_request::storable,
};

/// What to do with a message for a session that is answering another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnBusy {
    /// Wait its turn.
    #[default]
    Queue,
    Reject,
    /// Cancel what runs and waits, then answer this one.
    Interrupt,
}

#[derive(Debug, Clone)]
pub struct NewChat {
    pub message: MessageText,
    pub session: Option<SessionId>,
    /// Of a new session; of one there is, it must be its own.
    pub project: Option<ProjectId>,
    pub provider: Option<String>,
    pub model: Option<ModelName>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub enable_memory: Option<bool>,
    /// Whether others may answer in the named provider's place. `None`: as the project says.
    pub fallback: Option<bool>,
    pub tools: Option<ToolChoice>,
    /// Files of images that come with it. `None`: none, or those of the message whose place it takes.
    pub images: Option<Vec<FileId>>,
    /// What the client adds to what the session and the settings say.
    pub prompted: Option<Prompted>,
    pub on_busy: OnBusy,
    pub repeatable: Option<Repeatable>,
    pub trace: Option<String>,
}

/// An accepted message.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    pub job: JobId,
    pub session: SessionId,
    pub message: MessageId,
    /// It was accepted before, under the same `Idempotency-Key`.
    pub replayed: bool,
    /// And it had failed for a reason that may have passed: it is tried again.
    pub retried: bool,
    pub(super) ready: Option<Ready>,
}

impl Accepted {
    /// Lets workers have the job. Whoever wants to hear its events subscribes before: then nothing is missed. Forgotten,
    /// it costs one sweep.
    pub async fn start(&self, ctx: &Context) {
        ctx.announce(self.ready).await;
    }
}

/// How an answer is asked for.
pub struct Asked<'a> {
    pub provider: Option<&'a str>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
}

impl Asked<'_> {
    /// What can be said of it without looking at anything stored.
    pub fn check(&self, ctx: &Context, problems: &mut Problems) {
        if self.provider.is_some_and(|provider| !ctx.providers.has(provider)) {
            problems.add("provider", Wrong::OneOf(ctx.providers.offered_names().join(", ")));
        }
        let fits = self.temperature.is_none_or(|temperature| (0.0..=2.0).contains(&temperature));
        problems.unless(fits, "temperature", Wrong::Range { min: 0, max: 2 });
        let fits = self.max_tokens.is_none_or(|max| (1..=1_000_000).contains(&max));
        problems.unless(fits, "max_tokens", Wrong::Range { min: 1, max: 1_000_000 });
    }
}

/// The same of a whole message, whose texts were checked where they were made.
pub fn check(ctx: &Context, chat: &NewChat) -> Result<()> {
    let mut problems = Problems::default();
    let NewChat { provider, temperature, max_tokens, .. } = chat;
    let (temperature, max_tokens) = (*temperature, *max_tokens);
    Asked { provider: provider.as_deref(), temperature, max_tokens }.check(ctx, &mut problems);
    problems.done()
}

/// Refuses a message whose project, provider, model, tools or images are not there.
async fn check_stored(ctx: &Context, tx: &mut Tx, user: UserId, chat: &NewChat) -> Result<()> {
    if let Some(project) = chat.project {
        check_project(tx, user, chat, project).await?;
    }
    let named = choice::Named {
        provider: chat.provider.as_deref(),
        model: chat.model.as_deref(),
        project: chat.project,
        session: chat.session,
        fallback: chat.fallback,
    };
    choice::check(ctx, tx, user, named).await?;
    check_images(tx, user, chat).await?;
    check_tools(ctx, tx, user, chat).await
}

/// Refuses what is no image of the user's.
pub(super) async fn check_images(tx: &mut Tx, user: UserId, chat: &NewChat) -> Result<()> {
    let images = chat.images.iter().flatten().enumerate();
    let named: Vec<(String, FileId)> = images.map(|(at, id)| (format!("images[{at}]"), *id)).collect();
    let mut problems = Problems::default();
    problems.unless(named.len() <= images::MOST, "images", Wrong::Count { min: 0, max: images::MOST });
    images::check(tx, user, &named, &mut problems).await?;
    problems.done()
}

/// What is kept with the message.
fn details_of(chat: &NewChat) -> Option<Details> {
    let images: Vec<Image> = chat.images.iter().flatten().map(|id| Image::new(*id)).collect();
    (!images.is_empty()).then(|| Details { images, ..Details::default() })
}

async fn check_tools(ctx: &Context, tx: &mut Tx, user: UserId, chat: &NewChat) -> Result<()> {
    let Some(ToolChoice::Names(names)) = &chat.tools else { return Ok(()) };
    let project = match (chat.project, chat.session) {
        (None, Some(session)) => store::projects::of_session(tx, user, session).await?,
        (project, _) => project,
    };
    projects::tools::check_names(ctx, tx, user, project, names).await
}

/// Accepts a message, in a new session when none is named. It is answered once [`Accepted::start`] was called, or the
/// sweeper comes by.
pub async fn send_message(ctx: &Context, caller: &Caller, chat: NewChat) -> Result<Accepted> {
    check(ctx, &chat)?;
    ctx.depths.admit(Queue::Chat, ctx.settings.queue.max_depth)?;
    let now = clock::now();
    let job = JobId::new();
    let is_single = chat.prompted.is_none() && chat.repeatable.is_none();
    let mut tx = if is_single { ctx.db.begin_single().await? } else { ctx.db.begin().await? };
    if let Some((first, failed)) = sent_before(ctx, &mut tx, caller, &chat, job).await? {
        drop(tx);
        return if failed { try_again(ctx, caller.user, first).await } else { Ok(first) };
    }
    let busy = match chat.session {
        Some(session) if chat.on_busy != OnBusy::Queue => {
            store::jobs::open_in_session(&mut tx, caller.user, session).await?
        }
        _ => Vec::new(),
    };
    if chat.on_busy == OnBusy::Reject && !busy.is_empty() {
        return Err(Error::new(Code::SessionBusy, "The session is answering another message.").retry_after(1));
    }
    check_stored(ctx, &mut tx, caller.user, &chat).await?;
    let question = question(ctx, caller, &chat, job, now);
    let (session, message) = (question.session, question.message);
    if is_single && chat.session.is_some() && ctx.db.is_grouping() {
        drop(tx);
        in_group(ctx, question).await?;
        interrupt(ctx, caller.user, busy).await;
        let ready = Some(chats::ready(caller.user, job, now));
        return Ok(Accepted { job, session, message, replayed: false, retried: false, ready });
    }
    match accept(&mut tx, question).await.map_err(Error::from) {
        Ok(true) => {}
        Ok(false) => return Err(Error::not_found("session")),
        Err(error) if is_single => was_stored(ctx, caller.user, job, error).await?,
        Err(error) => return Err(error),
    }
    if let Some(prompted) = &chat.prompted {
        store::requests::insert(&mut tx, beside(caller.user, job, prompted)?).await?;
    }
    if let Err(error) = tx.commit().await {
        was_stored(ctx, caller.user, job, error).await?;
    }
    let ready = chats::ready(caller.user, job, now);
    interrupt(ctx, caller.user, busy).await;
    Ok(Accepted { job, session, message, replayed: false, retried: false, ready: Some(ready) })
}

/// What is stored of a message.
fn question(ctx: &Context, caller: &Caller, chat: &NewChat, job: JobId, now: DateTime<Utc>) -> Question {
    let message = MessageId::new();
    Question {
        user: caller.user,
        session: chat.session.unwrap_or_else(SessionId::new),
        session_is_new: chat.session.is_none(),
        project: chat.project,
        title: first_words(&chat.message),
        job,
        message,
        text: chat.message.to_string(),
        details: details_of(chat),
        payload: payload_of(caller, chat, message),
        max_attempts: ctx.settings.queue.max_attempts,
        trace: chat.trace.clone(),
        remember: chat.enable_memory != Some(false),
        idle: ctx.settings.memory.idle,
        now,
    }
}

/// Stores a question together with others that come in this moment.
async fn in_group(ctx: &Context, question: Question) -> Result<()> {
    let (db, user, job) = (ctx.db.clone(), question.user, question.job);
    let run = move |questions| {
        let db = db.clone();
        async move { accept_all(&db, questions).await }
    };
    let stored = match ctx.groups.questions.join(question, run).await {
        None => Err(Error::unavailable("database", "no word of a group of questions")),
        Some(Fate::Done(stored)) => stored,
        Some(Fate::Alone(question)) => match alone(&ctx.db, question).await {
            Ok(true) => Ok(()),
            Ok(false) => return Err(Error::not_found("session")),
            Err(error) => Err(error),
        },
    };
    match stored {
        Ok(()) => Ok(()),
        Err(error) => was_stored(ctx, user, job, error).await,
    }
}

async fn alone(db: &Db, question: Question) -> Result<bool> {
    Ok(accept(&mut db.begin_single().await?, question).await?)
}

/// Those of several that wait for nobody.
async fn accept_all(db: &Db, questions: Vec<Question>) -> Vec<Fate<Question, Result<()>>> {
    let all = async { chats::accept_free(&mut db.begin_single().await?, &questions).await };
    let stored = all.await.map(|stored| stored.into_iter().map(|stored| stored.then_some(())).collect());
    fates(questions, stored)
}

/// Cancels what a message does not wait for.
async fn interrupt(ctx: &Context, user: UserId, busy: Vec<JobId>) {
    for open in busy {
        // Ended meanwhile: just as well.
        let _ended = super::cancel_job::cancel_job(ctx, user, open).await;
    }
}

/// What comes beside a turn, as it is stored. It goes when there is an answer, or with the job.
fn beside(user: UserId, job: JobId, prompted: &Prompted) -> Result<store::requests::NewRequest> {
    Ok(store::requests::NewRequest {
        job,
        user,
        api: Api::Chat,
        prompt: storable(prompted)?,
        body: None,
        previous: None,
        conversation: None,
        created_at: clock::now(),
        expires_at: None,
    })
}

/// What the worker is told. `seq` is taken with the session's row, in the statement that stores it.
fn payload_of(caller: &Caller, chat: &NewChat, message: MessageId) -> ChatPayload {
    ChatPayload {
        message_id: message,
        seq: 0,
        answer_id: MessageId::new(),
        provider: chat.provider.clone().unwrap_or_else(|| payload::UNSPECIFIED.to_owned()),
        model: chat.model.as_deref().map(str::to_owned),
        temperature: chat.temperature,
        max_tokens: chat.max_tokens.map(|max| max as u32),
        enable_memory: chat.enable_memory,
        fallback: chat.fallback,
        tools: chat.tools.clone(),
        again: false,
        api_key: caller.key().map(|key| key.to_string()),
        without_memory: !caller.may(Scope::Memory),
        request: chat.prompted.is_some(),
        relaxed: false,
    }
}

/// How long the outcome of a commit is looked for.
const IN_DOUBT: Duration = Duration::from_secs(3);

/// A commit whose answer was lost may have happened: the client must not hear "not stored" of what is stored.
async fn was_stored(ctx: &Context, user: UserId, job: JobId, error: Error) -> Result<()> {
    let deadline = tokio::time::Instant::now() + IN_DOUBT;
    while error.code == Code::Unavailable && tokio::time::Instant::now() < deadline {
        let look = async { Ok::<_, Error>(store::jobs::get(&mut ctx.db.read().await?, user, job).await?) };
        match look.await {
            Ok(Some(_)) => return Ok(()),
            // It may still be under way on a connection that PostgreSQL has not given up yet.
            Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    Err(error)
}

/// A keyed repeat of a message whose answer failed for a reason that may have passed.
async fn try_again(ctx: &Context, user: UserId, first: Accepted) -> Result<Accepted> {
    match super::retry_job::retry_job(ctx, user, first.job).await {
        Ok(_) => Ok(Accepted { retried: true, ..first }),
        // Another repeat was faster.
        Err(error) if error.code == Code::WrongState => Ok(first),
        Err(error) => Err(error),
    }
}

async fn check_project(tx: &mut Tx, user: UserId, chat: &NewChat, project: ProjectId) -> Result<()> {
    if store::projects::get(tx, user, project).await?.is_none() {
        return Err(Error::not_found("project"));
    }
    let Some(session) = chat.session else { return Ok(()) };
    if store::projects::of_session(tx, user, session).await? == Some(project) {
        return Ok(());
    }
    Err(Error::field("project_id", Wrong::Unfit("is not the session's project")))
}

/// What the first request with this key made, if there was one, and whether that failed in a way that may have passed.
async fn sent_before(
    ctx: &Context,
    tx: &mut Tx,
    caller: &Caller,
    chat: &NewChat,
    job: JobId,
) -> Result<Option<(Accepted, bool)>> {
    let first = repeated(ctx, tx, caller.user, "chat", chat.repeatable.as_ref(), job).await?;
    let Some(job) = first else { return Ok(None) };
    let gone = || Error::not_found("job: what the first request made has been deleted");
    let found = store::jobs::get(tx, caller.user, job).await?.ok_or_else(gone)?;
    let payload: ChatPayload = payload::read(&found)?;
    let session = found.session_id.ok_or_else(gone)?;
    let code = found.error.as_ref().and_then(|error| error["code"].as_str()).and_then(Code::from_name);
    let failed = found.status == JobStatus::Failed && code.is_some_and(Code::may_pass);
    let message = payload.message_id;
    Ok(Some((Accepted { job, session, message, replayed: true, retried: false, ready: None }, failed)))
}
