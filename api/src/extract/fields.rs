//! Fields that nobody reads: a misspelt one must not pass as one that was left out.

use rapport_common::error::{FieldError, Wrong};
use serde::{
    Deserializer,
    de::{
        DeserializeOwned, Error as _, IntoDeserializer, Visitor,
        value::{Error, MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};

/// What clients send along though it changes nothing here: an object as it was fetched, sent back with a change in it.
/// Refusing that would help nobody.
pub const SENT_ALONG: [&str; 6] =
    ["id", "user_id", "created_at", "updated_at", "message_count", "parent_session_id"];

/// A path without the marks of optional values: `chat_settings.temprature`, not `chat_settings.?.temprature`.
pub fn plain(path: &serde_ignored::Path<'_>) -> String {
    let (above, name) = match path {
        serde_ignored::Path::Root => return String::new(),
        serde_ignored::Path::Seq { parent, index } => (plain(parent), index.to_string()),
        serde_ignored::Path::Map { parent, key } => (plain(parent), key.clone()),
        serde_ignored::Path::Some { parent }
        | serde_ignored::Path::NewtypeStruct { parent }
        | serde_ignored::Path::NewtypeVariant { parent } => return plain(parent),
    };
    if above.is_empty() { name } else { format!("{above}.{name}") }
}

/// What is wrong with fields that `T` does not have, given their paths (`chat_settings.temprature`, `items.0.nmae`).
pub fn unknown<T: DeserializeOwned>(paths: Vec<String>) -> Vec<FieldError> {
    paths.into_iter().map(|path| FieldError::new(path.as_str(), wrong::<T>(&path))).collect()
}

fn wrong<T: DeserializeOwned>(path: &str) -> Wrong {
    let parts: Vec<&str> = path.split('.').collect();
    let Some((name, above)) = parts.split_last() else { return Wrong::Unknown };
    let known = fields_of::<T>(above);
    let alike = |field: &&&str| strsim::jaro_winkler(&name.to_lowercase(), field) > 0.75;
    let likeness = |field: &&str| strsim::jaro_winkler(&name.to_lowercase(), field);
    let nearest = known.iter().filter(alike).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest {
        Some(nearest) => Wrong::UnknownMeant((*nearest).to_owned()),
        None if known.is_empty() => Wrong::Unknown,
        None => Wrong::UnknownAmong(known.join(", ")),
    }
}

/// The fields of what stands at a path in `T`.
fn fields_of<T: DeserializeOwned>(path: &[&str]) -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    // It always ends in an error: there is no value, only a question.
    let _no_value = T::deserialize(Question { path, found: &mut found });
    found
}

/// A deserializer without data: it shows a type the way along a path, and notes which fields the type at its end asks for.
struct Question<'a> {
    path: &'a [&'a str],
    found: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for Question<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.path.is_empty() {
            *self.found = fields;
            return Err(Error::custom("asked and answered"));
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Some((first, rest)) = self.path.split_first() else { return self.deserialize_any(visitor) };
        let below = Question { path: rest, found: self.found };
        visitor.visit_map(MapDeserializer::new(std::iter::once(((*first).to_owned(), below))))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Some((_, rest)) = self.path.split_first() else { return self.deserialize_any(visitor) };
        let below = Question { path: rest, found: self.found };
        visitor.visit_seq(SeqDeserializer::new(std::iter::once(below)))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("there is no such place"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct enum identifier ignored_any
    }
}

impl IntoDeserializer<'_> for Question<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Inner {
        #[expect(dead_code)]
        temperature: Option<f64>,
    }

    #[derive(Deserialize)]
    struct Outer {
        #[expect(dead_code)]
        required: String,
        #[expect(dead_code)]
        chat_settings: Option<Inner>,
        #[expect(dead_code)]
        list: Vec<Inner>,
    }

    #[test]
    fn a_type_says_what_it_has_at_a_path() {
        assert_eq!(fields_of::<Outer>(&[]), ["required", "chat_settings", "list"]);
        assert_eq!(fields_of::<Outer>(&["chat_settings"]), ["temperature"]);
        assert_eq!(fields_of::<Outer>(&["list", "3"]), ["temperature"]);
        assert!(fields_of::<Outer>(&["required", "x"]).is_empty());
        assert!(fields_of::<serde_json::Value>(&[]).is_empty());
    }

    #[test]
    fn the_nearest_name_is_offered() {
        let paths = ["chat_settings.temprature", "colour", "lists"].map(str::to_owned).to_vec();
        let errors = unknown::<Outer>(paths);
        let said: Vec<(&str, &str)> = errors.iter().map(|e| (e.field.as_str(), e.message.as_str())).collect();
        assert_eq!(
            said,
            [
                ("chat_settings.temprature", "is not known: did you mean `temperature`?"),
                ("colour", "is not known: the fields are required, chat_settings, list"),
                ("lists", "is not known: did you mean `list`?"),
            ]
        );
    }
}
