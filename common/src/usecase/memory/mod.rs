//! Changing memories. Whatever changes one goes through [`Changes`]: rows, index terms, vectors, history and events in one
//! transaction, one user's changes one after another.

pub mod clashes;
mod compare;
pub mod conflicts;
pub mod consolidate;
pub mod edit;
pub mod embed;
pub mod export;
pub mod extraction;
pub mod facts;
pub mod graph;
pub mod import;
pub mod merge;
pub mod past_turns;
pub mod rebuild;
pub mod recall;
pub mod review;
pub mod search;
mod sizes;
mod touches;
pub mod undo;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

pub use sizes::Sizes;
pub use touches::Touches;

use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{ChangeId, MemoryId, UserId},
        memory::{Action, Actor, Memory},
    },
    embeddings::Embedder,
    error::Code,
    jobs::payload::Payload,
    memory::{builtin_embedder, text},
    store::{
        self, Tx,
        jobs::{NewJob, Ready},
        memory_conflicts,
        memory_log::{self, Change},
        terms::{self, Corpus},
    },
};

/// An open change of one user's memory. Dropped without [`Changes::commit`], nothing happened.
pub struct Changes {
    pub tx: Tx,
    pub user: UserId,
    pub now: DateTime<Utc>,
    /// What is changed together is undone together.
    pub set: ChangeId,
    actor: Actor,
    version: i64,
    embedder: Embedder,
    /// Whether there is an index outside the database that must hear of changes.
    outside: bool,
    changed: i64,
    wants_embedding: bool,
    /// No event a memory: for imports, which tell once.
    quiet: bool,
}

impl Changes {
    pub async fn open(ctx: &Context, user: UserId, actor: Actor) -> Result<Self> {
        Self::within(ctx, ctx.db.begin().await?, user, actor).await
    }

    /// On a transaction that is open already.
    pub async fn within(ctx: &Context, mut tx: Tx, user: UserId, actor: Actor) -> Result<Self> {
        let version = memory_log::take_version(&mut tx, user).await?;
        Ok(Self {
            tx,
            user,
            now: clock::now(),
            set: ChangeId::new(),
            actor,
            version,
            embedder: ctx.embedder.clone(),
            outside: ctx.vectors.is_outside(),
            changed: 0,
            wants_embedding: false,
            quiet: false,
        })
    }

    pub fn quietly(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Begins another set: what follows is undone apart from what came before.
    pub fn next_set(&mut self) {
        self.set = ChangeId::new();
    }

    async fn log(&mut self, action: Action, before: Option<&Memory>, after: Option<&Memory>) -> Result<()> {
        let Some(id) = after.or(before).map(|memory| memory.id) else { return Ok(()) };
        let change = Change {
            id: ChangeId::new(),
            change_set: self.set,
            memory_id: id,
            actor: self.actor,
            action,
            before: before.cloned(),
            after: after.cloned(),
            created_at: self.now,
            undone_at: None,
        };
        self.changed += 1;
        Ok(memory_log::insert_change(&mut self.tx, self.user, &change).await?)
    }

    pub async fn event(&mut self, name: &str, data: Value) -> Result<()> {
        Ok(memory_log::event(&mut self.tx, self.user, name, &data).await?)
    }

    /// Stores a vector, or leaves that to a job: the built-in embedder costs microseconds, a provider's a round trip.
    async fn embed(&mut self, memory: &Memory, vector: Option<&[f32]>) -> Result<()> {
        let own;
        let vector = match vector {
            Some(vector) => vector,
            None if self.embedder.is_local() => {
                own = builtin_embedder::embed(&memory.content);
                &own
            }
            None => {
                self.wants_embedding = true;
                return Ok(());
            }
        };
        let (id, model, bytes) = (memory.id, self.embedder.model(), builtin_embedder::to_bytes(vector));
        let new =
            store::vectors::NewVector { doc: id.0, model: &model, vector: &bytes, version: self.version };
        store::vectors::upsert(&mut self.tx, self.user, Corpus::Memories, new).await?;
        store::vectors::memory_embedded(&mut self.tx, self.user, id, &memory.norm).await?;
        self.wants_embedding |= self.outside;
        Ok(())
    }

    /// Puts a new memory in; with its vector, when that is known.
    pub async fn insert(&mut self, memory: &Memory, action: Action, vector: Option<&[f32]>) -> Result<()> {
        store::memories::insert(&mut self.tx, memory).await.map_err(known_already)?;
        terms::insert(&mut self.tx, self.user, memory.id.0, &search_terms(memory)).await?;
        self.embed(memory, vector).await?;
        self.log(action, None, Some(memory)).await?;
        if !self.quiet {
            let data = json!({"id": memory.id, "status": memory.status, "content": memory.content, "memory_type": memory.memory_type});
            self.event("memory_created", data).await?;
        }
        Ok(())
    }

    /// Writes a memory anew and gives it as it is now.
    pub async fn update(&mut self, before: &Memory, mut after: Memory, action: Action) -> Result<Memory> {
        after.updated_at = self.now;
        let rewritten = after.content != before.content;
        if rewritten {
            after.norm = text::normalise(&after.content);
        }
        if !store::memories::update(&mut self.tx, &after).await.map_err(known_already)? {
            return Err(Error::not_found("memory"));
        }
        if rewritten || after.slot != before.slot {
            terms::delete(&mut self.tx, self.user, after.id.0).await?;
            terms::insert(&mut self.tx, self.user, after.id.0, &search_terms(&after)).await?;
        }
        if rewritten {
            self.embed(&after, None).await?;
        } else {
            store::vectors::touch(&mut self.tx, self.user, Corpus::Memories, after.id.0, self.version)
                .await?;
            self.wants_embedding |= self.outside;
        }
        self.log(action, Some(before), Some(&after)).await?;
        if !self.quiet {
            let data = json!({"id": after.id, "status": after.status, "action": action, "actor": self.actor});
            self.event("memory_changed", data).await?;
        }
        Ok(after)
    }

    /// Takes a memory away for good: its history, links and vector go with it.
    pub async fn delete(&mut self, memory: &Memory) -> Result<()> {
        if !store::memories::delete(&mut self.tx, self.user, memory.id).await? {
            return Err(Error::not_found("memory"));
        }
        self.changed += 1;
        self.wants_embedding |= self.outside;
        if !self.quiet {
            self.event(
                "memory_changed",
                json!({"id": memory.id, "status": "deleted", "action": "deleted", "actor": self.actor}),
            )
            .await?;
        }
        Ok(())
    }

    /// Closes the open conflicts of a memory that does not count any more, until this set is undone.
    pub async fn dismiss_conflicts(&mut self, id: MemoryId, by: Actor) -> Result<()> {
        let (user, set, now) = (self.user, self.set, self.now);
        memory_conflicts::dismiss_of(&mut self.tx, user, id, by, set, now).await?;
        Ok(())
    }

    pub async fn get(&mut self, id: MemoryId) -> Result<Memory> {
        store::memories::get(&mut self.tx, self.user, id).await?.ok_or_else(|| Error::not_found("memory"))
    }

    /// Commits everything, or nothing; a job makes the vectors that are missing.
    pub async fn commit(self, ctx: &Context) -> Result<()> {
        self.commit_with(ctx, None).await
    }

    /// The same, announcing one more job that the transaction put in.
    pub async fn commit_with(mut self, ctx: &Context, ready: Option<Ready>) -> Result<()> {
        if self.changed > 0 {
            memory_log::add_dirty(&mut self.tx, self.user, self.changed).await?;
        }
        let embedding =
            if self.wants_embedding { embed::enqueue(ctx, &mut self.tx, self.user).await? } else { None };
        self.tx.commit().await?;
        ctx.announce(ready.into_iter().chain(embedding)).await;
        Ok(())
    }
}

/// What a memory is found by: its words, and those of its slot. "Who is my employer?" finds "Works at Acme".
fn search_terms(memory: &Memory) -> HashMap<String, i64> {
    let slot = memory.slot.as_deref().unwrap_or_default().replace('_', " ");
    text::terms(&format!("{} {slot}", memory.content))
}

/// Two memories of one user cannot say the same and both count.
fn known_already(error: sqlx::Error) -> Error {
    match store::violated(&error) {
        Some(name) if name.contains("memories_norm") => {
            Error::new(Code::Conflict, "Another of your memories says exactly this.")
        }
        _ => error.into(),
    }
}

/// For loops over users: one user's trouble is not the others'. An account that was erased meanwhile is passed over, other
/// errors are logged; only a database that is away ends the loop.
pub fn go_on(user: UserId, done: Result<()>) -> Result<()> {
    match done {
        Err(error) if error.code == Code::Unavailable => Err(error),
        Err(error) if error.code == Code::NotFound => {
            tracing::debug!(%error, %user, "erased meanwhile");
            Ok(())
        }
        Err(error) => {
            tracing::warn!(%error, %user, "one user's memory was passed over");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Whether private memories may stand in what the reading and judging model is asked: it is part of the deployment, or
/// their user allows it.
pub async fn may_show_private(ctx: &Context, user: UserId) -> Result<bool> {
    if ctx.providers.stays_inside(&ctx.settings.memory.provider, false) {
        return Ok(true);
    }
    let settings = super::settings::get(&mut ctx.db.read().await?, user).await?;
    Ok(settings.memory_settings.allow_private_in_context)
}

/// A job about what a user has, to run now.
pub fn job<P: Payload>(ctx: &Context, user: UserId, payload: &P) -> Result<NewJob> {
    let mut new = NewJob::new(payload, ctx.settings.queue.max_attempts)?.of_user(user);
    new.trace = Some(crate::telemetry::trace::TraceContext::root().to_string());
    Ok(new)
}

/// The hash under which a deleted or corrected fact is remembered as unwanted.
pub fn forgotten_hash(ctx: &Context, norm: &str) -> Vec<u8> {
    ctx.auth.digest(&[b"memory", norm.as_bytes()])
}

/// The same for what a fact tells, whatever its words.
pub fn forgotten_slot(ctx: &Context, subject: &str, slot: &str, object: &str) -> Vec<u8> {
    ctx.auth.digest(&[b"slot", subject.as_bytes(), slot.as_bytes(), object.as_bytes()])
}

/// Ids as the vector index has them.
pub fn uuids(ids: &[MemoryId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}
