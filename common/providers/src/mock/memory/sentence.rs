//! What one sentence tells of its user.

use super::patterns::{PATTERNS, RELATIVES, cut};
use crate::memory::text;

/// A fact as a sentence tells it.
pub(super) struct Told {
    pub text: String,
    pub kind: &'static str,
    pub subject: String,
    pub slot: String,
    pub object: String,
    pub importance: f64,
    pub sensitive: bool,
    pub when: Option<String>,
    pub replaces: bool,
}

/// The facts in a sentence, or in a clause of one.
pub(super) fn facts_in(sentence: &str) -> Vec<Told> {
    let plain = sentence.trim().replace('’', "'");
    let lower = plain.to_lowercase();
    let start = beginning(&lower);
    let (plain, lower) = (plain.get(start..).unwrap_or_default(), lower.get(start..).unwrap_or_default());
    let mut told = said_plainly(plain, lower);
    told.extend(favorite(plain, lower));
    told.extend(relatives(plain, lower));
    told.extend(bengali_taste(plain));
    told.extend(bengali_home(plain));
    told.retain(|one| !one.object.is_empty() && one.object.split_whitespace().count() <= 12);
    told
}

/// Where a sentence begins to tell something, after "well," or "big news:".
fn beginning(lower: &str) -> usize {
    [
        "actually, ",
        "actually ",
        "well, ",
        "also, ",
        "and ",
        "by the way, ",
        "hi, ",
        "hello, ",
        "ok, ",
        "please note that ",
    ]
    .iter()
    .find_map(|opening| lower.strip_prefix(opening).map(|_| opening.len()))
    // "Big news: I moved to Berlin"
    .or_else(|| {
        let at = [": i ", ": i'", ": my "].iter().filter_map(|mark| lower.find(mark)).min()?;
        (lower.get(..at)?.split_whitespace().count() <= 4).then_some(at + 2)
    })
    .unwrap_or(0)
}

/// The first of [`PATTERNS`] that fits, and with whom somebody lives.
fn said_plainly(plain: &str, lower: &str) -> Vec<Told> {
    let mut told = Vec::new();
    for (begin, kind, slot, template, importance) in PATTERNS {
        let Some(at) = lower.strip_prefix(begin).map(|_| begin.len()) else { continue };
        let (object, when) = if template.contains("{}") {
            cut(plain.get(at..).unwrap_or_default(), slot)
        } else {
            (text::words(template).last().cloned().unwrap_or_default(), None)
        };
        if object.is_empty() {
            continue;
        }
        if slot == "home_city"
            && let Some((_, with)) = lower.split_once(" with my ")
            && let Some(whom) = text::words(with).into_iter().next()
        {
            told.push(Told {
                text: format!("Lives with a {whom}"),
                kind: "relationship",
                subject: "user".to_owned(),
                slot: "lives_with".to_owned(),
                object: whom,
                importance: 0.6,
                sensitive: false,
                when: None,
                replaces: false,
            });
        }
        told.push(Told {
            text: template.replace("{}", &object),
            kind,
            subject: "user".to_owned(),
            slot: slot.to_owned(),
            sensitive: ["health"].contains(&slot),
            importance,
            replaces: begin.contains("moved") || begin.contains("no longer") || begin.contains("now "),
            when,
            object,
        });
        break;
    }
    told
}

/// "My favorite color is blue"
fn favorite(plain: &str, lower: &str) -> Option<Told> {
    let rest = lower.strip_prefix("my favorite ").or_else(|| lower.strip_prefix("my favourite "))?;
    let (what, _) = rest.split_once(" is ")?;
    if what.split_whitespace().count() > 3 {
        return None;
    }
    let at = lower.find(" is ").map_or(0, |at| at + 4);
    let (object, when) = cut(plain.get(at..).unwrap_or_default(), "");
    let what_slot = what.replace(' ', "_");
    Some(Told {
        text: format!("Has {object} as favorite {what}"),
        kind: "preference",
        subject: "user".to_owned(),
        slot: format!("favorite_{what_slot}"),
        object,
        importance: 0.6,
        sensitive: false,
        when,
        replaces: false,
    })
}

/// "My sister is called Ana"
fn relatives(plain: &str, lower: &str) -> Vec<Told> {
    let mut told = Vec::new();
    for relative in RELATIVES {
        for form in [
            format!("my {relative} is called "),
            format!("my {relative} is named "),
            format!("my {relative}'s name is "),
            format!("i have a {relative} named "),
            format!("i have a {relative} called "),
        ] {
            if lower.starts_with(&form) {
                let (object, when) = cut(plain.get(form.len()..).unwrap_or_default(), "");
                told.push(Told {
                    text: format!("Has a {relative} called {object}"),
                    kind: "relationship",
                    subject: "user".to_owned(),
                    slot: format!("{relative}_name"),
                    object,
                    importance: 0.7,
                    sensitive: false,
                    when,
                    replaces: false,
                });
            }
        }
    }
    told
}

/// "আমি বিরিয়ানি খেতে ভালোবাসি", "আমি চা পছন্দ করি না"
fn bengali_taste(plain: &str) -> Option<Told> {
    const ENDINGS: [(&str, &str, &str); 4] = [
        (" ভালোবাসি", "likes", "ভালোবাসেন"),
        (" ভালবাসি", "likes", "ভালোবাসেন"),
        (" পছন্দ করি", "likes", "পছন্দ করেন"),
        (" পছন্দ করি না", "dislikes", "পছন্দ করেন না"),
    ];
    let rest = plain.strip_prefix("আমি ")?.trim_end_matches(['।', '.', '!', ' ']);
    let (what, slot, verb) = ENDINGS
        .iter()
        .find_map(|(ending, slot, verb)| Some((rest.strip_suffix(ending)?.trim(), *slot, *verb)))?;
    Some(Told {
        text: format!("{what} {verb}"),
        kind: "preference",
        subject: "user".to_owned(),
        slot: slot.to_owned(),
        object: what.strip_suffix(" খেতে").unwrap_or(what).to_owned(),
        importance: 0.6,
        sensitive: false,
        when: None,
        replaces: false,
    })
}

/// "আমি ঢাকায় থাকি"
fn bengali_home(plain: &str) -> Option<Told> {
    let rest = plain.strip_prefix("আমি ")?.trim_end_matches(['।', '.', '!']).strip_suffix(" থাকি")?;
    Some(Told {
        text: format!("{rest} থাকেন"),
        kind: "fact",
        subject: "user".to_owned(),
        slot: "home_city".to_owned(),
        object: rest.trim().to_owned(),
        importance: 0.8,
        sensitive: false,
        when: None,
        replaces: false,
    })
}

/// A sentence cut before each "and I", "and my": every clause may tell a fact.
pub(super) fn clauses(sentence: &str) -> Vec<&str> {
    let mut clauses = Vec::new();
    let mut rest = sentence;
    while let Some(at) =
        [" and I ", " and I'", " and my ", " and i "].iter().filter_map(|mark| rest.find(mark)).min()
    {
        clauses.push(&rest[..at]);
        rest = &rest[at + " and ".len()..];
    }
    clauses.push(rest);
    clauses
}
