//! What headers hold is nobody else's, whatever a server repeats.

use serde_json::Value;

use crate::secret::Secret;

/// A shorter word of a header is no key, and stands in many an answer.
const HIDDEN_MIN: usize = 8;

/// What is taken out of what a server says: the values of headers, and their words.
pub struct Hidden(Vec<Secret>);

impl Hidden {
    pub fn of(headers: &[(String, Secret)]) -> Self {
        let words = headers.iter().flat_map(|(_, value)| {
            let value = value.expose().trim();
            std::iter::once(value).chain(value.split_whitespace())
        });
        let mut words: Vec<&str> = words.filter(|word| word.len() >= HIDDEN_MIN).collect();
        // Longer ones first: one that another begins with would leave its rest.
        words.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        words.dedup();
        Self(words.into_iter().map(Secret::new).collect())
    }

    /// A text without it.
    pub fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for word in &self.0 {
            text = text.replace(word.expose(), "[hidden]");
        }
        text
    }

    /// The same for every text of a value, names included. Its depth is bounded by its reader.
    pub fn without(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.masked(&text)),
            Value::Array(all) => all.into_iter().map(|one| self.without(one)).collect(),
            Value::Object(fields) => {
                let field = |(name, one): (String, Value)| (self.masked(&name), self.without(one));
                Value::Object(fields.into_iter().map(field).collect())
            }
            other => other,
        }
    }
}
