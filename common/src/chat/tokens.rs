//! A cheap estimate of tokens, for budgets: no tokenizer fits every model.

/// About one token for four ASCII characters and two for three others, and never less than one a text.
/// (By the common rule of thumb; nothing exact rests on it.)
pub fn estimate(text: &str) -> usize {
    let (ascii, other) = text.chars().fold((0usize, 0usize), |(ascii, other), c| {
        if c.is_ascii() { (ascii + 1, other) } else { (ascii, other + 1) }
    });
    (ascii.div_ceil(4) + (other * 2).div_ceil(3)).max(1)
}
