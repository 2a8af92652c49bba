//! Which one-value slot a plain statement fills: "Lives in Paris" is the home city. For memories made by hand and for
//! models that name no slot.

use super::value_words::{
    COUNTRIES, ENDS, FILLERS, MONTHS, NO_PLACE, NO_SUBJECT, OPENINGS, SEASONS, STATEMENTS, STATES,
};
use crate::memory::{bengali, slots, text};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub subject: String,
    pub slot: String,
    /// Its words, in order.
    pub object: Vec<String>,
}

/// The values a text gives to slots that have one at a time.
pub fn values(text: &str) -> Vec<Value> {
    let text = bengali::composed(text).replace('’', "'").replace("'s ", " ");
    text.split(['.', ';', '!', '\n', '।'])
        .filter(|sentence| !sentence.trim_end().ends_with('?'))
        .flat_map(|sentence| {
            // What follows a comma says more of the value ("Paris, France") or is another statement.
            let part = sentence.split(',').next().unwrap_or_default();
            let words: Vec<String> =
                text::words(part).into_iter().filter(|word| !FILLERS.contains(&word.as_str())).collect();
            let found = if words.iter().any(|word| bengali::is_bengali(word)) {
                of_bengali(&words)
            } else {
                of_words(&words)
            };
            found.into_iter().collect::<Vec<_>>()
        })
        .collect()
}

fn of_words(words: &[String]) -> Option<Value> {
    if words
        .iter()
        .any(|word| ["not", "no", "never", "dont", "doesnt", "isnt", "longer"].contains(&word.as_str()))
    {
        return None;
    }
    favorite(words).or_else(|| opening(words)).or_else(|| state(words)).or_else(|| named(words))
}

/// "my sister" is `sister`; the user is `user`. `None` for what is nobody.
fn subject(words: &[String]) -> Option<String> {
    let words: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !["the", "my"].contains(word)).collect();
    let is_somebody = words.len() <= 2 && !words.iter().any(|word| NO_SUBJECT.contains(word));
    is_somebody.then(|| slots::subject(&words.join(" ")))
}

fn opening(words: &[String]) -> Option<Value> {
    for (opening, slot) in OPENINGS {
        let Some(at) =
            words.windows(opening.len()).position(|part| part.iter().zip(*opening).all(|(a, b)| a == b))
        else {
            continue;
        };
        let mut before: Vec<String> = words[..at].to_vec();
        if *slot == "birthday" {
            before.retain(|word| !["has", "a", "was", "have"].contains(&word.as_str()));
        } else if ["partner", "hometown", "employer"].contains(slot) {
            before.retain(|word| !["is", "am"].contains(&word.as_str()));
        }
        let mut rest = words[at + opening.len()..].to_vec();
        if *slot == "job_title" {
            rest.retain(|word| !["a", "an", "the"].contains(&word.as_str()));
        }
        return value(subject(&before)?, slot, &rest);
    }
    None
}

/// "favorite color is blue", "has blue as favorite color"
fn favorite(words: &[String]) -> Option<Value> {
    let is_favorite = |word: &String| ["favorite", "favourite"].contains(&word.as_str());
    let at = words.iter().position(is_favorite)?;
    let (before, after) = (&words[..at], &words[at + 1..]);
    if let Some(is) = after.iter().position(|word| word == "is") {
        let slot = format!("favorite_{}", after[..is].join("_"));
        return (1..=3).contains(&is).then(|| value(subject(before)?, &slot, &after[is + 1..]))?;
    }
    let has = before.iter().position(|word| word == "has" || word == "have")?;
    let object = before[has + 1..].strip_suffix(&["as".to_owned()])?;
    let slot = format!("favorite_{}", after.join("_"));
    (1..=3).contains(&after.len()).then(|| value(subject(&before[..has])?, &slot, object))?
}

/// "is vegan", "is married"
fn state(words: &[String]) -> Option<Value> {
    let is = words.iter().position(|word| ["is", "am", "im"].contains(&word.as_str()))?;
    let rest: Vec<&String> =
        words[is + 1..].iter().filter(|word| !["a", "an"].contains(&word.as_str())).collect();
    let years = rest.len() == 3 && rest[1] == "years" && rest[2] == "old";
    if years && rest[0].chars().all(char::is_numeric) {
        return value(subject(&words[..is])?, "age", std::slice::from_ref(rest[0]));
    }
    let [state] = rest.as_slice() else { return None };
    let (_, slot) = STATES.iter().find(|(states, _)| states.contains(&state.as_str()))?;
    value(subject(&words[..is])?, slot, std::slice::from_ref(*state))
}

/// "native language is Bengali": any one-value slot by its name.
fn named(words: &[String]) -> Option<Value> {
    let is = words.iter().position(|word| word == "is")?;
    let name: Vec<&str> =
        words[..is].iter().map(String::as_str).filter(|word| !["my", "the", "user"].contains(word)).collect();
    let slot = slots::canonical(&name.join(" "))?;
    slots::is_functional(&slot).then(|| value("user".to_owned(), &slot, &words[is + 1..]))?
}

/// "ঢাকায় থাকি", "আমার নাম রহিম"
fn of_bengali(words: &[String]) -> Option<Value> {
    let own = ["আমি", "আমার", "তিনি", "ব্যবহারকারী"];
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !own.contains(word)).collect();
    let owned = |words: &[&str]| -> Vec<String> { words.iter().map(|&word| word.to_owned()).collect() };
    match words.as_slice() {
        [place @ .., last] if bengali::verb(last) == Some("থাক") && (1..=2).contains(&place.len()) => {
            let elsewhere = ["সাথে", "সঙ্গে", "বাসায়", "বাড়িতে", "একা"].map(bengali::composed);
            let is_place = !place.iter().any(|word| elsewhere.contains(&(*word).to_owned()));
            is_place.then(|| value("user".to_owned(), "home_city", &owned(place)))?
        }
        ["নাম", name @ ..] => value("user".to_owned(), "name", &owned(name)),
        ["জন্মদিন", date @ ..] => value("user".to_owned(), "birthday", &owned(date)),
        _ => None,
    }
}

fn value(subject: String, slot: &str, rest: &[String]) -> Option<Value> {
    let mut object = Vec::new();
    for (at, word) in rest.iter().enumerate() {
        let next = rest.get(at + 1).map_or("", String::as_str);
        if at > 0 && ENDS.contains(&word.as_str()) || word == "and" && STATEMENTS.contains(&next) {
            break;
        }
        object.push(word.clone());
    }
    let first = object.first()?.as_str();
    let is_place = ["home_city", "employer", "partner", "hometown"].contains(&slot);
    let unclear = is_place && NO_PLACE.contains(&first)
        || object.iter().any(|word| SEASONS.contains(&word.as_str()))
        // "moved to Rome in 2010" does not say where somebody lives.
        || slot == "home_city" && object.iter().any(|word| word.chars().any(|c| c.is_ascii_digit()));
    if unclear || object.len() > 6 {
        return None;
    }
    let slot = match slot {
        "home_city" if COUNTRIES.contains(&object.join(" ").as_str()) => "home_country",
        "hometown" if COUNTRIES.contains(&object.join(" ").as_str()) => return None,
        slot => slot,
    };
    Some(Value { subject, slot: slot.to_owned(), object })
}

impl Value {
    /// Another value of the same slot; "Paris" and "the centre of Paris" are none.
    pub fn differs(&self, other: &Value) -> bool {
        if self.subject != other.subject || self.slot != other.slot {
            return false;
        }
        let (one, two) = (self.compared(), other.compared());
        let within = |a: &[String], b: &[String]| a.iter().all(|word| b.contains(word));
        // A date in figures cannot be compared with one in words.
        let comparable = self.slot != "birthday" || has_month(&one) == has_month(&two);
        comparable && !within(&one, &two) && !within(&two, &one)
    }

    fn compared(&self) -> Vec<String> {
        let same = |word: &String| {
            let number = ["st", "nd", "rd", "th"].iter().find_map(|end| word.strip_suffix(end));
            if let Some(number) = number.filter(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit())) {
                return number.to_owned();
            }
            if self.slot == "birthday"
                && let Some(month) = MONTHS.iter().find(|month| word.starts_with(**month))
            {
                return (*month).to_owned();
            }
            if self.slot == "home_city" { bengali::stem(word) } else { text::stem(word) }
        };
        let dull = ["the", "of", "a", "an", "in", "on", "and"];
        self.object.iter().filter(|word| !dull.contains(&word.as_str())).map(same).collect()
    }
}

fn has_month(words: &[String]) -> bool {
    words.iter().any(|word| MONTHS.contains(&word.as_str()))
}
