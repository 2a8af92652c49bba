//! Usernames that could be taken for somebody else's are refused when they are chosen.

use crate::{
    Error, Result,
    domain::{
        ids::UserId,
        user::{appearance, looks_like},
    },
    error::Code,
    store::{Tx, users},
};

/// Refuses a username that looks like one that somebody else has. Those who have such names already keep them.
///
/// Two that come at the very same moment may both get through on PostgreSQL: the column can't be unique, because plain
/// names may look alike.
pub(super) async fn refuse(tx: &mut Tx, user: UserId, username: &str) -> Result<()> {
    while users::note_appearances(tx).await? {}
    let alike = users::of_appearance(tx, &appearance(username)).await?;
    if alike.iter().any(|(whose, name)| *whose != user && looks_like(username, name)) {
        return Err(Error::new(Code::Taken, "This username looks like one that is taken."));
    }
    Ok(())
}
