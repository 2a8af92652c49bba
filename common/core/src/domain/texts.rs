//! What texts from outside may be.

/// At most so many characters, and no NUL, which PostgreSQL cannot hold.
pub fn fits(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.contains('\0')
}

/// Whether a model could be called so. Which models there are, only their providers know.
pub fn is_model(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= 200 && !name.contains('\0')
}
