//! What names things in a file, and what they are named by here.

use serde::Deserialize;
use uuid::Uuid;

use super::Source;
use rapport_core::domain::ids::UserId;

/// Bytes of an id. A longer one is replaced by its hash where it comes in: each message names another one by it.
const ID_MAX: usize = 200;

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Id(String);

impl From<String> for Id {
    fn from(id: String) -> Self {
        if id.len() <= ID_MAX { Self(id) } else { Self::of_words(id.as_bytes()) }
    }
}

impl Id {
    /// Of a message that has none: where it stands in its file. No file writes such an id.
    pub fn of_place(place: usize) -> Self {
        Self(format!("\0{place}"))
    }

    /// Of what nothing else tells from others.
    pub fn of_words(words: &[u8]) -> Self {
        Self(format!("\0{}", hash(&[words])))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_string(self) -> String {
        self.0
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a message hangs from.
#[derive(Debug)]
pub(crate) enum Above {
    Named(Id),
    /// An earlier one of the list.
    At(usize),
}

/// The id that a piece of a message in a file has in an account: always the same, so that a file may be taken in twice.
pub(super) fn local_id(
    user: UserId,
    source: Source,
    conversation: &str,
    message: &str,
    piece: usize,
) -> Uuid {
    let (user, source) = (user.0.as_bytes(), source.as_str().as_bytes());
    let number = (piece as u64).to_be_bytes();
    let parts: [&[u8]; 5] = [user, source, conversation.as_bytes(), message.as_bytes(), &number];
    // The first has the name of the whole.
    hash(if piece == 0 { &parts[..4] } else { &parts })
}

fn hash(parts: &[&[u8]]) -> Uuid {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    for part in parts {
        // With its length before it, so that no two lists of parts are one.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
