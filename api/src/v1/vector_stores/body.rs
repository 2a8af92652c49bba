//! What requests about vector stores say, checked.

use rapport_common::{
    attributes::{self, Filter},
    domain::ids::FileId,
    error::Wrong,
    problems::Problems,
};
use serde_json::{Map, Value, json};

use crate::v1::body::NOT_HERE;

/// A name holds at most this many characters.
const NAME: usize = 256;

/// Passages are made when a file is read, before it is in any store: only `auto`.
pub fn check_chunking(strategy: Option<&Value>, field: &str, problems: &mut Problems) {
    let is_auto = strategy.is_none_or(|given| given.is_null() || *given == json!({"type": "auto"}));
    problems.unless(is_auto, field, Wrong::Unfit("must be {\"type\": \"auto\"} here"));
}

/// Nothing expires by itself.
pub fn check_expiry(expires_after: Option<&Value>, problems: &mut Problems) {
    problems.unless(expires_after.is_none_or(Value::is_null), "expires_after", NOT_HERE);
}

pub fn check_name(name: Option<&str>, problems: &mut Problems) {
    let fits = name.is_none_or(|name| name.chars().count() <= NAME && !name.contains('\0'));
    problems.unless(fits, "name", Wrong::Text { min: 0, max: NAME });
}

/// A file's id. What is none is nobody's file.
pub fn file_id(text: &str, field: &str, problems: &mut Problems) -> Option<FileId> {
    let id = text.parse().ok();
    problems.unless(id.is_some(), field, Wrong::Unfit("is the id of no file of yours"));
    id
}

pub fn file_ids(given: &[String], problems: &mut Problems) -> Vec<FileId> {
    given.iter().filter_map(|id| file_id(id, "file_ids", problems)).collect()
}

/// Attributes as they are kept: an object, maybe empty.
pub fn read_attributes(given: Option<Map<String, Value>>, field: &str, problems: &mut Problems) -> Value {
    let given = given.unwrap_or_default();
    attributes::check(&given, field, problems);
    Value::Object(given)
}

/// A filter of attributes, if one is given.
pub fn filter(given: Option<&Value>, field: &str, problems: &mut Problems) -> Option<Filter> {
    given.filter(|given| !given.is_null()).and_then(|given| Filter::read(given, field, problems))
}
