//! Unigram: of all ways to cut a word into pieces of the vocabulary, the likeliest. Models for many languages have it.

use std::collections::HashMap;

/// Below the unlikeliest piece: what a sign costs that no piece has. SentencePiece's number.
const UNKNOWN_PENALTY: f64 = 10.0;

pub struct Unigram {
    pieces: HashMap<String, (u32, f64)>,
    unknown: u32,
    unknown_score: f64,
    /// Bytes of the longest piece: no longer one is looked for.
    longest: usize,
}

/// The best way to a place in a word: its score, where its last piece begins, and that piece.
#[derive(Clone, Copy)]
struct Way {
    score: f64,
    from: usize,
    piece: Option<u32>,
}

impl Unigram {
    pub fn new(vocabulary: Vec<(String, f64)>, unknown: u32) -> Result<Self, String> {
        if unknown as usize >= vocabulary.len() {
            return Err("its vocabulary lacks what stands for the unknown".to_owned());
        }
        let least = vocabulary.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
        let longest = vocabulary.iter().map(|(piece, _)| piece.len()).max().unwrap_or(0);
        let numbered =
            vocabulary.into_iter().zip(0..).map(|((piece, score), number)| (piece, (number, score)));
        Ok(Self { pieces: numbered.collect(), unknown, unknown_score: least - UNKNOWN_PENALTY, longest })
    }

    /// Appends the numbers of a word. Signs that no piece has, side by side, are one unknown.
    pub fn encode(&self, word: &str, numbers: &mut Vec<u32>) {
        let mut ways: Vec<Option<Way>> = vec![None; word.len() + 1];
        ways[0] = Some(Way { score: 0.0, from: 0, piece: None });
        for (at, sign) in word.char_indices() {
            let Some(here) = ways[at].map(|way| way.score) else { continue };
            let mut improve = |end: usize, score: f64, piece: Option<u32>| {
                if ways[end].is_none_or(|way| score > way.score) {
                    ways[end] = Some(Way { score, from: at, piece });
                }
            };
            let next = at + sign.len_utf8();
            let mut single = false;
            let mut end = next;
            while end <= word.len() && end - at <= self.longest {
                if word.is_char_boundary(end)
                    && let Some((number, score)) = self.pieces.get(&word[at..end])
                {
                    single |= end == next;
                    improve(end, here + score, Some(*number));
                }
                end += 1;
            }
            if !single {
                improve(next, here + self.unknown_score, None);
            }
        }
        let begun = numbers.len();
        let mut at = word.len();
        let mut unknown_after = false;
        while let Some(way) = ways[at].filter(|_| at > 0) {
            match way.piece {
                Some(number) => numbers.push(number),
                None if !unknown_after => numbers.push(self.unknown),
                None => {}
            }
            unknown_after = way.piece.is_none();
            at = way.from;
        }
        numbers[begun..].reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_way_is_taken() {
        let vocabulary = [("<unk>", 0.0), ("a", -1.0), ("b", -1.0), ("ab", -1.5), ("abc", -9.0), ("c", -2.0)];
        let unigram =
            Unigram::new(vocabulary.map(|(piece, score)| (piece.to_owned(), score)).to_vec(), 0).unwrap();
        let encoded = |word| {
            let mut numbers = vec![7];
            unigram.encode(word, &mut numbers);
            numbers
        };
        assert_eq!(encoded("abc"), [7, 3, 5], "ab and c, not abc");
        assert_eq!(encoded("ba"), [7, 2, 1]);
        assert_eq!(encoded("aéüb"), [7, 1, 0, 2], "two unknown signs are one");
        assert_eq!(encoded(""), [7]);
        assert!(Unigram::new(Vec::new(), 0).is_err());
    }
}
