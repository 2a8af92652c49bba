//! What a handler may reach.

use rapport_common::Context;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub struct AppState {
    pub ctx: Context,
    /// Set when the process stops: streams end with a hint to reconnect.
    pub stopping: CancellationToken,
}
