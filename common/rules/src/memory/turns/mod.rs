//! Which of the past turns a question is about: by its words, by meaning, and by what stands around a turn. Pure.
//!
//! A turn is seldom clear alone: the one before asks what it answers, those around say what it is about. So words count in a turn
//! with its neighbours (`X`) and in the passage around it (`P`), and likeness of meaning likewise. Small features with fixed
//! weights follow: dates, speakers, questions. docs/decisions/0024-retrieval.md has what each is worth.

pub mod dates;
mod language;
pub mod passages;
pub mod score;

use chrono::{DateTime, Utc};

use super::text::words;

pub use language::asks_for_a_time;

/// What a search knows of a turn without its text. Turns are kept in order, the sessions one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// A number that only turns of its session have.
    pub session: u32,
    /// Its place in the session.
    pub seq: u32,
    /// When it was said, in milliseconds since 1970.
    pub at: i64,
    /// Words, as they are indexed, and how many different ones.
    pub length: u16,
    pub terms: u16,
    /// A mark of who said it, where names are known; 0: nobody knows.
    pub speaker: u32,
    pub traits: Traits,
}

impl Turn {
    /// One of which nothing is known. `n`: counted among such turns, or all.
    pub fn alone(n: u32) -> Self {
        Self {
            session: u32::MAX - n,
            seq: 0,
            at: 0,
            length: 0,
            terms: 0,
            speaker: 0,
            traits: Traits::default(),
        }
    }

    pub fn time(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.at)
    }
}

/// What is told from a turn's text, in two bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traits {
    flags: u8,
    /// Words of the first person.
    pub first_person: u8,
}

const ASKS: u8 = 1;
const ENDS_ASKING: u8 = 2;
const OF_TIME: u8 = 4;

impl Traits {
    pub fn of(text: &str) -> Self {
        let asks = |c: char| matches!(c, '?' | '？' | '؟');
        let words = words(text);
        let mut flags = 0;
        for (flag, is_set) in [
            (ASKS, text.contains(asks)),
            (ENDS_ASKING, text.trim_end().ends_with(asks)),
            (OF_TIME, language::says_a_time(&words)),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        let first_person = words.iter().filter(|word| language::is_first_person(word)).count();
        Self { flags, first_person: first_person.min(255) as u8 }
    }

    /// Of a turn between a user and a model. A model ends with a question by habit, also when it answers one, and what a user asks of it
    /// says what the talk is about: there a closing question is no sign that nothing is answered.
    pub fn with_model(self) -> Self {
        Self { flags: self.flags & !ENDS_ASKING, ..self }
    }

    /// Whether a question is in it.
    pub fn asks(self) -> bool {
        self.flags & ASKS != 0
    }

    /// Whether it ends with a question, among people.
    pub fn ends_asking(self) -> bool {
        self.flags & ENDS_ASKING != 0
    }

    /// Whether it says when something is.
    pub fn is_of_time(self) -> bool {
        self.flags & OF_TIME != 0
    }

    /// As it is stored.
    pub fn to_bytes(self) -> [u8; 2] {
        [self.flags, self.first_person]
    }

    pub fn from_bytes([flags, first_person]: [u8; 2]) -> Self {
        Self { flags, first_person }
    }
}

/// The mark of a speaker's name (FNV-1a of its normal form). It is stored: it stays.
pub fn speaker(name: &str) -> u32 {
    let normal = super::text::normalise(name);
    let hash =
        normal.bytes().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.max(1)
}

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_turn_is_like_is_told_from_its_text() {
        let traits = Traits::of("I went there yesterday with my sister. Did you?");
        assert!(traits.asks() && traits.ends_asking() && traits.is_of_time());
        assert_eq!((traits.first_person, Traits::from_bytes(traits.to_bytes())), (2, traits));
        let traits = Traits::of("Why? Nobody knows.");
        assert!(traits.asks() && !traits.ends_asking() && !traits.is_of_time());
        let traits = Traits::of("আমি গতকাল আমার বোনের সাথে গিয়েছিলাম");
        assert!(traits.is_of_time() && !traits.asks());
        assert_eq!(traits.first_person, 2);
        let traits = Traits::of("There are many. Shall I go on?").with_model();
        assert!(traits.asks() && !traits.ends_asking());
        assert!(speaker("Ana") == speaker("ana ") && speaker("Ana") != speaker("Anna") && speaker("") != 0);
    }
}
