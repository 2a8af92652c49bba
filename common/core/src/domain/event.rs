//! Events of a job: what a stream carries.
//!
//! An event's id is `<attempt>-<n>`. Within a job ids only grow: an attempt numbers its events 1, 2, 3, … and a later
//! attempt has a higher first part, so a zombie of an earlier attempt can never write behind a newer one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `<attempt>-<n>`, ordered. `0-0` is before everything; `0-1` is the `job` event every stream begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct EventId {
    pub attempt: u32,
    pub n: u32,
}

impl EventId {
    pub const START: Self = Self { attempt: 0, n: 0 };
    /// The id of the `job` event.
    pub const JOB: Self = Self { attempt: 0, n: 1 };

    pub fn new(attempt: u32, n: u32) -> Self {
        Self { attempt, n }
    }

    /// The id of a final event that was made from the ledger because the log no longer has it.
    pub fn last_of(attempt: u32) -> Self {
        Self { attempt, n: u32::MAX }
    }

    /// Whether `self` can directly follow `before`: the next of the same attempt, or the first of a later one.
    pub fn follows(self, before: Self) -> bool {
        if self.attempt == before.attempt {
            self.n == before.n + 1
        } else {
            self.attempt > before.attempt && self.n == 1
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.attempt, self.n)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnEventId;

impl FromStr for EventId {
    type Err = NotAnEventId;
    fn from_str(text: &str) -> Result<Self, NotAnEventId> {
        let digits = |part: &str| -> Result<u32, NotAnEventId> {
            if part.is_empty() || part.len() > 10 || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(NotAnEventId);
            }
            part.parse().map_err(|_| NotAnEventId)
        };
        let (attempt, n) = text.split_once('-').ok_or(NotAnEventId)?;
        Ok(Self { attempt: digits(attempt)?, n: digits(n)? })
    }
}

/// One event: its id, its name (`token`, `done`, …) and its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    #[serde(skip)]
    pub id: EventId,
    pub name: String,
    pub data: Value,
}

impl Event {
    pub fn new(id: EventId, name: &str, data: Value) -> Self {
        Self { id, name: name.to_owned(), data }
    }

    /// Whether nothing comes after it.
    pub fn is_final(&self) -> bool {
        self.name == "done" || self.name == "error"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_back(attempt in any::<u32>(), n in any::<u32>()) {
            let id = EventId::new(attempt, n);
            prop_assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = text.parse::<EventId>();
        }

        #[test]
        fn what_follows_is_later(a in 0u32..4, n in 0u32..4, b in 0u32..4, m in 0u32..4) {
            let (first, second) = (EventId::new(a, n), EventId::new(b, m));
            if second.follows(first) {
                prop_assert!(second > first);
            }
        }
    }
}
