//! What a model is shown: the system prompt and the turns that fit, and how a title is asked for.

pub mod exports;
pub mod language;
pub mod template;
pub mod title;
pub mod tokens;
pub mod window;
