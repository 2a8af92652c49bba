//! Reading conversations again, and what that would change.

use serde_json::{Value, json};

use super::Read;
use crate::{
    Context, Error, Result,
    domain::{
        ids::{MemoryId, SessionId, UserId},
        job::Job,
        memory::{Actor, Memory},
    },
    jobs::payload::BackfillPayload,
    store::{self, memories},
    usecase::{
        memory::{
            Changes,
            facts::{self, Became},
            job,
        },
        repeat::{Repeatable, put_in},
        settings::MemorySettings,
    },
};

/// Puts in the job that reads sessions again; gives the one under way, if there is one.
pub async fn read_again(
    ctx: &Context,
    user: UserId,
    session: Option<SessionId>,
    dry_run: bool,
    repeatable: Option<&Repeatable>,
) -> Result<(Job, bool)> {
    if let Some(session) = session {
        let found = store::sessions::get(&mut ctx.db.read().await?, user, session).await?;
        found.ok_or_else(|| Error::not_found("session"))?;
    }
    let scope = session.map_or("all".to_owned(), |session| session.to_string());
    let new = job(ctx, user, &BackfillPayload { session_id: session, dry_run })?;
    let mut new = new.once(format!("backfill:{user}:{scope}:{dry_run}"));
    new.session = session;
    put_in(ctx, user, new, "extract", repeatable).await
}

/// What reading again would change.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    pub added: Vec<Value>,
    /// What would be superseded or disputed, and by what.
    pub changed: Vec<Value>,
    /// Live memories of the session that were not found again.
    pub removed: Vec<Value>,
    /// What a decision of the user keeps out.
    pub blocked: Vec<Value>,
    /// Memories that were found again.
    #[serde(default)]
    pub seen: Vec<MemoryId>,
}

/// Adds what a window would change: it is stored as it would be, and the transaction is dropped.
pub async fn add_difference(
    ctx: &Context,
    user: UserId,
    session: SessionId,
    read: &Read,
    settings: &MemorySettings,
    difference: &mut Difference,
) -> Result<()> {
    let mut changes = Changes::open(ctx, user, Actor::Extractor).await?;
    let mut ended_before = 0;
    for one in &read.prepared {
        let from = facts::Told { session, known: &read.known, settings };
        let became = facts::store(ctx, &mut changes, from, std::slice::from_ref(one)).await?;
        let fact = &one.fact;
        let told = json!({"content": fact.text, "memory_type": fact.memory_type, "slot": fact.slot, "quote": fact.quote,
            "message_id": fact.message});
        let now = changes.now;
        let ended = store::memory_log::disputed_at(&mut changes.tx, user, now).await?;
        match became.first() {
            Some(Became::Created(_)) if ended.len() > ended_before => {
                let from: Vec<Value> = ended[ended_before..]
                    .iter()
                    .map(|(id, content)| json!({"id": id, "content": content}))
                    .collect();
                difference.changed.push(json!({"to": told, "from": from}));
            }
            Some(Became::Created(_)) => difference.added.push(told),
            Some(Became::Evidence(id) | Became::Known(id)) => difference.seen.push(*id),
            Some(Became::Blocked) => difference.blocked.push(told),
            Some(Became::Ignored) | None => {}
        }
        ended_before = ended.len();
    }
    Ok(())
}

/// Adds which live memories of a session were not found again.
pub async fn add_removed(
    ctx: &Context,
    user: UserId,
    session: SessionId,
    difference: &mut Difference,
) -> Result<()> {
    let live = memories::by_session(&mut ctx.db.read().await?, user, session).await?;
    let missing = live.into_iter().filter(|memory| !difference.seen.contains(&memory.id));
    let told =
        |memory: Memory| json!({"id": memory.id, "content": memory.content, "message_id": memory.message_id});
    difference.removed.extend(missing.map(told));
    difference.seen.clear();
    Ok(())
}
