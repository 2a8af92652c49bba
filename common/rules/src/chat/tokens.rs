//! A cheap estimate of tokens, for budgets: no tokenizer fits every model.

use crate::domain::prompt::ChatMessage;

/// Text, counted piece by piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    ascii: usize,
    other: usize,
}

impl Count {
    pub fn add(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_ascii() {
                self.ascii += 1;
            } else {
                self.other += 1;
            }
        }
    }

    /// About one token for four ASCII characters and two for three others.
    /// (By the common rule of thumb; nothing exact rests on it.)
    pub fn tokens(self) -> usize {
        self.ascii.div_ceil(4) + (self.other * 2).div_ceil(3)
    }
}

/// An image is counted as so many tokens: most models count from a few hundred to some 2,500, by its size.
pub const IMAGE: usize = 1_000;

/// The tokens of a message: its text, the calls in it, and its images.
pub fn of_message(message: &ChatMessage) -> usize {
    let calls = message.tool_calls.iter().map(|call| estimate(&call.arguments) + 8);
    estimate(&message.content) + calls.sum::<usize>() + message.images() * IMAGE
}

/// The tokens of a text; never less than one.
pub fn estimate(text: &str) -> usize {
    let mut count = Count::default();
    count.add(text);
    count.tokens().max(1)
}
