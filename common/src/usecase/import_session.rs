//! Taking a conversation in that was held elsewhere.

use chrono::{DateTime, TimeDelta, Utc};

use super::repeat::{Repeatable, repeated};
use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{MessageId, SessionId, UserId},
        message::{MessageStatus, Role},
        session::{Session, first_words},
        texts::{Name, SaidText, Title},
    },
    error::Wrong,
    problems::Problems,
    store::{self, messages::NewMessage},
};

/// Messages of one conversation at most.
pub const MOST: usize = 5_000;

#[derive(Debug, Clone)]
pub struct NewTurn {
    pub role: String,
    pub content: String,
    pub name: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
}

pub struct NewConversation {
    pub title: Option<Title>,
    pub turns: Vec<NewTurn>,
    /// Whether it is read for memories.
    pub extract: bool,
}

/// A turn with nothing wrong in it.
struct Turn {
    role: Role,
    content: SaidText,
    name: Option<Name>,
    created_at: Option<DateTime<Utc>>,
}

fn check(turns: Vec<NewTurn>) -> Result<Vec<Turn>> {
    if turns.is_empty() || turns.len() > MOST {
        return Err(Error::field("messages", Wrong::Count { min: 1, max: MOST }));
    }
    let (mut problems, mut checked) = (Problems::default(), Vec::with_capacity(turns.len()));
    for (index, NewTurn { role, content, name, created_at }) in turns.into_iter().enumerate() {
        let of = |field: &str| format!("messages[{index}].{field}");
        let role = role.parse().ok();
        problems.unless(role.is_some(), &of("role"), Wrong::Either(&["user", "assistant"]));
        let content = problems.checked(&of("content"), Some(content));
        let name = problems.checked(&of("name"), name);
        if let (Some(role), Some(content)) = (role, content) {
            checked.push(Turn { role, content, name, created_at });
        }
        if problems.count() >= 20 {
            break;
        }
    }
    problems.done()?;
    Ok(checked)
}

/// Stores a conversation. `true`: an earlier request with the same key did.
pub async fn import_session(
    ctx: &Context,
    user: UserId,
    new: NewConversation,
    repeatable: Option<&Repeatable>,
) -> Result<(Session, Vec<MessageId>, bool)> {
    let NewConversation { title, turns, extract } = new;
    let turns = check(turns)?;
    let by_user = turns.iter().find(|turn| turn.role == Role::User);
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    let id = SessionId::new();
    if let Some(id) = repeated(ctx, &mut tx, user, "import_session", repeatable, id).await? {
        let session =
            store::sessions::get(&mut tx, user, id).await?.ok_or_else(|| Error::not_found("session"))?;
        return Ok((session, store::messages::ids_in_order(&mut tx, user, id).await?, true));
    }
    let words = by_user.map(|turn| first_words(&turn.content));
    let (title, source) = match title {
        Some(title) => (title.into_string(), "user"),
        None => (words.unwrap_or_default(), "words"),
    };
    let new = store::sessions::NewSession { id, title: &title, title_source: source, project: None };
    store::sessions::insert(&mut tx, user, new, now).await?;
    let mut ids = Vec::with_capacity(turns.len());
    let (mut first, mut last) = (now, DateTime::<Utc>::MIN_UTC);
    for (index, turn) in turns.iter().enumerate() {
        // Without times of their own, turns keep their order by microseconds.
        let at = turn.created_at.unwrap_or(now + TimeDelta::microseconds(index as i64));
        (first, last) = (first.min(at), last.max(at));
        let message = MessageId::new();
        let new = NewMessage {
            id: message,
            session: id,
            user,
            job: None,
            seq: index as i64 + 1,
            role: turn.role,
            content: &turn.content,
            status: MessageStatus::Complete,
            provider: None,
            model: None,
            usage: None,
            name: turn.name.as_deref(),
            remember: true,
            details: None,
            created_at: chrono::SubsecRound::trunc_subsecs(at, 6),
        };
        store::messages::insert(&mut tx, new).await?;
        ids.push(message);
    }
    let due = by_user.map(|_| now).filter(|_| extract);
    let read = if extract { 0 } else { turns.len() as i64 };
    let imported = store::sessions::Imported { count: turns.len() as i64, first, last, due, read };
    store::sessions::imported(&mut tx, user, id, imported).await?;
    let session =
        store::sessions::get(&mut tx, user, id).await?.ok_or_else(|| Error::not_found("session"))?;
    tx.commit().await?;
    Ok((session, ids, false))
}
