//! Noting what matters for security, in the transaction that does it.

use serde_json::Value;

use crate::{
    Result, clock,
    domain::ids::UserId,
    store::{self, Tx},
};

/// Something a user did to their own account.
pub async fn note(
    tx: &mut Tx,
    user: UserId,
    event: &str,
    address: Option<&str>,
    detail: Option<Value>,
) -> Result<()> {
    let new = store::audit::New { user: Some(user), actor: &user.to_string(), event, address, detail };
    Ok(store::audit::insert(tx, new, clock::now()).await?)
}

/// Something an admin did to somebody.
pub async fn by_admin(
    tx: &mut Tx,
    actor: &str,
    user: Option<UserId>,
    event: &str,
    address: Option<&str>,
    detail: Option<Value>,
) -> Result<()> {
    let new = store::audit::New { user, actor, event, address, detail };
    Ok(store::audit::insert(tx, new, clock::now()).await?)
}
