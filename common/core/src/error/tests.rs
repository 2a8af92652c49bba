use std::collections::HashSet;

use serde_json::{Value, json};

use super::*;

#[test]
fn codes_are_distinct() {
    let names: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), Code::ALL.len());
}

#[test]
fn a_problem_tells_the_client_nothing_internal() {
    let error = Error::internal(std::io::Error::other("password authentication failed for user rapport"));
    assert!(!error.problem(Some("r")).to_string().contains("rapport"));
    assert!(error.to_string().contains("password authentication failed"));
}

fn some_of_each_code() -> Vec<Wrong> {
    let text = |text: &str| text.to_owned();
    vec![
        Wrong::RequiredTo("change the mail address"),
        Wrong::NoCriterion,
        Wrong::GivenTwice,
        Wrong::UnknownMeant(text("temperature")),
        Wrong::UnknownAmong(text("name, content")),
        Wrong::NotText,
        Wrong::NotBoolean,
        Wrong::NotNumber,
        Wrong::NotNatural,
        Wrong::NotList,
        Wrong::NotObject,
        Wrong::NotDate,
        Wrong::NotId(text("sess_")),
        Wrong::Form("must look like `1-17`"),
        Wrong::TooShort(8),
        Wrong::TooLong { max: 128, length: 129 },
        Wrong::Bytes { max: 2_000, nul: false },
        Wrong::Text { min: 0, max: 20 },
        Wrong::Text { min: 1, max: 20 },
        Wrong::Line { min: 1, max: 100 },
        Wrong::Ascii { min: 8, max: 500 },
        Wrong::Nul,
        Wrong::NoWord,
        Wrong::Range { min: 1, max: 1_000_000 },
        Wrong::Limit(1_000),
        Wrong::Count { min: 0, max: 20 },
        Wrong::DifferentMemories { min: 2, max: 50 },
        Wrong::Phrases { max: 20, bytes: 100 },
        Wrong::Names { min: 1, max: 254 },
        Wrong::OneOf(text("one, two")),
        Wrong::AutoOrOneOf(text("bn, en")),
        Wrong::SomeOf { values: text("chat, memory"), or_absent: true },
        Wrong::Email,
        Wrong::Username,
        Wrong::NoUpperCase,
        Wrong::NoLowerCase,
        Wrong::NoDigit,
        Wrong::CommonPassword,
        Wrong::ThisOr("username"),
        Wrong::OnlyThisOr("filter"),
        Wrong::NotWith("content"),
        Wrong::NotFuture,
        Wrong::Before("valid_from"),
        Wrong::Url(text("the address is not allowed: it is no URL")),
        Wrong::NoProvider { provider: text("openai"), there: text("auto, mock") },
        Wrong::NoProviderKey { provider: text("openai"), there: text("auto, mock") },
        Wrong::OnlyMock(text("gpt-5")),
        Wrong::NoTool(text("clock")),
        Wrong::Template { line: 3, column: 7, problem: text("`}}` is missing") },
        Wrong::VariableNames,
        Wrong::Columns(text("must have a column called content")),
        Wrong::Window { max: 8_000, tokens: 9_000 },
        Wrong::Unfit("must not be the memory itself"),
    ]
}

#[test]
fn every_code_is_given_and_its_values_stand_in_its_sentence_and_in_the_docs() {
    let mut given = HashSet::from([FieldCode::Other]);
    for wrong in some_of_each_code() {
        let FieldError { message, code, params, .. } = FieldError::new("field", wrong);
        given.insert(code);
        for (name, value) in params {
            let said = match &value {
                Value::Number(number) => number.to_string(),
                Value::String(text) => text.rsplit(", ").next().unwrap().to_owned(),
                other => panic!("{code:?}: {name} is {other}"),
            };
            assert!(message.contains(&said) || said == "0", "{message}: no {name} {said}");
            assert!(code.meaning().contains(&format!("`{name}`")), "{code:?}: {name} is not in the docs");
        }
    }
    let missing: Vec<_> = FieldCode::ALL.iter().filter(|code| !given.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let names: HashSet<_> = FieldCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), FieldCode::ALL.len());
}

#[test]
fn two_or_three_are_listed_as_people_do() {
    assert_eq!(Wrong::Either(&["json", "csv"]).to_string(), "must be json or csv");
    let three = Wrong::Either(&["queue", "reject", "interrupt"]);
    assert_eq!(three.to_string(), "must be queue, reject or interrupt");
    let other = Wrong::NoneOf { given: "chta".to_owned(), values: &["chat", "cancel", "resume"] };
    assert_eq!(other.to_string(), "\"chta\" is not known: send chat, cancel or resume");
}

#[test]
fn what_an_older_version_kept_is_read_and_a_newer_word_loses_nothing_else() {
    let kept = json!([
        {"field": "memories", "message": "must be a list"},
        {"field": "memories", "message": "must rhyme", "code": "no_rhyme", "params": {"with": "orange"}},
    ]);
    let read: Vec<FieldError> = serde_json::from_value(kept).unwrap();
    assert_eq!((read[0].code, read[0].params.len()), (FieldCode::Other, 0));
    assert_eq!((read[1].code, read[1].message.as_str()), (FieldCode::Other, "must rhyme"));
    assert_eq!(serde_json::to_value(&read[0]).unwrap()["params"], Value::Null);
}
