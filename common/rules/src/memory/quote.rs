//! Whether a quote is really in the message it names.

use super::text;

/// The quote's words stand in the message in this order, whatever the case and punctuation between them.
pub fn is_in(quote: &str, message: &str) -> bool {
    let (quote, message) = (text::words(quote), text::words(message));
    !quote.is_empty()
        && quote.len() <= message.len()
        && message.windows(quote.len()).any(|part| part == quote)
}

/// Numbers in a text, as they are written.
pub fn numbers(text: &str) -> Vec<String> {
    let mut found: Vec<String> =
        text::words(text).into_iter().filter(|word| word.chars().any(|c| c.is_numeric())).collect();
    found.sort();
    found.dedup();
    found
}

/// Whether a text denies something.
pub fn is_negated(text: &str) -> bool {
    const NEGATIONS: [&str; 18] = [
        "not",
        "no",
        "never",
        "dont",
        "doesnt",
        "didnt",
        "isnt",
        "arent",
        "wasnt",
        "cant",
        "cannot",
        "wont",
        "hate",
        "hates",
        "dislike",
        "dislikes",
        "না",
        "নেই",
    ];
    text::words(text).iter().any(|word| NEGATIONS.contains(&word.as_str()))
}

/// Words written with a capital that do not open the text: names, mostly.
pub fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = text
        .split_whitespace()
        .skip(1)
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| word.chars().next().is_some_and(char::is_uppercase) && word.len() > 1)
        .map(str::to_lowercase)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Whether a text looks like a secret: no memory may hold one.
pub fn is_secret(text: &str) -> bool {
    let lower = text.to_lowercase();
    let digits = |word: &str| word.chars().filter(char::is_ascii_digit).count();
    let long_number = lower.split(|c: char| !(c.is_ascii_digit() || c == '-' || c == ' ')).any(|part| {
        (13..=19).contains(&digits(part)) && part.chars().filter(|c| *c == '-' || *c == ' ').count() <= 6
    });
    let key = lower.split_whitespace().any(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        ["sk-", "ghp_", "xoxb-", "akia", "rpk_"]
            .iter()
            .any(|start| word.starts_with(start) && word.len() >= 16)
    });
    let named = ["password is", "passwort", "my pin is", "secret key is", "api key is", "cvv is"];
    long_number || key || named.iter().any(|name| lower.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_is_a_quote() {
        assert!(is_in("i moved to dhaka", "Well — I moved to Dhaka, finally!"));
        assert!(!is_in("I moved to Delhi", "I moved to Dhaka"));
        assert!(!is_in("", "x") && !is_in("mov", "I moved"));
        assert!(is_in("ঢাকায় থাকি", "আমি ঢাকায় থাকি।"));
    }

    #[test]
    fn secrets_are_seen() {
        assert!(is_secret("my card is 4111 1111 1111 1111") && is_secret("key sk-abcdefghijklmnop123"));
        assert!(is_secret("My password is hunter2") && !is_secret("I was born on 1990-05-12 in room 12"));
    }
}
