//! What parsers say, in words that tell a client what to send. Their own words name their insides ("expected struct",
//! "premature end of input"); none of them goes out.

use crate::error::Wrong;

/// Where a value was wrong and what it must be.
#[derive(Debug, PartialEq)]
pub struct Complaint {
    /// The parser names it itself: a field that is missing, twice there, or not known.
    pub field: Option<String>,
    pub wrong: Wrong,
}

/// From the message of serde, or of what it calls for numbers, dates and the like.
pub fn complaint(message: &str) -> Complaint {
    // What our own types refuse says itself what is wrong.
    if let Some(wrong) = Wrong::from_through(message) {
        return Complaint { field: None, wrong };
    }
    let message = message.split(" at line ").next().unwrap_or(message).trim();
    let quoted = |start: &str| {
        let rest = message.strip_prefix(start)?.strip_prefix('`')?;
        rest.split('`').next().map(str::to_owned)
    };
    let about = |field: String, wrong: Wrong| Complaint { field: Some(field), wrong };
    if let Some(field) = quoted("missing field ") {
        return about(field, Wrong::Required);
    }
    if let Some(field) = quoted("duplicate field ") {
        return about(field, Wrong::GivenTwice);
    }
    if let Some(field) = quoted("unknown field ") {
        return about(field, Wrong::UnknownHere);
    }
    Complaint { field: None, wrong: must_be(message) }
}

fn must_be(message: &str) -> Wrong {
    if message.starts_with("unknown variant ") {
        let options: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        return Wrong::OneOf(options.join(", "));
    }
    // Our own ids say what they are.
    if let Some(prefix) = message.strip_prefix("not a ").and_then(|rest| rest.strip_suffix(" id")) {
        return Wrong::NotId(prefix.to_owned());
    }
    let what = match message.split_once(", expected ") {
        Some((_, expected)) => kind(expected),
        None => standalone(message),
    };
    what.unwrap_or(Wrong::Form("is not what it must be"))
}

/// A value that is not of the type that serde calls so.
fn kind(expected: &str) -> Option<Wrong> {
    let expected = expected.trim_start_matches("a ").trim_start_matches("an ");
    Some(match expected {
        "string" | "str" | "borrowed string" | "character" => Wrong::NotText,
        "boolean" => Wrong::NotBoolean,
        "f32" | "f64" | "number" | "floating point number" | "JSON number" => Wrong::NotNumber,
        "u8" | "u16" | "u32" | "u64" | "usize" => Wrong::NotNatural,
        "i8" | "i16" | "i32" | "i64" | "isize" | "integer" => Wrong::NotWhole,
        "sequence" | "array" => Wrong::NotList,
        "map" | "JSON object" => Wrong::NotObject,
        _ if expected.starts_with("struct ") || expected.starts_with("internally tagged") => Wrong::NotObject,
        _ if expected.starts_with("tuple ") || expected.starts_with("array of ") => Wrong::NotList,
        _ if expected.contains("date and time") => Wrong::NotDate,
        _ => return None,
    })
}

/// What is meant when numbers, truth values and dates cannot read a text.
fn standalone(message: &str) -> Option<Wrong> {
    Some(match message {
        "invalid digit found in string" | "cannot parse integer from empty string" => Wrong::NotWhole,
        "number too large to fit in target type" | "number too small to fit in target type" => {
            Wrong::NotWithinLimits
        }
        "invalid float literal" | "cannot parse float from empty string" | "number out of range" => {
            Wrong::NotNumber
        }
        "provided string was not `true` or `false`" => Wrong::NotBoolean,
        "premature end of input"
        | "trailing input"
        | "input contains invalid characters"
        | "input is out of range"
        | "input is not enough for unique date and time"
        | "no possible date and time matching input"
        | "bad or unsupported format string" => Wrong::NotDate,
        _ => return None,
    })
}

/// One row of a file, which has no path to its fields.
pub fn of_row(error: &serde_json::Error) -> String {
    let Complaint { field, wrong } = complaint(&error.to_string());
    format!("{} {wrong}", field.as_deref().unwrap_or("a value"))
}

/// Why a text is no JSON: where, and not in the parser's words.
pub fn not_json(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "The body ends before its JSON does.".to_owned();
    }
    format!("The body is not valid JSON, at line {}, column {}.", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::idempotency::IdempotencyKey, error::FieldError};
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        One,
        Two,
        Three,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code)]
    struct All {
        text: String,
        count: Option<u32>,
        number: Option<f64>,
        flag: Option<bool>,
        list: Option<Vec<String>>,
        at: Option<chrono::DateTime<chrono::Utc>>,
        choice: Option<Choice>,
        session: Option<crate::domain::ids::SessionId>,
        inner: Option<Box<All>>,
    }

    #[test]
    fn no_parsers_words_are_left() {
        let said = |json: &str| complaint(&serde_json::from_str::<All>(json).unwrap_err().to_string());
        for (json, field, message) in [
            ("{}", Some("text"), "is required"),
            (r#"{"text":"","text":""}"#, Some("text"), "is given more than once"),
            (r#"{"texts":""}"#, Some("texts"), "is not known here"),
            (r#"{"text":5}"#, None, "must be text"),
            (r#"{"text":"","count":-1}"#, None, "must be a whole number, not negative"),
            (r#"{"text":"","count":"x"}"#, None, "must be a whole number, not negative"),
            (r#"{"text":"","count":1e99}"#, None, "must be a whole number, not negative"),
            (r#"{"text":"","number":"x"}"#, None, "must be a number"),
            (r#"{"text":"","flag":"x"}"#, None, "must be true or false"),
            (r#"{"text":"","list":"x"}"#, None, "must be a list"),
            (r#"{"text":"","at":"2026"}"#, None, "must be a date and time like 2026-03-01T12:00:00Z"),
            (r#"{"text":"","at":"yesterday"}"#, None, "must be a date and time like 2026-03-01T12:00:00Z"),
            (r#"{"text":"","at":5}"#, None, "must be a date and time like 2026-03-01T12:00:00Z"),
            (r#"{"text":"","choice":"four"}"#, None, "must be one of one, two, three"),
            (r#"{"text":"","session":"x"}"#, None, "is not a sess_ id"),
            (r#"{"text":"","inner":5}"#, None, "must be an object"),
        ] {
            let found = said(json);
            assert_eq!(
                (found.field.as_deref(), found.wrong.to_string().as_str()),
                (field, message),
                "{json}"
            );
        }
        let error = serde_json::from_str::<IdempotencyKey>(r#""a b""#).unwrap_err();
        let told = FieldError::new("key", complaint(&error.to_string()).wrong);
        let expected = FieldError::new("key", Wrong::Ascii { min: 1, max: 255 });
        assert_eq!(serde_json::json!(told), serde_json::json!(expected), "with its word and its values");
        assert_eq!(complaint("something of a library's own").wrong.to_string(), "is not what it must be");
    }
}
