//! A part of an upload: its bytes go to the store first, then a row names them.

use bytes::Bytes;

use crate::{Context, Error, Result, error::Code, telemetry::metrics::METRICS};

pub struct NewPart {
    pub part: String,
    pub bytes: Bytes,
    /// One that was stored before it was whole.
    pub instead_of: Option<String>,
}

impl NewPart {
    /// Stores it and has it noted; what no row names then goes: itself, if it was refused, else the one before it.
    pub async fn store<T>(
        self,
        ctx: &Context,
        place: &str,
        note: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let count = self.bytes.len() as u64;
        ctx.storage.put(place, &self.part, self.bytes).await?;
        let noted = note.await;
        let needless = match &noted {
            Ok(_) => {
                METRICS.file_bytes.with_label_values(&["in"]).inc_by(count);
                self.instead_of
            }
            Err(error) if is_refused(error) => Some(self.part),
            // It may have come after the commit: then the part is the upload's.
            Err(_) => None,
        };
        if let Some(part) = needless
            && let Err(error) = ctx.storage.delete(place, &part).await
        {
            tracing::warn!(%error, "a part that no upload needs stays until its file is whole, or gone");
        }
        noted
    }
}

/// A refusal after which nothing was committed, nor will be: another request goes on, there is no room, or the user is gone.
fn is_refused(error: &Error) -> bool {
    [Code::WrongState, Code::QuotaSpent, Code::NotFound].contains(&error.code)
}
