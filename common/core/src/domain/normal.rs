//! The words of a text, and the form that tells duplicates. Any language.

/// The words of a text in lower case, in order. A word is a run of letters, digits and marks; an apostrophe joins.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() || is_mark(c) {
            word.push(c);
        } else if !matches!(c, '\'' | '’') && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Vowel signs and the like of Indic and other scripts: parts of words, though no letters.
fn is_mark(c: char) -> bool {
    matches!(c as u32, 0x0300..=0x036f | 0x0900..=0x0903 | 0x093a..=0x094f | 0x0981..=0x0983 | 0x09bc..=0x09cd | 0x09d7
        | 0x0a01..=0x0a4d | 0x0b01..=0x0b57 | 0x0b82..=0x0bcd | 0x0e31..=0x0e4e | 0x200c..=0x200d)
}

/// The form that tells duplicates: words joined by single spaces.
pub fn normalise(text: &str) -> String {
    words(text).join(" ")
}
