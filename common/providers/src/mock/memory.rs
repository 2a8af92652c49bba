//! How the mock reads conversations: by plain patterns, in English and a little Bengali. It also judges pairs, merges
//! and dates memories by rules, so that the whole of memory works, and can be tested, without a model.

use serde_json::{Value, json};

use super::directives::{self, Directive};
use crate::memory::{clash::Reading, quote, text};

/// The JSON lines of a request.
fn lines(content: &str) -> Vec<Value> {
    content.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

struct Told {
    text: String,
    kind: &'static str,
    subject: String,
    slot: String,
    object: String,
    importance: f64,
    sensitive: bool,
    when: Option<String>,
    replaces: bool,
}

/// (what it begins with, type, slot, the text it makes of the rest, importance)
const PATTERNS: [(&str, &str, &str, &str, f64); 46] = [
    ("my name is ", "fact", "name", "Is called {}", 0.9),
    ("call me ", "fact", "name", "Is called {}", 0.8),
    ("i live in ", "fact", "home_city", "Lives in {}", 0.8),
    ("i now live in ", "fact", "home_city", "Lives in {}", 0.8),
    ("i moved to ", "fact", "home_city", "Lives in {}", 0.8),
    ("i just moved to ", "fact", "home_city", "Lives in {}", 0.8),
    ("i have moved to ", "fact", "home_city", "Lives in {}", 0.8),
    ("i work at ", "fact", "employer", "Works at {}", 0.7),
    ("i work for ", "fact", "employer", "Works at {}", 0.7),
    ("i now work at ", "fact", "employer", "Works at {}", 0.7),
    ("i work as ", "fact", "job_title", "Works as {}", 0.7),
    ("my job is ", "fact", "job_title", "Works as {}", 0.7),
    ("my birthday is on ", "fact", "birthday", "Has a birthday on {}", 0.7),
    ("birthday is on ", "fact", "birthday", "Has a birthday on {}", 0.7),
    ("my birthday is ", "fact", "birthday", "Has a birthday on {}", 0.7),
    ("i was born on ", "fact", "birthday", "Has a birthday on {}", 0.7),
    ("i am allergic to ", "fact", "allergy", "Is allergic to {}", 0.9),
    ("i'm allergic to ", "fact", "allergy", "Is allergic to {}", 0.9),
    ("i don't like ", "preference", "dislikes", "Does not like {}", 0.5),
    ("i do not like ", "preference", "dislikes", "Does not like {}", 0.5),
    ("i hate ", "preference", "dislikes", "Does not like {}", 0.5),
    ("i no longer like ", "preference", "likes", "Does not like {} anymore", 0.5),
    ("i like ", "preference", "likes", "Likes {}", 0.5),
    ("i love ", "preference", "likes", "Likes {}", 0.6),
    ("i really like ", "preference", "likes", "Likes {}", 0.6),
    ("i enjoy ", "preference", "likes", "Likes {}", 0.5),
    ("i prefer ", "preference", "prefers", "Prefers {}", 0.6),
    ("i want to ", "goal", "goal", "Wants to {}", 0.6),
    ("my goal is to ", "goal", "goal", "Wants to {}", 0.7),
    ("i plan to ", "goal", "goal", "Plans to {}", 0.6),
    ("i'm planning to ", "goal", "goal", "Plans to {}", 0.6),
    ("i speak ", "fact", "language", "Speaks {}", 0.6),
    ("i study ", "fact", "studies", "Studies {}", 0.6),
    ("i am learning ", "fact", "studies", "Studies {}", 0.6),
    ("i play ", "preference", "plays", "Plays {}", 0.5),
    ("i visited ", "experience", "visited", "Visited {}", 0.4),
    ("i went to ", "experience", "visited", "Visited {}", 0.4),
    ("i am vegetarian", "preference", "diet", "Is vegetarian", 0.8),
    ("i'm vegetarian", "preference", "diet", "Is vegetarian", 0.8),
    ("i am vegan", "preference", "diet", "Is vegan", 0.8),
    ("i have diabetes", "fact", "health", "Has diabetes", 0.9),
    ("remember that ", "fact", "", "{}", 0.7),
    ("please remember that ", "fact", "", "{}", 0.7),
    ("remember: ", "fact", "", "{}", 0.7),
    ("আমার নাম ", "fact", "name", "নাম {}", 0.9),
    ("আমি ভালোবাসি ", "preference", "likes", "ভালোবাসেন {}", 0.6),
];

/// People and animals one has: "my sister is called Ana", "I have a dog named Rex".
const RELATIVES: [&str; 14] = [
    "wife",
    "husband",
    "partner",
    "sister",
    "brother",
    "mother",
    "father",
    "son",
    "daughter",
    "dog",
    "cat",
    "friend",
    "boss",
    "girlfriend",
];

/// Where a fact ends and talk goes on.
fn cut(rest: &str, slot: &str) -> (String, Option<String>) {
    let mut ends = vec![
        " and i ",
        " but ",
        " because ",
        " so ",
        " which ",
        " where ",
        " now",
        " these days",
        ", ",
        "; ",
    ];
    if slot == "home_city" {
        ends.push(" with ");
    }
    let lower = rest.to_lowercase();
    let end = ends.iter().filter_map(|end| lower.find(end)).min().unwrap_or(rest.len());
    let mut kept = rest.get(..end).unwrap_or(rest).trim().to_owned();
    let mut when = None;
    let lower = kept.to_lowercase();
    for mark in [
        " yesterday",
        " last week",
        " last month",
        " last year",
        " today",
        " since ",
        " in 19",
        " in 20",
        " days ago",
        " weeks ago",
    ] {
        // "A marathon in 2027" is a goal with its year, not a goal since then.
        if slot != "goal"
            && let Some(at) = lower.find(mark)
        {
            let at = if mark.ends_with("ago") { lower[..at].rfind(' ').unwrap_or(at) } else { at };
            when = kept.get(at..).map(|tail| tail.trim().to_owned());
            kept = kept.get(..at).unwrap_or(&kept).trim().to_owned();
            break;
        }
    }
    (kept.trim_matches(|c: char| !c.is_alphanumeric() && c != '+').to_owned(), when)
}

fn sentence_facts(sentence: &str) -> Vec<Told> {
    let plain = sentence.trim().replace('’', "'");
    let lower = plain.to_lowercase();
    let start = [
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
    .unwrap_or(0);
    let (plain, lower) = (plain.get(start..).unwrap_or_default(), lower.get(start..).unwrap_or_default());
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
    if let Some(rest) = lower.strip_prefix("my favorite ").or_else(|| lower.strip_prefix("my favourite "))
        && let Some((what, _)) = rest.split_once(" is ")
        && what.split_whitespace().count() <= 3
    {
        let at = lower.find(" is ").map_or(0, |at| at + 4);
        let (object, when) = cut(plain.get(at..).unwrap_or_default(), "");
        let what_slot = what.replace(' ', "_");
        told.push(Told {
            text: format!("Has {object} as favorite {what}"),
            kind: "preference",
            subject: "user".to_owned(),
            slot: format!("favorite_{what_slot}"),
            object,
            importance: 0.6,
            sensitive: false,
            when,
            replaces: false,
        });
    }
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
    told.extend(bengali_taste(plain));
    // "আমি ঢাকায় থাকি"
    if let Some(rest) = plain
        .strip_prefix("আমি ")
        .and_then(|rest| rest.trim_end_matches(['।', '.', '!']).strip_suffix(" থাকি"))
    {
        told.push(Told {
            text: format!("{rest} থাকেন"),
            kind: "fact",
            subject: "user".to_owned(),
            slot: "home_city".to_owned(),
            object: rest.trim().to_owned(),
            importance: 0.8,
            sensitive: false,
            when: None,
            replaces: false,
        });
    }
    told.retain(|one| !one.object.is_empty() && one.object.split_whitespace().count() <= 12);
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

/// A sentence cut before each "and I", "and my": every clause may tell a fact.
fn clauses(sentence: &str) -> Vec<&str> {
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

/// Up to twelve words, verbatim from the sentence.
fn quote_of(sentence: &str) -> String {
    sentence.split_whitespace().take(12).collect::<Vec<_>>().join(" ")
}

/// What a user's words say literally as an answer of the model: `/facts TEXT` in a turn, for tests.
fn dictated(turns: &[&Value]) -> Option<String> {
    turns.iter().find_map(|turn| {
        directives::parse(turn["text"].as_str().unwrap_or_default()).into_iter().find_map(|directive| {
            match directive {
                Directive::Facts(text) => Some(text),
                _ => None,
            }
        })
    })
}

pub fn extract(content: &str) -> String {
    let lines = lines(content);
    let turns: Vec<&Value> = lines.iter().filter(|line| line["t"].is_u64()).collect();
    if let Some(text) = dictated(&turns) {
        return text;
    }
    let known: Vec<&Value> = lines.iter().filter(|line| line["m"].is_u64()).collect();
    let mut facts = Vec::new();
    for turn in turns.iter().filter(|turn| turn["role"] == "user") {
        let said = turn["text"].as_str().unwrap_or_default();
        for sentence in said.split_inclusive(['.', '!', '?', '\n', '।']) {
            if sentence.trim_end().ends_with('?') {
                continue;
            }
            for (sentence, told) in clauses(sentence)
                .into_iter()
                .flat_map(|clause| sentence_facts(clause).into_iter().map(move |told| (clause, told)))
            {
                let related: Vec<Value> = known
                    .iter()
                    .filter(|memory| {
                        told.replaces && !told.slot.is_empty() && memory["slot"] == told.slot.as_str()
                    })
                    .map(|memory| json!({"m": memory["m"], "op": "replaces"}))
                    .collect();
                facts.push(json!({
                    "text": told.text, "type": told.kind, "subject": told.subject,
                    "slot": Some(&told.slot).filter(|slot| !slot.is_empty()), "object": told.object,
                    "importance": told.importance, "confidence": 0.9, "when": told.when,
                    "src": format!("t{}", turn["t"]), "quote": quote_of(sentence), "explicit": true,
                    "sensitive": told.sensitive, "rel": related,
                }));
            }
        }
    }
    json!({"facts": facts}).to_string()
}

/// The words of a memory without what only fills it.
fn core(content: &str) -> Vec<String> {
    let mut words: Vec<String> = text::terms(content).into_keys().collect();
    words.sort();
    words
}

pub fn judge_pairs(content: &str) -> String {
    let verdict = |a: &str, b: &str| {
        let (words_a, words_b) = (core(a), core(b));
        let shared = words_a.iter().filter(|word| words_b.contains(word)).count();
        let (first_a, first_b) = (text::words(a), text::words(b));
        let same_opening = first_a.len() > 2 && first_b.len() > 2 && first_a[..2] == first_b[..2];
        let one_value = ["lives in", "works at", "works as", "is called", "has a birthday"]
            .iter()
            .any(|opening| a.to_lowercase().starts_with(opening));
        if words_a == words_b && quote::is_negated(a) == quote::is_negated(b) {
            ("duplicates", "They say the same.")
        } else if Reading::of(a, None).clash(&Reading::of(b, None)).is_some() {
            ("contradicts", "One denies what the other says.")
        } else if same_opening && one_value {
            ("contradicts", "They give different values for the same thing.")
        } else if quote::is_negated(a) != quote::is_negated(b) {
            ("unrelated", "They say different things.")
        } else if shared > 0 && (shared == words_a.len() || shared == words_b.len()) {
            ("refines", "One says more than the other.")
        } else if shared * 3 >= words_a.len().max(words_b.len()) * 2 {
            ("duplicates", "They say nearly the same.")
        } else {
            ("unrelated", "They are about different things.")
        }
    };
    let verdicts: Vec<Value> = lines(content)
        .iter()
        .filter(|line| line["p"].is_u64())
        .map(|line| {
            let (word, reason) =
                verdict(line["a"].as_str().unwrap_or_default(), line["b"].as_str().unwrap_or_default());
            json!({"p": line["p"], "verdict": word, "reason": reason})
        })
        .collect();
    json!({"verdicts": verdicts}).to_string()
}

/// Keeps each statement whose words are not all in another.
pub fn merge(content: &str) -> String {
    let lines = lines(content);
    let texts: Vec<&str> = lines.iter().filter_map(|line| line["text"].as_str()).collect();
    let mut kept: Vec<&str> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let words = core(text);
        let covered = texts.iter().enumerate().any(|(other, by)| {
            let by_words = core(by);
            other != index
                && words.iter().all(|word| by_words.contains(word))
                && (words.len() < by_words.len() || other < index)
        });
        if !covered {
            kept.push(text.trim_end_matches('.'));
        }
    }
    let text: String = kept.join("; ").chars().take(1_500).collect();
    json!({"text": text}).to_string()
}

pub fn expiry(content: &str) -> String {
    const ENDS: [(&str, u32); 12] = [
        ("today", 1),
        ("tomorrow", 2),
        ("this weekend", 5),
        ("this week", 7),
        ("next week", 14),
        ("next month", 62),
        ("trip", 60),
        ("appointment", 30),
        ("exam", 30),
        ("interview", 30),
        ("this month", 31),
        ("plans to", 180),
    ];
    let all: Vec<Value> = lines(content)
        .iter()
        .filter_map(|line| {
            let text = line["text"].as_str()?.to_lowercase();
            let (word, days) = ENDS.iter().find(|(word, _)| text.contains(word))?;
            Some(json!({"m": line["m"], "should_expire": true, "days": days, "reason": format!("It says \"{word}\".")}))
        })
        .collect();
    json!({"expiry": all}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(said: &str) -> Vec<(String, String, String)> {
        let line = json!({"t": 1, "role": "user", "at": "2026-11-20", "text": said}).to_string();
        let answer: Value = serde_json::from_str(&extract(&line)).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        answer["facts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| (text(&f["text"]), text(&f["slot"]), text(&f["object"])))
            .collect()
    }

    #[test]
    fn plain_statements_become_facts_and_questions_do_not() {
        let found = facts(
            "Hi! My name is Ana. I live in London, it rains. I'm allergic to peanuts and I love hiking! Do I like tea?",
        );
        let texts: Vec<&str> = found.iter().map(|fact| fact.0.as_str()).collect();
        assert_eq!(texts, ["Is called Ana", "Lives in London", "Is allergic to peanuts", "Likes hiking"]);
        let moved =
            facts("I moved to Dhaka last week. My favourite color is dark blue. My dog is called Rex.");
        assert_eq!(moved[0], ("Lives in Dhaka".to_owned(), "home_city".to_owned(), "Dhaka".to_owned()));
        assert_eq!(moved[1].1, "favorite_color");
        assert_eq!(moved[2].0, "Has a dog called Rex");
        assert_eq!(facts("আমি ঢাকায় থাকি।")[0].2, "ঢাকায়");
        let dictated = json!({"t": 1, "role": "user", "text": "/facts not json"}).to_string();
        assert_eq!(extract(&dictated), "not json");
    }

    #[test]
    fn what_people_say_besides_does_not_get_into_a_fact() {
        let texts = |said: &str| facts(said).into_iter().map(|fact| fact.0).collect::<Vec<_>>();
        assert_eq!(texts("My birthday is on March 3."), ["Has a birthday on March 3"]);
        assert_eq!(texts("I live in Lisbon with my husband."), ["Lives with a husband", "Lives in Lisbon"]);
        assert_eq!(texts("I want to run a marathon in 2027."), ["Wants to run a marathon in 2027"]);
        assert_eq!(texts("Big news: I moved to Berlin!"), ["Lives in Berlin"]);
        assert_eq!(facts("আমি বিরিয়ানি খেতে ভালোবাসি")[0].2, "বিরিয়ানি");
        assert_eq!(facts("I lived well, I think: my dog is called Rex and so on").len(), 0);
    }

    #[test]
    fn pairs_merges_and_dates() {
        let pair = |a: &str, b: &str| {
            let answer: Value =
                serde_json::from_str(&judge_pairs(&json!({"p": 1, "a": a, "b": b}).to_string())).unwrap();
            answer["verdicts"][0]["verdict"].as_str().unwrap().to_owned()
        };
        assert_eq!(pair("Lives in London", "Lives in Dhaka"), "contradicts");
        assert_eq!(pair("Likes tea", "Likes green tea"), "refines");
        assert_eq!(pair("Likes tea", "Does not like tea"), "contradicts");
        assert_eq!(pair("Likes hiking in mountains", "Likes mountain hikes"), "duplicates");
        assert_eq!(pair("Likes tea", "Works at Acme"), "unrelated");
        let lines =
            ["Likes tea", "Likes green tea", "Has a dog"].map(|t| json!({"text": t}).to_string()).join("\n");
        assert_eq!(merge(&lines), r#"{"text":"Likes green tea; Has a dog"}"#);
        assert!(expiry(&json!({"m": 1, "text": "Plans to fly tomorrow"}).to_string()).contains("\"days\":2"));
    }
}
