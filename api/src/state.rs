//! What a handler may reach.

use rapport_common::Context;
use tokio_util::sync::CancellationToken;

use crate::{receiving::Receiving, slots::Slots, writing::Writing};

#[derive(Clone)]
pub struct AppState {
    pub ctx: Context,
    /// Set when the process stops: streams end with a hint to reconnect.
    pub stopping: CancellationToken,
    /// Open streams, counted per user.
    pub slots: Slots,
    /// Requests that send files.
    pub receiving: Receiving,
    /// Whether the database takes writes.
    pub writing: Writing,
}

impl AppState {
    pub fn new(ctx: Context, stopping: CancellationToken) -> Self {
        let slots = Slots::new(ctx.settings.server.streams_per_user);
        let receiving = Receiving::new(ctx.settings.files.at_once);
        Self { ctx, stopping, slots, receiving, writing: Writing::default() }
    }
}
