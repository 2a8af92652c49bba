//! What a sentence asserts or denies, in a form in which two sentences can be compared: the stems of its words without
//! what only fills it, whether it is denied, and whether it speaks of the past. English, and plain Bengali.
//!
//! It would rather see no claim than a wrong one: what is uncertain, conditional or about "it" gives none.

use crate::memory::{bengali, text};

/// Stands for every verb of liking; its opposites are the same with the other sign.
const LIKE: &str = "+like";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub words: Vec<String>,
    pub is_denied: bool,
    /// Says that something held until now: "no longer", "stopped".
    pub is_ended: bool,
    pub is_past: bool,
    /// "can swim", as opposed to "swims".
    pub is_ability: bool,
}

const LIKES: &[&str] = &["like", "likes", "love", "loves", "enjoy", "enjoys", "adore", "adores"];
const HATES: &[&str] = &[
    "hate", "hates", "dislike", "dislikes", "detest", "detests", "loathe", "loathes", "despise", "despises",
    "abhor", "abhors",
];
const NEGATIONS: &[&str] = &[
    "not", "no", "never", "dont", "doesnt", "didnt", "isnt", "arent", "wasnt", "werent", "cant", "cannot",
    "wont", "hasnt", "havent", "aint", "neither",
];
/// After these no claim is certain.
const UNCERTAIN: &[&str] = &[
    "if",
    "unless",
    "maybe",
    "perhaps",
    "might",
    "may",
    "could",
    "would",
    "whether",
    "wonders",
    "wonder",
    "thinks",
    "think",
    "said",
    "says",
    "hopes",
    "hope",
    "sometimes",
    "except",
    "until",
    "unsure",
    "than",
    "without",
    "unlike",
    "depends",
    "instead",
];
/// "not always" denies nothing that can be compared.
const DEGREES: &[&str] = &[
    "always",
    "often",
    "usually",
    "only",
    "just",
    "necessarily",
    "every",
    "all",
    "many",
    "sure",
    "especially",
    "particularly",
    "everything",
    "both",
];
const FILLERS: &[&str] = &[
    "really",
    "very",
    "so",
    "absolutely",
    "totally",
    "also",
    "too",
    "just",
    "quite",
    "actually",
    "definitely",
    "truly",
    "still",
    "always",
    "usually",
    "often",
    "now",
    "currently",
    "much",
    "any",
    "the",
    "a",
    "an",
    "to",
    "do",
    "does",
    "did",
    "am",
    "is",
    "are",
    "was",
    "were",
    "be",
    "been",
    "being",
    "that",
    "all",
    "completely",
    "deeply",
    "certainly",
    "simply",
    "well",
    "im",
    "both",
    "dearly",
    "strongly",
    "at",
];
const USER: &[&str] = &["i", "user", "users"];
const OWN: &[&str] = &["my", "her", "his", "their", "our", "its"];
/// Nobody knows what these name.
const POINTERS: &[&str] =
    &["it", "them", "this", "these", "those", "him", "you", "there", "here", "one", "something", "anything"];
const NUMBERS: &[&str] =
    &["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "several", "many"];
/// Things with "and" in their name.
const PAIRS: &[&[&str]] = &[
    &["fish", "chip"],
    &["rock", "roll"],
    &["mac", "chees"],
    &["black", "white"],
    &["bread", "butter"],
    &["drum", "bass"],
    &["gin", "tonic"],
    &["peanut", "butter"],
    &["r", "b"],
];

/// Several words that are as good as one: what they stand for comes in their place.
const PHRASES: &[(&[&str], &[&str])] = &[
    (&["can", "not"], &["cannot"]),
    (&["cant", "stand"], &["hate"]),
    (&["cannot", "stand"], &["hate"]),
    (&["cant", "bear"], &["hate"]),
    (&["cannot", "bear"], &["hate"]),
    (&["big", "fan", "of"], &["like"]),
    (&["huge", "fan", "of"], &["like"]),
    (&["fan", "of"], &["like"]),
    (&["fond", "of"], &["like"]),
    (&["keen", "on"], &["like"]),
    (&["crazy", "about"], &["like"]),
    (&["is", "into"], &["like"]),
    (&["am", "into"], &["like"]),
    (&["im", "into"], &["like"]),
    (&["not", "into"], &["not", "like"]),
    (&["no", "longer"], &["not", "anymore"]),
    (&["any", "more"], &["anymore"]),
    (&["any", "longer"], &["anymore"]),
    (&["gave", "up"], &["not", "anymore"]),
    (&["has", "given", "up"], &["not", "anymore"]),
    (&["have", "given", "up"], &["not", "anymore"]),
    (&["at", "all"], &[]),
    (&["a", "lot"], &[]),
    (&["very", "much"], &[]),
    (&["a", "bit"], &[]),
    (&["these", "days"], &[]),
    (&["have", "got"], &["have"]),
    (&["has", "got"], &["have"]),
    (&["ive", "got"], &["have"]),
];

fn with_phrases(words: Vec<String>) -> Vec<String> {
    let mut words = words;
    for (phrase, stands_for) in PHRASES {
        let mut at = 0;
        while at + phrase.len() <= words.len() {
            if words[at..at + phrase.len()].iter().zip(*phrase).all(|(word, part)| word == part) {
                words.splice(at..at + phrase.len(), stands_for.iter().map(|&word| word.to_owned()));
            }
            at += 1;
        }
    }
    words
}

/// What a text claims: a claim a sentence, and one for each thing that is liked or disliked in it.
pub fn claims(text: &str) -> Vec<Claim> {
    let text = bengali::composed(text).replace('’', "'");
    text.split(['.', ';', '!', '\n', '।'])
        .filter(|sentence| !sentence.trim_end().ends_with('?'))
        .flat_map(clauses)
        .flat_map(|clause| claims_of(&clause))
        .collect()
}

/// A sentence without what merely opens it, cut at "but".
fn clauses(sentence: &str) -> Vec<String> {
    let lower = sentence.to_lowercase();
    let lower = lower.trim();
    let opened = ["no, ", "well, ", "yes, "].iter().find_map(|opening| lower.strip_prefix(opening));
    opened.unwrap_or(lower).split(" but ").flat_map(|part| part.split(" কিন্তু ")).map(str::to_owned).collect()
}

fn claims_of(clause: &str) -> Vec<Claim> {
    let words = text::words(clause);
    let is_bengali = words.iter().any(|word| bengali::is_bengali(word));
    let words = if is_bengali { bengali::plain(&words) } else { with_phrases(words) };
    let Some(claim) = read(&words) else { return Vec::new() };
    split(claim)
}

fn read(words: &[String]) -> Option<Claim> {
    let mut claim =
        Claim { words: Vec::new(), is_denied: false, is_ended: false, is_past: false, is_ability: false };
    let is = |word: &str, list: &[&str]| list.contains(&word);
    for (at, word) in words.iter().enumerate() {
        let word = word.as_str();
        let next = words.get(at + 1).map_or("", String::as_str);
        if is(word, UNCERTAIN) || is(word, POINTERS) {
            return None;
        }
        claim.is_past |= ["did", "didnt", "was", "wasnt", "were", "werent", "had"].contains(&word)
            || word == "used" && next == "to";
        match word {
            _ if is(word, NEGATIONS) => {
                if is(next, DEGREES) {
                    return None;
                }
                claim.is_denied = !claim.is_denied;
                claim.is_ability |= ["cant", "cannot"].contains(&word);
            }
            "stopped" | "quit" => (claim.is_denied, claim.is_ended) = (!claim.is_denied, true),
            "anymore" => claim.is_ended = true,
            "can" => claim.is_ability = true,
            "used" if next == "to" => {}
            _ if is(word, LIKES) => claim.words.push(LIKE.to_owned()),
            _ if is(word, HATES) => {
                claim.is_denied = !claim.is_denied;
                claim.words.push(LIKE.to_owned());
            }
            _ if is(word, FILLERS) || is(word, USER) => {}
            _ if is(word, OWN) => claim.words.push("own".to_owned()),
            "has" | "have" | "had" | "ive" | "hasnt" => claim.words.push("have".to_owned()),
            "goes" => claim.words.push("go".to_owned()),
            _ => {
                // The verb comes first when the user is not named.
                claim.is_past |= claim.words.is_empty() && word.len() > 4 && word.ends_with("ed");
                claim.words.push(text::stem(word));
            }
        }
        if ["hasnt", "havent"].contains(&word) {
            claim.words.push("have".to_owned());
        }
    }
    claim.words.dedup();
    let says_something = claim.words.iter().any(|word| word != LIKE && word != "have" && word != "own");
    says_something.then_some(claim)
}

/// "Likes cats and dogs" claims two things.
fn split(claim: Claim) -> Vec<Claim> {
    let Some(verb) = claim.words.iter().position(|word| word == LIKE) else { return vec![claim] };
    let (before, objects) = claim.words.split_at(verb + 1);
    let joins = |word: &String| ["and", "or", "nor", "এবং", "ও", "আর"].contains(&word.as_str());
    let is_pair = PAIRS.iter().any(|pair| {
        objects.windows(3).any(|part| part[0] == pair[0] && joins(&part[1]) && part[2] == pair[1])
    });
    if is_pair || objects.contains(&LIKE.to_owned()) {
        return vec![claim];
    }
    objects
        .split(joins)
        .filter(|object| !object.is_empty())
        .map(|object| Claim { words: [before, object].concat(), ..claim.clone() })
        .collect()
}

impl Claim {
    /// Both cannot be true: one denies what the other says, of the same time.
    pub fn contradicts(&self, other: &Claim) -> bool {
        let (says, denies) = if self.is_denied { (other, self) } else { (self, other) };
        says.is_denied != denies.is_denied
            && says.is_past == denies.is_past
            // "Can drive" goes with "does not drive"; "cannot eat gluten" does not go with "eats gluten".
            && (!says.is_ability || denies.is_ability)
            && (says.words == denies.words || says.without_number() == denies.words)
    }

    /// "Has two cats" as "has cats".
    fn without_number(&self) -> Vec<String> {
        let has = self.words.first().is_some_and(|word| word == "have" || word == "own");
        let is_number =
            |word: &String| NUMBERS.contains(&word.as_str()) || word.chars().all(char::is_numeric);
        self.words.iter().filter(|word| !(has && is_number(word))).cloned().collect()
    }
}
