//! Attributes of files in a vector store, and the filters that searches are narrowed by, as OpenAI's API has both.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use crate::{error::Wrong, problems::Problems};

const PAIRS: usize = 16;
const NAME: usize = 64;
const TEXT: usize = 512;
/// Comparisons of one filter, and how deep they may stand.
const COMPARISONS: usize = 100;
const DEEPEST: usize = 8;

/// Up to 16 texts, numbers, or true and false, with names.
pub fn check(attributes: &Map<String, Value>, field: &str, problems: &mut Problems) {
    let plain = |value: &Value| match value {
        Value::String(text) => text.chars().count() <= TEXT && !text.contains('\0'),
        Value::Number(_) | Value::Bool(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    let named = |name: &String| name.chars().count() <= NAME && !name.contains('\0');
    let fits =
        attributes.len() <= PAIRS && attributes.iter().all(|(name, value)| named(name) && plain(value));
    let rule =
        Wrong::Form("must be at most 16 texts of at most 512 characters, numbers or booleans, with names");
    problems.unless(fits, field, rule);
}

#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    Compare { key: String, how: How, value: Value },
    All(Vec<Filter>),
    Any(Vec<Filter>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    In,
    NotIn,
}

impl How {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => How::Equal,
            "ne" => How::NotEqual,
            "gt" => How::Greater,
            "gte" => How::GreaterOrEqual,
            "lt" => How::Less,
            "lte" => How::LessOrEqual,
            "in" => How::In,
            "nin" => How::NotIn,
            _ => return None,
        })
    }

    /// Whether it compares with a value of this kind.
    fn takes(self, value: &Value) -> bool {
        let is_one = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
        match self {
            How::In | How::NotIn => {
                value.as_array().is_some_and(|all| all.len() <= COMPARISONS && all.iter().all(is_one))
            }
            How::Equal | How::NotEqual => is_one(value),
            How::Greater | How::GreaterOrEqual | How::Less | How::LessOrEqual => {
                value.is_string() || value.is_number()
            }
        }
    }
}

impl Filter {
    /// Reads a filter; `None`: it is wrong, and `problems` says how.
    pub fn read(given: &Value, field: &str, problems: &mut Problems) -> Option<Self> {
        let mut left = COMPARISONS;
        let read = Self::read_part(given, field, (0, &mut left), problems);
        if left == 0 {
            problems.add(field, Wrong::Unfit("compares too often"));
            return None;
        }
        read
    }

    fn read_part(
        given: &Value,
        field: &str,
        (depth, left): (usize, &mut usize),
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(fields) = given.as_object() else {
            problems.add(field, Wrong::NotObject);
            return None;
        };
        let word = given["type"].as_str().unwrap_or_default();
        let is_compound = matches!(word, "and" | "or");
        let known: &[&str] = if is_compound { &["type", "filters"] } else { &["type", "key", "value"] };
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            problems.add(format!("{field}.{name}"), Wrong::UnknownAmong(known.join(", ")));
        }
        *left = left.saturating_sub(1);
        if depth > DEEPEST || *left == 0 {
            problems.add(field, Wrong::Unfit("is nested too deep, or compares too often"));
            return None;
        }
        if !is_compound {
            return Self::read_comparison(given, field, problems);
        }
        let Some(parts) = given["filters"].as_array().filter(|parts| !parts.is_empty()) else {
            problems.add(format!("{field}.filters"), Wrong::NotList);
            return None;
        };
        let mut all = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            all.push(Self::read_part(
                part,
                &format!("{field}.filters[{at}]"),
                (depth + 1, &mut *left),
                problems,
            )?);
        }
        Some(if word == "and" { Filter::All(all) } else { Filter::Any(all) })
    }

    fn read_comparison(given: &Value, field: &str, problems: &mut Problems) -> Option<Self> {
        let Some(how) = given["type"].as_str().and_then(How::named) else {
            let words = "and, or, eq, ne, gt, gte, lt, lte, in, nin".to_owned();
            problems.add(format!("{field}.type"), Wrong::OneOf(words));
            return None;
        };
        let key = given["key"].as_str();
        problems.unless(key.is_some(), &format!("{field}.key"), Wrong::Required);
        let fits = how.takes(&given["value"]);
        let rule =
            Wrong::Form("must be a text, a number or a boolean, and for `in` and `nin` a list of them");
        problems.unless(fits, &format!("{field}.value"), rule);
        let key = key.filter(|_| fits)?.to_owned();
        Some(Filter::Compare { key, how, value: given["value"].clone() })
    }

    /// Whether a file with these attributes is meant. What a file does not have is equal to nothing.
    pub fn matches(&self, attributes: &Value) -> bool {
        match self {
            Filter::All(parts) => parts.iter().all(|part| part.matches(attributes)),
            Filter::Any(parts) => parts.iter().any(|part| part.matches(attributes)),
            Filter::Compare { key, how, value } => {
                let own = &attributes[key.as_str()];
                let within = || value.as_array().into_iter().flatten().any(|one| equal(own, one));
                let order = order(own, value);
                match how {
                    How::Equal => equal(own, value),
                    How::NotEqual => !equal(own, value),
                    How::Greater => order == Some(Ordering::Greater),
                    How::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
                    How::Less => order == Some(Ordering::Less),
                    How::LessOrEqual => order.is_some_and(Ordering::is_le),
                    How::In => within(),
                    How::NotIn => !within(),
                }
            }
        }
    }
}

/// Numbers by their value: 1 is 1.0.
fn equal(own: &Value, other: &Value) -> bool {
    order(own, other).map_or(own == other, Ordering::is_eq)
}

/// Of two numbers, or two texts. Others have none.
fn order(own: &Value, other: &Value) -> Option<Ordering> {
    match (own, other) {
        (Value::String(own), Value::String(other)) => Some(own.cmp(other)),
        (Value::Number(own), Value::Number(other)) => match (whole(own), whole(other)) {
            (Some(own), Some(other)) => Some(own.cmp(&other)),
            _ => own.as_f64()?.partial_cmp(&other.as_f64()?),
        },
        _ => None,
    }
}

/// A float holds whole numbers up to 2^53 only.
fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(given: &Value) -> Result<Filter, Vec<String>> {
        let mut problems = Problems::default();
        let read = Filter::read(given, "filters", &mut problems);
        match problems.done() {
            Ok(()) => Ok(read.unwrap()),
            Err(error) => Err(error.errors.into_iter().map(|error| error.field).collect()),
        }
    }

    #[test]
    fn attributes_are_compared_as_numbers_texts_and_booleans() {
        let file = json!({"year": 2020, "region": "us", "draft": false, "serial": 9_007_199_254_740_993_i64});
        for (how, key, value, is_meant) in [
            ("eq", "year", json!(2020.0), true),
            ("eq", "year", json!("2020"), false),
            ("eq", "serial", json!(9_007_199_254_740_993_i64), true),
            ("eq", "serial", json!(9_007_199_254_740_992_i64), false),
            ("lt", "serial", json!(u64::MAX), true),
            ("gt", "serial", json!(-0.5), true),
            ("ne", "region", json!("eu"), true),
            ("ne", "nothing", json!("eu"), true),
            ("eq", "nothing", json!("eu"), false),
            ("gt", "year", json!(2019), true),
            ("gt", "year", json!(2020), false),
            ("gte", "year", json!(2020), true),
            ("lt", "region", json!("uz"), true),
            ("lte", "year", json!(2019), false),
            ("gt", "nothing", json!(0), false),
            ("gt", "region", json!(0), false),
            ("eq", "draft", json!(false), true),
            ("in", "region", json!(["eu", "us"]), true),
            ("nin", "region", json!(["eu", "us"]), false),
            ("nin", "nothing", json!(["eu"]), true),
        ] {
            let filter = read(&json!({"type": how, "key": key, "value": value})).unwrap();
            assert_eq!(filter.matches(&file), is_meant, "{key} {how} {value}");
            let not = json!({"type": "eq", "key": "draft", "value": true});
            let part = json!({"type": how, "key": key, "value": value});
            let both = read(&json!({"type": "and", "filters": [part, not]})).unwrap();
            assert!(!both.matches(&file));
            let either = read(&json!({"type": "or", "filters": [part, not]})).unwrap();
            assert_eq!(either.matches(&file), is_meant);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (given, field) in [
            (json!("x"), "filters"),
            (json!({"type": "like", "key": "a", "value": "b"}), "filters.type"),
            (json!({"type": "eq", "value": "b"}), "filters.key"),
            (json!({"type": "eq", "key": "a", "value": ["b"]}), "filters.value"),
            (json!({"type": "gt", "key": "a", "value": true}), "filters.value"),
            (json!({"type": "in", "key": "a", "value": "b"}), "filters.value"),
            (json!({"type": "eq", "key": "a", "value": 1, "colour": 1}), "filters.colour"),
            (json!({"type": "and", "filters": []}), "filters.filters"),
            (json!({"type": "or", "filters": [{"type": "x"}]}), "filters.filters[0].type"),
        ] {
            assert_eq!(read(&given).unwrap_err()[0], field, "{given}");
        }
        let one = json!({"type": "eq", "key": "a", "value": 1});
        let deep = (0..20).fold(one.clone(), |inside, _| json!({"type": "and", "filters": [inside]}));
        assert!(read(&deep).is_err());
        assert!(read(&json!({"type": "or", "filters": vec![one; 200]})).is_err());
    }

    #[test]
    fn attributes_have_bounds() {
        let wrong = |given: Value| {
            let mut problems = Problems::default();
            check(given.as_object().unwrap(), "attributes", &mut problems);
            problems.count() > 0
        };
        assert!(!wrong(json!({"a": "b", "n": 1.5, "is": true})));
        for given in
            [json!({"a": null}), json!({"a": []}), json!({"a": "x".repeat(513)}), json!({"x".repeat(65): 1})]
        {
            assert!(wrong(given));
        }
        let many: Map<String, Value> = (0..17).map(|n| (n.to_string(), json!(n))).collect();
        assert!(wrong(Value::Object(many)));
    }
}
