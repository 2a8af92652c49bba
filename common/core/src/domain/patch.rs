//! One field of a change.

use serde::{Deserialize, Deserializer};

/// In JSON: what is absent stays (mark the field `#[serde(default)]`), `null` takes the value away, anything else is the
/// new value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Patch<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Patch<T> {
    /// The new value, where there is one.
    pub fn new_value(&self) -> Option<&T> {
        match self {
            Patch::Set(value) => Some(value),
            Patch::Keep | Patch::Clear => None,
        }
    }

    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(value) => Patch::Set(with(value)),
        }
    }

    /// What a field that holds `now` holds afterwards.
    pub fn over(self, now: Option<T>) -> Option<T> {
        match self {
            Patch::Keep => now,
            Patch::Clear => None,
            Patch::Set(value) => Some(value),
        }
    }

    pub fn apply(self, to: &mut Option<T>) {
        *to = self.over(to.take());
    }
}

/// Of a field that was named.
impl<T> From<Option<T>> for Patch<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Patch::Clear, Patch::Set)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::from)
    }
}
