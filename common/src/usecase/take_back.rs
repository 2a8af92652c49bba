//! Taking back what an account has handed out: after a theft, and before it gets more rights.

use serde::Serialize;

use crate::{
    Result, clock,
    domain::ids::UserId,
    store::{self, Tx},
};

/// How much was taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TakenBack {
    pub api_keys: u64,
    pub webhooks: u64,
}

/// Deletes API keys and webhooks: both outlive a password.
pub async fn keys_and_webhooks(tx: &mut Tx, user: UserId) -> Result<TakenBack> {
    Ok(TakenBack {
        api_keys: store::keys::delete_all(tx, user).await?,
        webhooks: store::webhooks::delete_all(tx, user).await?,
    })
}

/// The same, and ends all logins.
pub async fn everything(tx: &mut Tx, user: UserId) -> Result<TakenBack> {
    store::users::revoke_all(tx, user, clock::now()).await?;
    keys_and_webhooks(tx, user).await
}
