//! Accepting a request that brings all it asks along: it and the job that answers it commit together. It is a chat's job
//! without a session.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{
    choice,
    repeat::{Repeatable, repeated},
    retry_job::retry_job,
    send_message::{Accepted, Asked},
};
use crate::{
    Context, Error, Result,
    auth::Caller,
    clock,
    domain::{
        ids::{ConversationId, JobId, MessageId},
        job::{Job, JobStatus, Queue},
        prompt::Prompted,
        request::Api,
        texts::ModelName,
    },
    error::{Code, Wrong},
    jobs::payload::{ChatPayload, ToolChoice, ToolWord},
    problems::Problems,
    store::{
        self, Tx,
        db::Durability,
        jobs::{NewJob, Ready},
        requests,
    },
};

/// How long the answer to a request that nobody wants kept is there for its sender to ask again.
pub const KEPT: TimeDelta = TimeDelta::hours(24);

pub struct NewRequest {
    pub job: JobId,
    pub api: Api,
    pub provider: String,
    pub model: Option<ModelName>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub prompted: Prompted,
    /// What is kept of it until somebody deletes it; `None`: nothing, and its job goes after [`KEPT`].
    pub kept: Option<Kept>,
    pub repeatable: Option<Repeatable>,
    pub trace: Option<String>,
}

impl NewRequest {
    /// Whether nobody can come back for it: not by an id of something that is kept, nor by sending it again under its key.
    fn is_relaxed(&self) -> bool {
        self.kept.is_none() && self.repeatable.is_none()
    }
}

pub struct Kept {
    pub body: Value,
    /// The response it goes on from.
    pub previous: Option<JobId>,
    /// The conversation that it is added to when it has ended.
    pub conversation: Option<ConversationId>,
}

/// An accepted request.
#[derive(Debug, Clone, Copy)]
pub struct Requested {
    pub job: JobId,
    pub created_at: DateTime<Utc>,
    /// It was accepted before, under the same `Idempotency-Key`.
    pub replayed: bool,
    /// It is a turn of a session: sent once more, it would be there twice.
    pub is_turn: bool,
    ready: Option<Ready>,
}

impl Requested {
    /// Lets workers have the job (see `Accepted::start`).
    pub async fn start(&self, ctx: &Context) {
        ctx.announce(self.ready).await;
    }
}

impl From<Accepted> for Requested {
    fn from(turn: Accepted) -> Self {
        let created_at = clock::now();
        Self { job: turn.job, created_at, replayed: turn.replayed, is_turn: true, ready: turn.ready }
    }
}

pub async fn send_request(ctx: &Context, caller: &Caller, new: NewRequest) -> Result<Requested> {
    let mut problems = Problems::default();
    let NewRequest { temperature, max_tokens, .. } = new;
    Asked { provider: Some(&new.provider), temperature, max_tokens }.check(ctx, &mut problems);
    problems.done()?;
    ctx.depths.admit(Queue::Chat, ctx.settings.queue.max_depth)?;
    let (job, now) = (new.job, clock::now());
    let mut tx = if new.is_relaxed() {
        ctx.db.begin_whole(Durability::Relaxed).await?
    } else {
        ctx.db.begin().await?
    };
    let operation = format!("v1_{}", new.api);
    let first = repeated(ctx, &mut tx, caller.user, &operation, new.repeatable.as_ref(), job).await?;
    if let Some(first) = first {
        let found = store::jobs::get(&mut tx, caller.user, first).await?;
        drop(tx);
        return again(ctx, caller, found).await;
    }
    let named = choice::Named {
        provider: Some(&new.provider),
        model: new.model.as_deref(),
        ..choice::Named::default()
    };
    choice::check(ctx, &mut tx, caller.user, named).await?;
    let ready = put_in(ctx, &mut tx, caller, now, new).await?;
    tx.commit().await?;
    Ok(Requested { job, created_at: now, replayed: false, is_turn: false, ready })
}

async fn put_in(
    ctx: &Context,
    tx: &mut Tx,
    caller: &Caller,
    now: DateTime<Utc>,
    new: NewRequest,
) -> Result<Option<Ready>> {
    let (id, relaxed) = (new.job, new.is_relaxed());
    let payload = ChatPayload {
        message_id: MessageId::new(),
        seq: 0,
        answer_id: MessageId::new(),
        provider: new.provider,
        model: new.model.map(ModelName::into_string),
        temperature: new.temperature,
        max_tokens: new.max_tokens.map(|max| max as u32),
        enable_memory: Some(false),
        fallback: None,
        tools: Some(ToolChoice::Word(ToolWord::None)),
        again: false,
        api_key: caller.key().map(|key| key.to_string()),
        without_memory: true,
        request: true,
        relaxed,
    };
    let mut job = NewJob::new(&payload, ctx.settings.queue.max_attempts)?;
    (job.id, job.run_at, job.created_at, job.trace) = (id, now, now, new.trace);
    let job = job.of_user(caller.user);
    let expires_at = new.kept.is_none().then(|| now + KEPT);
    let (body, previous, conversation) =
        new.kept.map_or((None, None, None), |kept| (Some(kept.body), kept.previous, kept.conversation));
    if let Some(body) = &body {
        check_storable(body, "input")?;
    }
    let prompt = storable(&new.prompted)?;
    let (api, user) = (new.api, caller.user);
    let created_at = now;
    let request = requests::NewRequest {
        job: id,
        user,
        api,
        prompt,
        body,
        previous,
        conversation,
        created_at,
        expires_at,
    };
    if relaxed {
        return Ok(Some(store::whole::accept(tx, job, request).await?));
    }
    let ready = store::jobs::enqueue(tx, job).await?;
    if !requests::insert(tx, request).await? {
        let detail = "Another response is under way in the conversation.";
        return Err(Error::new(Code::SessionBusy, detail).retry_after(1));
    }
    Ok(ready)
}

/// What was said, as it is stored. PostgreSQL cannot hold NUL characters; no prompt needs them.
pub(super) fn storable(prompted: &Prompted) -> Result<Value> {
    let stored = serde_json::to_value(prompted).map_err(Error::internal)?;
    check_storable(&stored, "messages")?;
    Ok(stored)
}

/// What is stored stands deeper than it came, and must be read again: serde_json reads 127 levels.
const DEEPEST: usize = 100;

pub(super) fn check_storable(value: &Value, field: &'static str) -> Result<()> {
    if depth(value) > DEEPEST {
        return Err(Error::field(field, Wrong::Unfit("is nested too deep")));
    }
    if has_nul(value) { Err(Error::field(field, Wrong::Nul)) } else { Ok(()) }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(all) => 1 + all.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Its depth is the request's, which is bounded where it is read.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(all) => all.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A keyed repeat: what the first request made, set going once more if it failed for a reason that may have passed.
async fn again(ctx: &Context, caller: &Caller, found: Option<Job>) -> Result<Requested> {
    let gone = || Error::not_found("job: what the first request made has been deleted");
    let first = found.ok_or_else(gone)?;
    let code = first.error.as_ref().and_then(|error| error["code"].as_str()).and_then(Code::from_name);
    if first.status == JobStatus::Failed && code.is_some_and(Code::may_pass) {
        match retry_job(ctx, caller.user, first.id).await {
            Ok(_) => {}
            // Another repeat was faster.
            Err(error) if error.code == Code::WrongState => {}
            Err(error) => return Err(error),
        }
    }
    let (job, created_at) = (first.id, first.created_at);
    Ok(Requested { job, created_at, replayed: true, is_turn: false, ready: None })
}
