//! Who may read a memory: which prompts, and which others.

use super::Changes;
use crate::{
    Context, Error, Result,
    domain::{
        ids::{MemoryId, UserId},
        memory::{self, Actor},
        user::normalise_login,
    },
    error::Wrong,
    store::{
        self,
        memories::{self, Reader},
    },
};

/// Keeps memories out of prompts that leave the deployment, and lets others read them.
pub async fn set_privacy(
    ctx: &Context,
    user: UserId,
    ids: &[MemoryId],
    is_private: bool,
    shared_with: Option<&[String]>,
) -> Result<usize> {
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let with = readers(&mut changes, shared_with.unwrap_or_default()).await?;
    for id in ids {
        let before = changes.get(*id).await?;
        let mut after = before.clone();
        after.is_private = is_private;
        if after.is_private != before.is_private {
            changes
                .update(
                    &before,
                    after,
                    if is_private { memory::Action::MadePrivate } else { memory::Action::MadePublic },
                )
                .await?;
        }
        if shared_with.is_some() {
            memories::share(&mut changes.tx, *id, &with).await?;
        }
    }
    changes.commit(ctx).await?;
    Ok(ids.len())
}

/// Names as they were given, each once, with who has them now. One that nobody has is kept like the others, and costs the
/// same: neither the answer, nor the memory, nor the time may say who has an account. It gives nobody a right, also not who
/// takes that name later.
async fn readers(changes: &mut Changes, names: &[String]) -> Result<Vec<Reader>> {
    let mut readers: Vec<Reader> = Vec::new();
    for name in names.iter().map(|name| name.trim()) {
        if name.is_empty() || name.chars().count() > 254 || name.chars().any(char::is_control) {
            return Err(Error::field("shared_with", Wrong::Names { min: 1, max: 254 }));
        }
        if readers.iter().any(|reader| reader.name == name) {
            continue;
        }
        let normal = normalise_login(name).unwrap_or_else(|| name.to_owned());
        let user = store::users::id_by_any_name(&mut changes.tx, &normal).await?;
        let user = user.filter(|reader| *reader != changes.user); // owners read their own anyway
        readers.push(Reader { name: name.to_owned(), user });
    }
    Ok(readers)
}
