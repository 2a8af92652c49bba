//! What can be wrong with a field. Its word, its values and its sentence are made in one place, so that they can't disagree.

mod field;

use serde_json::{Map, Value, json};

pub use field::{FieldCode, FieldError};

/// What is wrong with a field. Displayed, it completes the sentence "`field` …".
#[derive(Debug, Clone, PartialEq)]
pub enum Wrong {
    Required,
    /// Only to do this.
    RequiredTo(&'static str),
    Empty,
    NoCriterion,
    GivenTwice,
    Unknown,
    UnknownHere,
    UnknownMeant(String),
    /// The fields there are.
    UnknownAmong(String),
    NotText,
    NotBoolean,
    NotNumber,
    NotWhole,
    NotNatural,
    NotWithinLimits,
    NotList,
    NotObject,
    NotDate,
    NotId(String),
    /// What form it must have, as the end of the sentence.
    Form(&'static str),
    TooShort(usize),
    TooLong {
        max: usize,
        length: usize,
    },
    Bytes {
        max: usize,
        nul: bool,
    },
    /// So many characters, and no NUL.
    Text {
        min: usize,
        max: usize,
    },
    /// So many characters, and no control character.
    Line {
        min: usize,
        max: usize,
    },
    Ascii {
        min: usize,
        max: usize,
    },
    Nul,
    NoWord,
    Range {
        min: i64,
        max: i64,
    },
    /// From 0, which means that there is no limit.
    Limit(i64),
    Count {
        min: usize,
        max: usize,
    },
    DifferentMemories {
        min: usize,
        max: usize,
    },
    Phrases {
        max: usize,
        bytes: usize,
    },
    Names {
        min: usize,
        max: usize,
    },
    /// One of many, as they are listed.
    OneOf(String),
    AutoOrOneOf(String),
    /// One of two or three.
    Either(&'static [&'static str]),
    /// The same, with more to say.
    Choice {
        values: &'static [&'static str],
        said: &'static str,
    },
    NoneOf {
        given: String,
        values: &'static [&'static str],
    },
    SomeOf {
        values: String,
        or_absent: bool,
    },
    Email,
    Username,
    NoUpperCase,
    NoLowerCase,
    NoDigit,
    CommonPassword,
    ThisOr(&'static str),
    OnlyThisOr(&'static str),
    NotWith(&'static str),
    NotFuture,
    Before(&'static str),
    Url(String),
    NoProvider {
        provider: String,
        there: String,
    },
    NoProviderKey {
        provider: String,
        there: String,
    },
    NoModelOfMock(String),
    OnlyMock(String),
    NoTool(String),
    Template {
        line: usize,
        column: usize,
        problem: String,
    },
    VariableNames,
    /// What is wrong with the first line of a file, as the end of the sentence.
    Columns(String),
    /// What a model reads at once.
    Window {
        max: usize,
        tokens: usize,
    },
    Unfit(&'static str),
    /// One of these, as it came through a deserializer.
    Told {
        code: FieldCode,
        params: Map<String, Value>,
        said: String,
    },
}

/// Between the sentence and the rest, in what goes through a deserializer. Nobody writes it.
const MARK: char = '\u{1f}';

/// "a or b", "a, b or c".
fn alternatives(values: &[&str]) -> String {
    match values.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => String::new(),
    }
}

impl Wrong {
    /// As the error of a deserializer, which carries nothing but a text: [`Wrong::from_through`] reads it back.
    pub fn through<E: serde::de::Error>(self) -> E {
        let told = FieldError::new("", self);
        E::custom(format!("{}{MARK}{}", told.message, json!(told)))
    }

    /// What went [`through`](Wrong::through) a deserializer, if this did. The deserializer may have put its place behind it.
    pub(crate) fn from_through(message: &str) -> Option<Self> {
        let (_, told) = message.split_once(MARK)?;
        let mut told = serde_json::Deserializer::from_str(told).into_iter::<FieldError>();
        let FieldError { code, params, message: said, .. } = told.next()?.ok()?;
        Some(Wrong::Told { code, params, said })
    }

    /// The word, the values and the sentence.
    #[expect(
        clippy::too_many_lines,
        reason = "a table: an arm a variant, and the compiler finds the one that is missing"
    )]
    pub(super) fn told(&self) -> (FieldCode, Value, String) {
        use FieldCode as Is;
        let plain = |code: FieldCode, message: &str| (code, json!({}), message.to_owned());
        match self {
            Wrong::Required => plain(Is::Required, "is required"),
            Wrong::RequiredTo(what) => plain(Is::Required, &format!("is required to {what}")),
            Wrong::Empty => plain(Is::Empty, "must not be empty"),
            Wrong::NoCriterion => plain(Is::Empty, "must have at least one criterion"),
            Wrong::GivenTwice => plain(Is::GivenTwice, "is given more than once"),
            Wrong::Unknown => plain(Is::UnknownField, "is not known"),
            Wrong::UnknownHere => plain(Is::UnknownField, "is not known here"),
            Wrong::UnknownMeant(meant) => {
                (Is::UnknownField, json!({"meant": meant}), format!("is not known: did you mean `{meant}`?"))
            }
            Wrong::UnknownAmong(fields) => (
                Is::UnknownField,
                json!({"values": fields}),
                format!("is not known: the fields are {fields}"),
            ),
            Wrong::NotText => plain(Is::NotText, "must be text"),
            Wrong::NotBoolean => plain(Is::NotBoolean, "must be true or false"),
            Wrong::NotNumber => plain(Is::NotNumber, "must be a number"),
            Wrong::NotWhole => plain(Is::NotWholeNumber, "must be a whole number"),
            Wrong::NotNatural => {
                (Is::NotWholeNumber, json!({"min": 0}), "must be a whole number, not negative".to_owned())
            }
            Wrong::NotWithinLimits => plain(Is::NotWholeNumber, "must be a whole number within its limits"),
            Wrong::NotList => plain(Is::NotList, "must be a list"),
            Wrong::NotObject => plain(Is::NotObject, "must be an object"),
            Wrong::NotDate => {
                let example = "2026-03-01T12:00:00Z";
                let message = format!("must be a date and time like {example}");
                (Is::NotDate, json!({"example": example}), message)
            }
            Wrong::NotId(prefix) => (Is::NotId, json!({"prefix": prefix}), format!("is not a {prefix} id")),
            Wrong::Form(said) => plain(Is::WrongForm, said),
            Wrong::TooShort(min) => {
                (Is::TooShort, json!({"min": min}), format!("must have at least {min} characters"))
            }
            Wrong::TooLong { max, length } => {
                let message = format!("must be at most {max} characters, and has {length}");
                (Is::TooLong, json!({"max": max, "length": length}), message)
            }
            Wrong::Bytes { max, nul } => {
                let without = if *nul { ", without NUL" } else { "" };
                (Is::TooManyBytes, json!({"max": max}), format!("must be at most {max} bytes{without}"))
            }
            Wrong::Text { min: 0, max } => {
                (Is::TooLong, json!({"max": max}), format!("must be at most {max} characters, without NUL"))
            }
            Wrong::Text { min, max } => {
                let message = format!("must be {min} to {max} characters, without NUL");
                (Is::WrongLength, json!({"min": min, "max": max}), message)
            }
            Wrong::Line { min, max } => {
                let length = if *min == 0 { format!("at most {max}") } else { format!("{min} to {max}") };
                let message = format!("must be {length} characters, without control characters");
                (Is::NotOneLine, json!({"min": min, "max": max}), message)
            }
            Wrong::Ascii { min, max } => {
                let message = format!("must be {min} to {max} visible ASCII characters");
                (Is::NotAscii, json!({"min": min, "max": max}), message)
            }
            Wrong::Nul => plain(Is::HasNul, "must not contain a NUL character"),
            Wrong::NoWord => plain(Is::NoWord, "must have at least one word"),
            Wrong::Range { min, max } => {
                (Is::OutOfRange, json!({"min": min, "max": max}), format!("must be from {min} to {max}"))
            }
            Wrong::Limit(max) => {
                (Is::OutOfRange, json!({"min": 0, "max": max}), format!("must be from 0 (no limit) to {max}"))
            }
            Wrong::Count { min: 0, max } => {
                (Is::TooMany, json!({"max": max}), format!("must be at most {max}"))
            }
            Wrong::Count { min, max } => {
                (Is::WrongCount, json!({"min": min, "max": max}), format!("must be {min} to {max}"))
            }
            Wrong::DifferentMemories { min, max } => {
                let message = format!("must be {min} to {max} different memories");
                (Is::WrongCount, json!({"min": min, "max": max}), message)
            }
            Wrong::Phrases { max, bytes } => {
                let message = format!("must be at most {max} words or phrases of up to {bytes} bytes");
                (Is::WrongPhrases, json!({"max": max, "bytes": bytes}), message)
            }
            Wrong::Names { min, max } => {
                let message =
                    format!("must be names of {min} to {max} characters, without control characters");
                (Is::WrongNames, json!({"min": min, "max": max}), message)
            }
            Wrong::OneOf(values) => {
                (Is::NotOneOf, json!({"values": values}), format!("must be one of {values}"))
            }
            Wrong::AutoOrOneOf(values) => {
                let message = format!("must be auto or one of {values}");
                (Is::NotOneOf, json!({"values": format!("auto, {values}")}), message)
            }
            Wrong::Either(values) => {
                let message = format!("must be {}", alternatives(values));
                (Is::NotOneOf, json!({"values": values.join(", ")}), message)
            }
            Wrong::Choice { values, said } => {
                (Is::NotOneOf, json!({"values": values.join(", ")}), format!("must be {said}"))
            }
            Wrong::NoneOf { given, values } => {
                let message = format!("{given:?} is not known: send {}", alternatives(values));
                (Is::NotOneOf, json!({"values": values.join(", ")}), message)
            }
            Wrong::SomeOf { values, or_absent } => {
                let absent = if *or_absent { ", or absent" } else { "" };
                (Is::NotSomeOf, json!({"values": values}), format!("must be some of {values}{absent}"))
            }
            Wrong::Email => plain(Is::NotEmail, "is not a valid address"),
            Wrong::Username => {
                let (min, max) = (3, 50);
                let message =
                    format!("must be {min} to {max} letters of one script, digits, `_`, `.` or `-`");
                (Is::NotUsername, json!({"min": min, "max": max}), message)
            }
            Wrong::NoUpperCase => plain(Is::NoUpperCase, "must contain an upper-case letter"),
            Wrong::NoLowerCase => plain(Is::NoLowerCase, "must contain a lower-case letter"),
            Wrong::NoDigit => plain(Is::NoDigit, "must contain a digit"),
            Wrong::CommonPassword => {
                plain(Is::CommonPassword, "is one of the most common passwords: choose another")
            }
            Wrong::ThisOr(other) => {
                (Is::ThisOrOther, json!({"other": other}), format!("or `{other}` must be given"))
            }
            Wrong::OnlyThisOr(other) => {
                let message = format!("or `{other}` must be given, and not both");
                (Is::OnlyOneOf, json!({"other": other}), message)
            }
            Wrong::NotWith(other) => {
                let message = format!("cannot be given together with `{other}`");
                (Is::NotTogether, json!({"other": other}), message)
            }
            Wrong::NotFuture => plain(Is::NotFuture, "must be in the future"),
            Wrong::Before(other) => {
                (Is::TooEarly, json!({"other": other}), format!("must not be before `{other}`"))
            }
            Wrong::Url(why) => plain(Is::UrlRefused, why),
            Wrong::NoProvider { provider, there } => {
                let message = format!("{provider} is not set up here; there are {there}");
                (Is::NoProvider, json!({"provider": provider, "values": there}), message)
            }
            Wrong::NoProviderKey { provider, there } => {
                let message = format!(
                    "{provider} is not set up here; there are {there}: give the project a key for it first \
                     (PUT /projects/{{id}}/provider-keys/{{provider}}), or choose another"
                );
                (Is::NoProviderKey, json!({"provider": provider, "values": there}), message)
            }
            Wrong::NoModelOfMock(model) => {
                let message = format!("{model} is not a model of the mock, which has mock-1");
                (Is::NoModel, json!({"model": model, "values": "mock-1"}), message)
            }
            Wrong::OnlyMock(model) => {
                let message = format!("{model} is not there: only the built-in mock is set up, with mock-1");
                (Is::NoModel, json!({"model": model, "values": "mock-1"}), message)
            }
            Wrong::NoTool(tool) => {
                (Is::NoTool, json!({"tool": tool}), format!("names {tool:?}, which is not configured here"))
            }
            Wrong::Template { line, column, problem } => {
                let message = format!("line {line}, column {column}: {problem}");
                (Is::WrongTemplate, json!({"line": line, "column": column, "problem": problem}), message)
            }
            Wrong::VariableNames => {
                plain(Is::VariableNames, "must have names of ASCII letters, digits and `_`")
            }
            Wrong::Columns(said) => (Is::NoColumns, json!({"column": "content"}), said.clone()),
            Wrong::Window { max, tokens } => {
                let message = format!("is about {tokens} tokens, and the model reads {max} at most");
                (Is::ContextLength, json!({"max": max, "tokens": tokens}), message)
            }
            Wrong::Unfit(said) => plain(Is::Unfit, said),
            Wrong::Told { code, params, said } => (*code, json!(params), said.clone()),
        }
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.told().2)
    }
}
