//! Going another way from some message: a branch, or another answer.

use super::choice;
use crate::{
    Context, Error, Result,
    auth::Caller,
    clock,
    domain::{
        ids::{JobId, MessageId, SessionId, UserId},
        job::{Job, JobKind},
        message::Role,
        texts::ModelName,
        user::Scope,
    },
    error::{Code, Wrong},
    jobs::payload::{self, ChatPayload},
    problems::Problems,
    store::{self, branches, jobs::NewJob},
    usecase::{
        files::images,
        repeat::{Repeatable, repeated},
        send_message::{Accepted, Asked, NewChat, check_images, send_message},
    },
};

#[derive(Debug)]
pub struct Branch {
    pub session: SessionId,
    pub parent: SessionId,
    /// The last message both have; `None` when they share none.
    pub message: Option<Accepted>,
}

/// Makes a session that has everything up to `from`, and sends a message in it. A new message in place of the user's own
/// takes that one's place: the branch ends right before it, and what images it had come along unless others are named.
pub async fn branch(
    ctx: &Context,
    caller: &Caller,
    session: SessionId,
    from: MessageId,
    mut chat: Option<NewChat>,
    repeatable: Option<&Repeatable>,
) -> Result<(Branch, bool)> {
    let user = caller.user;
    if let Some(chat) = &chat {
        super::send_message::check(ctx, chat)?;
    }
    let mut tx = ctx.db.begin().await?;
    if store::sessions::get(&mut tx, user, session).await?.is_none() {
        return Err(Error::not_found("session"));
    }
    let place =
        branches::find(&mut tx, user, session, from).await?.ok_or_else(|| Error::not_found("message"))?;
    let seq = if place.role == Role::User && chat.is_some() { place.seq - 1 } else { place.seq };
    let count = branches::count_upto(&mut tx, user, session, seq).await?;
    let mut id = SessionId::new();
    let first = repeated(ctx, &mut tx, user, "branch", repeatable, id).await?;
    if let Some(chat) = &mut chat {
        take_images(&mut tx, user, chat, &place, first.is_some()).await?;
    }
    match first {
        Some(first) => id = first,
        None if branches::insert(
            &mut tx,
            user,
            branches::NewBranch { parent: session, id, seq, count, of_hidden: false },
            clock::now(),
        )
        .await? => {}
        None => return Err(Error::not_found("session")),
    }
    store::files::copy_of_session(&mut tx, user, session, id).await?;
    tx.commit().await?;
    // The message has a key of its own: a repeat after a crash in between sends it now.
    let repeatable = repeatable.map(|request| request.part("message"));
    let message = match chat {
        Some(chat) => {
            let chat = NewChat { session: Some(id), repeatable, ..chat };
            Some(send_message(ctx, caller, chat).await?)
        }
        None => None,
    };
    Ok((Branch { session: id, parent: session, message }, first.is_some()))
}

/// Gives a message that takes another's place that one's images, and refuses what is none. What is sent again was looked at then.
async fn take_images(
    tx: &mut store::Tx,
    user: UserId,
    chat: &mut NewChat,
    place: &branches::Place,
    is_repeat: bool,
) -> Result<()> {
    if chat.images.is_none() {
        chat.images = Some(images::still_there(tx, user, &place.details.images).await?);
    }
    if is_repeat { Ok(()) } else { check_images(tx, user, chat).await }
}

/// What may differ in another answer.
#[derive(Debug, Clone, Default)]
pub struct Again {
    pub provider: Option<String>,
    pub model: Option<ModelName>,
    pub temperature: Option<f64>,
}

impl Again {
    pub fn check(&self, ctx: &Context, problems: &mut Problems) {
        let Self { provider, temperature, .. } = self;
        Asked { provider: provider.as_deref(), temperature: *temperature, max_tokens: None }
            .check(ctx, problems);
    }

    /// The question as it was asked the first time, but for what differs now.
    fn payload(self, caller: &Caller, question: &Question, before: Option<ChatPayload>) -> ChatPayload {
        let Self { provider, model, temperature } = self;
        let provider = provider.or(before.as_ref().map(|old| old.provider.clone()));
        let model = model.map(ModelName::into_string);
        ChatPayload {
            message_id: question.id,
            seq: question.seq,
            answer_id: MessageId::new(),
            provider: provider.unwrap_or_else(|| payload::UNSPECIFIED.to_owned()),
            model: model.or(before.as_ref().and_then(|old| old.model.clone())),
            temperature: temperature.or(before.as_ref().and_then(|old| old.temperature)),
            max_tokens: before.as_ref().and_then(|old| old.max_tokens),
            enable_memory: before.as_ref().and_then(|old| old.enable_memory),
            fallback: before.as_ref().and_then(|old| old.fallback),
            tools: before.and_then(|old| old.tools),
            again: true,
            api_key: caller.key().map(|key| key.to_string()),
            without_memory: !caller.may(Scope::Memory),
            request: false,
            relaxed: false,
        }
    }
}

/// Has a question answered once more; the new answer takes the old one's place, which stays as a variant.
pub async fn regenerate(
    ctx: &Context,
    caller: &Caller,
    session: SessionId,
    message: Option<MessageId>,
    again: Again,
    repeatable: Option<&Repeatable>,
) -> Result<(Job, bool)> {
    let user = caller.user;
    let mut problems = Problems::default();
    again.check(ctx, &mut problems);
    problems.done()?;
    ctx.depths.admit(JobKind::Chat.queue(), ctx.settings.queue.max_depth)?;
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    let id = JobId::new();
    if let Some(first) = repeated(ctx, &mut tx, user, "regenerate", repeatable, id).await? {
        let job = store::jobs::get(&mut tx, user, first).await?.ok_or_else(|| Error::not_found("job"))?;
        return Ok((job, true));
    }
    let named = choice::Named {
        fallback: None,
        provider: again.provider.as_deref(),
        model: again.model.as_deref(),
        project: None,
        session: Some(session),
    };
    choice::check(ctx, &mut tx, user, named).await?;
    // Takes the session's row: what is sent meanwhile comes behind.
    let order = store::sessions::take_order(&mut tx, user, session, now).await?;
    let order = order.ok_or_else(|| Error::not_found("session"))?;
    let question = question(&mut tx, user, session, message).await?;
    let open = store::jobs::open_in_session(&mut tx, user, session).await?;
    if !open.is_empty() {
        return Err(Error::new(Code::SessionBusy, "The session is answering a message.").retry_after(1));
    }
    let before = old_payload(&mut tx, user, question.id).await?;
    let payload = again.payload(caller, &question, before);
    let mut new = NewJob::new(&payload, ctx.settings.queue.max_attempts)?;
    new.id = id;
    let new = new.of_user(user).in_session(session, Some(order));
    let ready = store::jobs::enqueue(&mut tx, new).await?;
    let job = store::jobs::get(&mut tx, user, id).await?.ok_or_else(|| Error::not_found("job"))?;
    tx.commit().await?;
    ctx.announce(ready).await;
    Ok((job, false))
}

/// The message that is answered once more.
struct Question {
    id: MessageId,
    seq: i64,
}

/// The user's message that is named, or the last one.
async fn question(
    tx: &mut store::Tx,
    user: UserId,
    session: SessionId,
    message: Option<MessageId>,
) -> Result<Question> {
    let gone = || Error::not_found("message");
    let id = match message {
        Some(message) => message,
        None => branches::last_question(tx, user, session).await?.ok_or_else(gone)?,
    };
    let place = branches::find(tx, user, session, id).await?.ok_or_else(gone)?;
    if place.role != Role::User {
        return Err(Error::field("message_id", Wrong::Unfit("must be a user's message")));
    }
    if place.session_id != session {
        let detail =
            "This message belongs to the conversation this one branched from: answer it again there.";
        return Err(Error::new(Code::Conflict, detail));
    }
    Ok(Question { id, seq: place.seq })
}

/// How the question was asked the first time; an imported one never was.
async fn old_payload(tx: &mut store::Tx, user: UserId, message: MessageId) -> Result<Option<ChatPayload>> {
    let place = branches::place(tx, user, message).await?;
    let Some(job) = place.and_then(|place| place.job_id) else { return Ok(None) };
    let job = store::jobs::get(tx, user, job).await?;
    Ok(job.and_then(|job| payload::read(&job).ok()))
}
