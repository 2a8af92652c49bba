//! Words: how a text is compared, and what it is found by. Any language; English words are stemmed.

use std::{collections::HashMap, sync::LazyLock};

use rust_stemmers::{Algorithm, Stemmer};

pub use rapport_core::domain::normal::{normalise, words};

use super::bengali;

/// Words that say nothing about what a text is about.
const STOP: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do", "does",
    "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if", "in", "is", "it", "its", "me",
    "my", "of", "on", "or", "our", "she", "should", "so", "that", "the", "their", "them", "then", "there",
    "they", "this", "to", "was", "we", "were", "what", "when", "where", "which", "who", "will", "with",
    "would", "you", "your", "am", "im", "user", "users", "about", "please",
];

/// What a text is found by: its words without the empty ones, stemmed, each with how often it stands there.
pub fn terms(text: &str) -> HashMap<String, i64> {
    counted(text, |word| {
        let bengali = !word.is_ascii() && bengali::is_bengali(word);
        if bengali && bengali::is_empty(word) {
            return None;
        }
        Some(if bengali { bengali::stem(word) } else { stem(word) })
    })
}

/// The same with only English words stemmed: what the built-in vectors are made of, whose texts keep their vectors.
pub fn plain_terms(text: &str) -> HashMap<String, i64> {
    counted(text, |word| Some(stem(word)))
}

fn counted(text: &str, form: impl Fn(&str) -> Option<String>) -> HashMap<String, i64> {
    let mut terms = HashMap::new();
    for word in words(text) {
        if !STOP.contains(&word.as_str())
            && word.len() <= 64
            && let Some(term) = form(&word)
        {
            *terms.entry(term).or_default() += 1;
        }
    }
    terms
}

/// English words by Snowball's stemmer; those of other scripts stay as they are.
pub fn stem(word: &str) -> String {
    static ENGLISH: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::create(Algorithm::English));
    if word.is_ascii() { ENGLISH.stem(word).into_owned() } else { word.to_owned() }
}

/// A value as JSON on one line that nothing in it can leave: no line break, no quote and no angle bracket of it can end a frame in a
/// prompt.
pub fn framed(value: &serde_json::Value) -> String {
    let line = value.to_string();
    line.replace('<', "\\u003c").replace('>', "\\u003e").replace(['\u{2028}', '\u{2029}'], " ")
}

/// Without characters that are there but not seen: they could hide instructions.
pub fn visible(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c as u32, 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe007f)
                && !matches!(c as u32, 0x200c..=0x200d)
    };
    text.chars().filter(|c| !hidden(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_of_a_word_find_each_other() {
        for (one, other) in [
            ("hiking", "hikes"),
            ("running", "runs"),
            ("cities", "city"),
            ("moved", "moving"),
            ("likes", "like"),
        ] {
            assert_eq!(stem(one), stem(other), "{one} {other}");
        }
        assert!(terms("The user is in the houses").contains_key("hous"));
        assert!(!terms("what is the").contains_key("what"));
    }

    #[test]
    fn bengali_words_stay_whole() {
        assert_eq!(words("আমি ঢাকায় থাকি।"), ["আমি", "ঢাকায়", "থাকি"]);
        // "Where do I live?" finds "lives in Dhaka".
        assert!(terms("আমি কোথায় থাকি?").keys().any(|term| terms("ঢাকায় থাকেন").contains_key(term)));
        assert!(terms("আমি কে?").is_empty());
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{0,60}") {
            let once = normalise(&text);
            prop_assert_eq!(normalise(&once), once);
        }
    }
}
