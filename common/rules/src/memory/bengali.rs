//! Just enough Bengali to find and to compare plain sentences: verbs in one form, nouns without their endings, "না" as a
//! denial.

/// One way of writing letters that have two.
pub fn composed(text: &str) -> String {
    text.replace('\u{09df}', "\u{09af}\u{09bc}")
        .replace('\u{09dc}', "\u{09a1}\u{09bc}")
        .replace('\u{09dd}', "\u{09a2}\u{09bc}")
}

pub fn is_bengali(word: &str) -> bool {
    word.chars().any(|c| ('\u{0980}'..='\u{09ff}').contains(&c))
}

/// Forms of a verb for "I", "he" and the polite person, and the one they stand for here.
const VERBS: &[(&str, &str)] = &[
    ("থাকি", "থাক"),
    ("থাকেন", "থাক"),
    ("থাকে", "থাক"),
    ("থাকো", "থাক"),
    ("খাই", "খা"),
    ("খান", "খা"),
    ("খায়", "খা"),
    ("খাও", "খা"),
    ("করি", "কর"),
    ("করেন", "কর"),
    ("করে", "কর"),
    ("করো", "কর"),
    ("যাই", "যা"),
    ("যান", "যা"),
    ("যায়", "যা"),
    ("বলি", "বল"),
    ("বলেন", "বল"),
    ("বলে", "বল"),
    ("পারি", "পার"),
    ("পারেন", "পার"),
    ("পারে", "পার"),
    ("পড়ি", "পড়"),
    ("পড়েন", "পড়"),
    ("পড়ে", "পড়"),
    ("খেলি", "খেল"),
    ("খেলেন", "খেল"),
    ("খেলে", "খেল"),
    ("শুনি", "শুন"),
    ("শোনেন", "শুন"),
    ("শোনে", "শুন"),
    ("দেখি", "দেখ"),
    ("দেখেন", "দেখ"),
    ("দেখে", "দেখ"),
    ("জানি", "জান"),
    ("জানেন", "জান"),
    ("জানে", "জান"),
    ("আছে", "আছ"),
    ("আছেন", "আছ"),
    ("আছি", "আছ"),
    ("ভালোবাসি", "ভালোবাস"),
    ("ভালোবাসেন", "ভালোবাস"),
    ("ভালোবাসে", "ভালোবাস"),
    ("ভালবাসি", "ভালোবাস"),
    ("ভালবাসেন", "ভালোবাস"),
    ("ভালবাসে", "ভালোবাস"),
];

/// Words that say nothing about what a text is about.
pub fn is_empty(word: &str) -> bool {
    const EMPTY: [&str; 24] = [
        "আমি",
        "আমার",
        "আমাকে",
        "আমরা",
        "তুমি",
        "আপনি",
        "সে",
        "তিনি",
        "কি",
        "কী",
        "কে",
        "কোথায়",
        "কখন",
        "কেন",
        "কোন",
        "কোনটা",
        "কীভাবে",
        "একটি",
        "একটা",
        "এবং",
        "ও",
        "এই",
        "সেই",
        "যে",
    ];
    let word = composed(word);
    EMPTY.iter().any(|empty| composed(empty) == word)
}

/// The verb a form belongs to.
pub fn verb(word: &str) -> Option<&'static str> {
    VERBS.iter().find(|(form, _)| composed(form) == word).map(|(_, verb)| *verb)
}

/// A word without the ending of its case or number.
pub fn stem(word: &str) -> String {
    let word = composed(word);
    if !is_bengali(&word) {
        return word;
    }
    if let Some(verb) = verb(&word) {
        return composed(verb);
    }
    let endings = [
        "গুলোকে",
        "গুলিকে",
        "গুলো",
        "গুলি",
        "দেরকে",
        "দের",
        "টাকে",
        "টিকে",
        "কে",
        "তে",
        "টা",
        "টি",
        "য়",
        "ের",
        "র",
        "ে",
    ];
    for ending in endings {
        let ending = composed(ending);
        if let Some(stem) = word.strip_suffix(&ending).filter(|stem| stem.chars().count() >= 3) {
            return stem.to_owned();
        }
    }
    word
}

/// Words as English claims have them: pronouns and articles gone, liking and denial in their English words.
pub fn plain(words: &[String]) -> Vec<String> {
    let mut plain = Vec::new();
    for word in words {
        let word = composed(word);
        let (word, denied) = match word.strip_suffix("না").filter(|verb_form| verb(verb_form).is_some()) {
            Some(form) => (form.to_owned(), true),
            None => (word, false),
        };
        match word.as_str() {
            "আমি"
            | "আমার"
            | "আমাকে"
            | "তিনি"
            | "ব্যবহারকারী"
            | "একটি"
            | "একটা"
            | "এক"
            | "খুব"
            | "অনেক"
            | "সত্যিই"
            | "আসলে"
            | "এখন"
            | "করতে"
            | "খেতে" => {}
            "না" | "নই" | "নয়" | "নন" | "কখনোই" | "নাই" => {
                plain.push("not".to_owned())
            }
            "নেই" => plain.extend(["not".to_owned(), "আছ".to_owned()]),
            "আর" => plain.push("and".to_owned()),
            "পছন্দ" | "ভালো" | "ভাল" => plain.push("like".to_owned()),
            "অপছন্দ" | "ঘৃণা" => plain.push("hate".to_owned()),
            "লাগে" => {}
            "যদি" | "হয়তো" => plain.push("maybe".to_owned()),
            "আগে" => plain.push("had".to_owned()),
            _ => match verb(&word) {
                Some("ভালোবাস") => plain.push("like".to_owned()),
                // "পছন্দ করি" is "like", not "like do".
                Some("কর") if plain.last().is_some_and(|last| last == "like" || last == "hate") => {}
                _ => plain.push(stem(&word)),
            },
        }
        if denied {
            plain.push("not".to_owned());
        }
    }
    // The verb comes last in Bengali and first in what it is compared with.
    if let Some(at) = plain.iter().position(|word| word == "like" || word == "hate") {
        let verb = plain.remove(at);
        plain.insert(0, verb);
    }
    plain
}
