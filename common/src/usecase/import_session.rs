//! Taking a conversation in that was held elsewhere.

use chrono::{DateTime, TimeDelta, Utc};

use super::repeat::{Repeatable, repeated};
use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{MessageId, SessionId, UserId},
        message::{MESSAGE_MAX, MessageStatus, Role},
        session::{Session, first_words},
        texts,
    },
    error::{FieldError, Wrong},
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

/// Whose words the turns are, if nothing is wrong with any of them.
fn check(turns: &[NewTurn]) -> Result<Vec<Role>> {
    if turns.is_empty() || turns.len() > MOST {
        return Err(Error::field("messages", Wrong::Count { min: 1, max: MOST }));
    }
    let (mut errors, mut roles) = (Vec::new(), Vec::with_capacity(turns.len()));
    for (index, turn) in turns.iter().enumerate() {
        let mut problem = |field: &str, wrong: Wrong| {
            errors.push(FieldError::new(format!("messages[{index}].{field}"), wrong));
        };
        match turn.role.parse() {
            Ok(role) => roles.push(role),
            Err(_) => problem("role", Wrong::Either(&["user", "assistant"])),
        }
        if turn.content.trim().is_empty() || !texts::fits(&turn.content, MESSAGE_MAX) {
            problem("content", Wrong::Text { min: 1, max: MESSAGE_MAX });
        }
        let name_ok = |name: &String| {
            !name.trim().is_empty() && name.chars().count() <= 100 && !name.chars().any(char::is_control)
        };
        if turn.name.as_ref().is_some_and(|name| !name_ok(name)) {
            problem("name", Wrong::Line { min: 1, max: 100 });
        }
        if errors.len() >= 20 {
            break;
        }
    }
    if errors.is_empty() { Ok(roles) } else { Err(Error::fields(errors)) }
}

/// Stores a conversation. `true`: an earlier request with the same key did.
pub async fn import_session(
    ctx: &Context,
    user: UserId,
    title: Option<&str>,
    turns: &[NewTurn],
    repeatable: Option<&Repeatable>,
) -> Result<(Session, Vec<MessageId>, bool)> {
    let roles = check(turns)?;
    let by_user = roles.iter().position(|role| *role == Role::User);
    if let Some(title) = title {
        super::sessions::check_title(title)?;
    }
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    let id = SessionId::new();
    if let Some(id) = repeated(ctx, &mut tx, user, "import_session", repeatable, id).await? {
        let session =
            store::sessions::get(&mut tx, user, id).await?.ok_or_else(|| Error::not_found("session"))?;
        return Ok((session, store::messages::ids_in_order(&mut tx, user, id).await?, true));
    }
    let words = by_user.and_then(|index| turns.get(index)).map(|turn| first_words(&turn.content));
    let (title, source) = match title {
        Some(title) => (title.trim().to_owned(), "user"),
        None => (words.unwrap_or_default(), "words"),
    };
    store::sessions::insert(&mut tx, id, user, &title, source, None, now).await?;
    let mut ids = Vec::with_capacity(turns.len());
    let (mut first, mut last) = (now, DateTime::<Utc>::MIN_UTC);
    for (index, (turn, role)) in turns.iter().zip(roles).enumerate() {
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
            role,
            content: turn.content.trim(),
            status: MessageStatus::Complete,
            provider: None,
            model: None,
            usage: None,
            name: turn.name.as_deref().map(str::trim),
            remember: true,
            details: None,
            created_at: chrono::SubsecRound::trunc_subsecs(at, 6),
        };
        store::messages::insert(&mut tx, new).await?;
        ids.push(message);
    }
    let due = by_user.map(|_| now);
    store::sessions::imported(&mut tx, user, id, turns.len() as i64, (first, last), due).await?;
    let session =
        store::sessions::get(&mut tx, user, id).await?.ok_or_else(|| Error::not_found("session"))?;
    tx.commit().await?;
    Ok((session, ids, false))
}
