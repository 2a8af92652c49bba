//! Words of time and of the first person, a table a language. Words of all tables are known at once: a user may mix languages, and
//! no word of one means a time in another.

use std::{collections::HashMap, sync::LazyLock};

use chrono::Weekday;

use crate::memory::{bengali, text::words};

/// What a word says about time, in whatever language.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Word {
    Month(u32),
    Weekday(Weekday),
    /// Its months.
    Season(&'static [u32]),
    Unit(Unit),
    Last,
    Ago,
    Today,
    Yesterday,
    Number(u32),
    /// Says a time, and none that can be reckoned with.
    Vague,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Day,
    Week,
    Month,
    Year,
}

use Unit::{Day, Month as Moon, Week, Year};
use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
use Word::{Ago, Last, Month, Number, Season, Today, Unit as U, Vague, Weekday as W, Yesterday};

const SPRING: Word = Season(&[3, 4, 5]);
const SUMMER: Word = Season(&[6, 7, 8]);
const AUTUMN: Word = Season(&[9, 10, 11]);
const WINTER: Word = Season(&[12, 1, 2]);

/// "may" is a month only in company: see [`words_of_time`].
const ENGLISH: &[(&str, Word)] = &[
    ("january", Month(1)),
    ("february", Month(2)),
    ("march", Month(3)),
    ("april", Month(4)),
    ("june", Month(6)),
    ("july", Month(7)),
    ("august", Month(8)),
    ("september", Month(9)),
    ("october", Month(10)),
    ("november", Month(11)),
    ("december", Month(12)),
    ("monday", W(Mon)),
    ("tuesday", W(Tue)),
    ("wednesday", W(Wed)),
    ("thursday", W(Thu)),
    ("friday", W(Fri)),
    ("saturday", W(Sat)),
    ("sunday", W(Sun)),
    ("spring", SPRING),
    ("summer", SUMMER),
    ("autumn", AUTUMN),
    ("fall", AUTUMN),
    ("winter", WINTER),
    ("day", U(Day)),
    ("days", U(Day)),
    ("week", U(Week)),
    ("weeks", U(Week)),
    ("weekend", U(Week)),
    ("month", U(Moon)),
    ("months", U(Moon)),
    ("year", U(Year)),
    ("years", U(Year)),
    ("last", Last),
    ("ago", Ago),
    ("today", Today),
    ("yesterday", Yesterday),
    ("tonight", Vague),
    ("tomorrow", Vague),
    ("next", Vague),
    ("recently", Vague),
    ("soon", Vague),
    ("since", Vague),
];

/// Numbers and seasons say a time only beside others.
const ENGLISH_NUMBERS: &[(&str, u32)] = &[
    ("a", 1),
    ("an", 1),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
];

/// Without the endings of cases: those of a text are taken off.
const BENGALI: &[(&str, Word)] = &[
    ("জানুয়ারি", Month(1)),
    ("জানুয়ারী", Month(1)),
    ("ফেব্রুয়ারি", Month(2)),
    ("ফেব্রুয়ারী", Month(2)),
    ("মার্চ", Month(3)),
    ("এপ্রিল", Month(4)),
    ("মে", Month(5)),
    ("জুন", Month(6)),
    ("জুলাই", Month(7)),
    ("আগস্ট", Month(8)),
    ("অগাস্ট", Month(8)),
    ("সেপ্টেম্বর", Month(9)),
    ("অক্টোবর", Month(10)),
    ("নভেম্বর", Month(11)),
    ("ডিসেম্বর", Month(12)),
    ("সোমবার", W(Mon)),
    ("মঙ্গলবার", W(Tue)),
    ("বুধবার", W(Wed)),
    ("বৃহস্পতিবার", W(Thu)),
    ("শুক্রবার", W(Fri)),
    ("শনিবার", W(Sat)),
    ("রবিবার", W(Sun)),
    ("বসন্ত", SPRING),
    ("গ্রীষ্ম", SUMMER),
    ("শরৎ", AUTUMN),
    ("শীতকাল", WINTER),
    ("দিন", U(Day)),
    ("সপ্তাহ", U(Week)),
    ("মাস", U(Moon)),
    ("বছর", U(Year)),
    ("গত", Last),
    ("আগে", Ago),
    ("আজ", Today),
    ("আজকে", Today),
    ("গতকাল", Yesterday),
    ("আগামী", Vague),
    ("আগামীকাল", Vague),
    ("পরশু", Vague),
    ("সম্প্রতি", Vague),
    ("শিগগির", Vague),
];

const BENGALI_NUMBERS: &[(&str, u32)] = &[
    ("এক", 1),
    ("দুই", 2),
    ("দু", 2),
    ("তিন", 3),
    ("চার", 4),
    ("পাঁচ", 5),
    ("ছয়", 6),
    ("সাত", 7),
    ("আট", 8),
    ("নয়", 9),
    ("দশ", 10),
];

const FIRST_PERSON: &[&str] = &[
    "i",
    "my",
    "im",
    "ive",
    "id",
    "ill",
    "me",
    "mine",
    "myself",
    "we",
    "our",
    "us",
    "আমি",
    "আমার",
    "আমাকে",
    "আমায়",
    "আমরা",
    "আমাদের",
    "আমাদেরকে",
];

/// What a question for a time begins with, or holds anywhere.
const ASKS_AT_FIRST: &[&str] = &["when", "how long", "what time"];
const ASKS_ANYWHERE: &[&str] = &[
    "which year",
    "which month",
    "which date",
    "which day",
    "what year",
    "what month",
    "what date",
    "what day",
    "কখন",
    "কবে",
    "কতদিন",
    "কত দিন",
    "কতক্ষণ",
    "কত বছর",
    "কত মাস",
    "কোন বছর",
    "কোন মাস",
    "কোন মাসে",
    "কোন বছরে",
    "কোন দিন",
    "কোন তারিখে",
    "কত সালে",
    "কোন সালে",
];

static WORDS: LazyLock<HashMap<String, Word>> = LazyLock::new(|| {
    let numbers = ENGLISH_NUMBERS.iter().chain(BENGALI_NUMBERS).map(|(word, n)| (*word, Number(*n)));
    let all = ENGLISH.iter().chain(BENGALI).copied().chain(numbers);
    all.map(|(word, means)| (bengali::composed(word), means)).collect()
});

static FIRST: LazyLock<Vec<String>> =
    LazyLock::new(|| FIRST_PERSON.iter().map(|word| bengali::composed(word)).collect());

pub(super) fn is_first_person(word: &str) -> bool {
    let word = bengali::composed(word);
    FIRST.contains(&word)
}

/// A word of [`words`], which says whether it is "May" by its company.
fn meaning(word: &str) -> Option<Word> {
    if word.is_ascii() {
        return match WORDS.get(word) {
            Some(found) => Some(*found),
            None => number(word).map(Number),
        };
    }
    // A word may end twice: "জুলাইয়ে".
    let mut form = bengali::composed(word);
    for _ in 0..3 {
        if let Some(found) = WORDS.get(&form) {
            return Some(*found);
        }
        form = bengali::stem(&form);
    }
    number(word).map(Number)
}

/// `7`, `7th`, `২০২৩`.
fn number(word: &str) -> Option<u32> {
    let digits: String = word
        .chars()
        .map(|c| match c {
            '০'..='৯' => char::from_digit(c as u32 - '০' as u32, 10).unwrap_or(c),
            other => other,
        })
        .collect();
    let bare =
        ["st", "nd", "rd", "th"].iter().find_map(|ending| digits.strip_suffix(ending)).unwrap_or(&digits);
    if bare.is_empty() || bare.len() > 4 || !bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    bare.parse().ok()
}

/// Each word of a question with what it says about time. "May" is a month when it has its capital, and is not the first word, or a
/// number stands beside it.
pub(super) fn words_of_time(question: &str) -> Vec<Option<Word>> {
    let all = words(question);
    let with_capital =
        question.split(|c: char| !c.is_alphanumeric()).any(|word| word == "May" || word == "MAY");
    let is_number =
        |at: Option<usize>| at.and_then(|at| all.get(at)).is_some_and(|word| number(word).is_some());
    let one = |(at, word): (usize, &String)| {
        if word == "may" {
            let beside = is_number(at.checked_sub(1)) || is_number(Some(at + 1));
            return (beside || with_capital && at > 0).then_some(Month(5));
        }
        meaning(word)
    };
    all.iter().enumerate().map(one).collect()
}

/// Whether a text says when something is.
pub(super) fn says_a_time(words: &[String]) -> bool {
    let one = |(at, word): (usize, &String)| {
        let before = at.checked_sub(1).and_then(|at| words.get(at));
        match meaning(word) {
            Some(Number(n)) => n >= 1_000,
            Some(Season(_)) | None => word == "may" && before.is_some_and(|before| before == "in"),
            // "আগে" and "দিন" are also "before" and "please give".
            Some(Ago | U(Day)) if !word.is_ascii() => {
                before.is_some_and(|before| matches!(meaning(before), Some(U(_) | Number(_))))
            }
            Some(_) => true,
        }
    };
    words.iter().enumerate().any(one)
}

/// Whether the answer to a question is a time.
pub fn asks_for_a_time(question: &str) -> bool {
    let text = bengali::composed(&format!(" {} ", words(question).join(" ")));
    let holds = |phrase: &str| text.contains(&format!(" {} ", bengali::composed(phrase)));
    ASKS_AT_FIRST.iter().any(|phrase| text.starts_with(&format!(" {phrase} ")))
        || ASKS_ANYWHERE.iter().any(|phrase| holds(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_asked_for_and_said_in_both_languages() {
        for question in [
            "When did Ana move?",
            "In which year was it?",
            "How long is it?",
            "কবে ঢাকায় গিয়েছিলাম?",
            "সে কখন এসেছিল?",
        ] {
            assert!(asks_for_a_time(question), "{question}");
        }
        for question in ["What did she do when it rained?", "Who came?", "কে এসেছিল?"] {
            assert!(!asks_for_a_time(question), "{question}");
        }
        let says = |text: &str| says_a_time(&words(text));
        for text in [
            "I saw it last Friday",
            "in 2019",
            "that was in May",
            "two weeks ago",
            "গত সপ্তাহে দেখেছি",
            "জুলাইয়ে যাব",
            "২০২২ সালে",
            "তিন দিন আগে",
        ] {
            assert!(says(text), "{text}");
        }
        for text in ["I may come", "one of them", "Nice!", "আমাকে একটা উত্তর দিন", "I fell in love"]
        {
            assert!(!says(text), "{text}");
        }
    }
}
