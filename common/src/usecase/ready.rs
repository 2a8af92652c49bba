//! Whether the database can be written to.

use crate::{Result, clock, presence, store::Db, store::presence as rows};

/// Writes a row that nobody reads. It is durable, so it costs what a message costs.
pub async fn try_writing(db: &Db) -> Result<()> {
    let mut tx = db.begin().await?;
    rows::try_writing(&mut tx, presence::name(), clock::now()).await?;
    tx.commit().await
}
