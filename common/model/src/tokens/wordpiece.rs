//! WordPiece: a word is cut, from its beginning, into the longest pieces that the vocabulary has.

use std::collections::HashMap;

pub struct WordPiece {
    /// Pieces that begin a word, and those that go on in one, without their prefix.
    first: HashMap<String, u32>,
    later: HashMap<String, u32>,
    unknown: u32,
    /// Bytes of the longest piece: no longer one is looked for.
    longest_piece: usize,
    longest_word: usize,
}

impl WordPiece {
    pub fn new(
        vocabulary: HashMap<String, u32>,
        unknown: &str,
        prefix: &str,
        longest_word: usize,
    ) -> Result<Self, String> {
        let missing = || format!("its vocabulary lacks {unknown:?}");
        let unknown = vocabulary.get(unknown).copied().ok_or_else(missing)?;
        let longest_piece = vocabulary.keys().map(String::len).max().unwrap_or(0);
        let (mut first, mut later) = (HashMap::new(), HashMap::new());
        for (piece, number) in vocabulary {
            match piece.strip_prefix(prefix).filter(|rest| !prefix.is_empty() && !rest.is_empty()) {
                Some(rest) => later.insert(rest.to_owned(), number),
                None => first.insert(piece, number),
            };
        }
        Ok(Self { first, later, unknown, longest_piece, longest_word })
    }

    /// Appends the numbers of a word. One that cannot be cut is one unknown.
    pub fn encode(&self, word: &str, numbers: &mut Vec<u32>) {
        let begun = numbers.len();
        let mut rest = word;
        let too_long = word.chars().count() > self.longest_word;
        while !rest.is_empty() && !too_long {
            let pieces = if rest.len() == word.len() { &self.first } else { &self.later };
            let Some((piece, number)) = self.longest(rest, pieces) else { break };
            numbers.push(number);
            rest = &rest[piece..];
        }
        if !rest.is_empty() {
            numbers.truncate(begun);
            numbers.push(self.unknown);
        }
    }

    /// Whether a word came out as one that cannot be cut.
    pub fn is_unknown(&self, numbers: &[u32]) -> bool {
        numbers == [self.unknown]
    }

    /// The longest piece that a text begins with: its length and its number.
    fn longest(&self, text: &str, pieces: &HashMap<String, u32>) -> Option<(usize, u32)> {
        let mut end = text.floor_char_boundary(self.longest_piece);
        while end > 0 {
            if let Some(number) = pieces.get(&text[..end]) {
                return Some((end, *number));
            }
            end = text.floor_char_boundary(end - 1);
        }
        None
    }
}
