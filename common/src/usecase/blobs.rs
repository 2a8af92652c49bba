//! Uploads and exports, part by part.

use crate::{
    Context, Result, clock,
    domain::ids::{BlobId, UserId},
    store::blobs,
};

/// Stores one part; a part of the same number is replaced, so an attempt after a crash may write its parts again.
pub async fn add(ctx: &Context, user: UserId, id: BlobId, part: i64, data: &[u8]) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    blobs::add(&mut tx, user, id, part, data, clock::now()).await?;
    tx.commit().await
}

/// Throws all parts away.
pub async fn delete(ctx: &Context, user: UserId, id: BlobId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    blobs::delete(&mut tx, user, id).await?;
    tx.commit().await
}
