//! What a question names: words by which somebody looks a thing up, rather than asks about it.

use super::text;

/// So few words are no question: each of them is looked up.
const FEW: usize = 2;

/// The terms of a question's names and numbers: what has a digit, or a capital letter that no beginning of a sentence gave it, or
/// stands in quotes. All terms, when there are few.
pub fn named(question: &str) -> Vec<String> {
    let all = text::terms(question);
    if all.len() <= FEW {
        let mut few: Vec<String> = all.into_keys().collect();
        few.sort_unstable();
        return few;
    }
    let mut found: Vec<String> = Vec::new();
    let (mut begins, mut quoted) = (true, false);
    for word in question.split_whitespace() {
        let opens = word.starts_with(['"', '“', '«']);
        quoted |= opens;
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_capital = bare.chars().next().is_some_and(char::is_uppercase) && bare.chars().count() > 1;
        if quoted || (is_capital && !begins) || bare.chars().any(char::is_numeric) {
            found.extend(text::terms(bare).into_keys());
        }
        let end = word.trim_end_matches(['.', '?', '!', ',', ';', ':']);
        quoted &= !(end.ends_with(['"', '”', '»']) && (!opens || end.chars().count() > 1));
        begins = word.ends_with(['.', '?', '!', ':']);
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::named;

    fn names(question: &str) -> String {
        named(question).join(" ")
    }

    #[test]
    fn names_numbers_and_quotes_are_looked_up_and_plain_words_are_not() {
        assert_eq!(names("What did the man from Tromsø say about order ORD-48213?"), "48213 ord tromsø");
        assert_eq!(names("Where do I usually go hiking? Sometimes by train"), "");
        assert_eq!(names("who said \"purple rain\" about the weather"), "purpl rain");
        assert_eq!(names("blue bicycle"), "bicycl blue");
        assert_eq!(names("I think I should ask when we leave"), "");
    }
}
