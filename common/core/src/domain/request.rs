//! What clients of `/v1` send.

use super::words::words;

words! {
    /// Whose words a client of `/v1` speaks.
    Api as "api" {
        /// OpenAI's chat completions.
        Chat = "chat",
        /// OpenAI's responses.
        Responses = "responses",
        /// Anthropic's messages.
        Messages = "messages",
    }
}
