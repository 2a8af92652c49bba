//! Typed ids: a prefix and a UUIDv7 in lower-case Crockford base32, so `job_06f…` sorts by the time it was made.
//!
//! The text form is 26 characters after the prefix. Parsing accepts exactly what `Display` gives; anything else is
//! not an id, and the API answers 404 for it.

use std::{
    fmt,
    str::FromStr,
    sync::{LazyLock, Mutex, PoisonError},
};

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{ContextV7, Timestamp, Uuid};

static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    #[expect(clippy::expect_used, reason = "the alphabet is a constant of 32 distinct symbols")]
    specification.encoding().expect("Crockford's alphabet is a valid base32 alphabet")
});

/// The text is not an id of the wanted type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

fn parse(prefix: &str, text: &str) -> Result<Uuid, NotAnId> {
    let body = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or(NotAnId)?;
    let bytes = BASE32.decode(body.as_bytes()).map_err(|_| NotAnId)?;
    Uuid::from_slice(&bytes).map_err(|_| NotAnId)
}

/// A UUIDv7 of the common clock: lists go by them, and are made by many processes.
pub fn new_uuid() -> Uuid {
    /// Keeps ids of the same millisecond in order.
    static ORDER: Mutex<ContextV7> = Mutex::new(ContextV7::new());
    let now = crate::clock::now();
    let order = ORDER.lock().unwrap_or_else(PoisonError::into_inner);
    let seconds = now.timestamp().max(0) as u64;
    Uuid::new_v7(Timestamp::from_unix(&*order, seconds, now.timestamp_subsec_nanos()))
}

macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// A new id, later than every id this process made before it.
            #[expect(clippy::new_without_default, reason = "every id is new: a default would mislead")]
            pub fn new() -> Self {
                Self(new_uuid())
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Uuid {
                id.0
            }
        }

        // What `sqlx::Type` would derive, but for arrays.
        impl<DB: sqlx::Database> sqlx::Type<DB> for $name where Uuid: sqlx::Type<DB> {
            fn type_info() -> DB::TypeInfo {
                <Uuid as sqlx::Type<DB>>::type_info()
            }
            fn compatible(other: &DB::TypeInfo) -> bool {
                <Uuid as sqlx::Type<DB>>::compatible(other)
            }
        }

        impl<'q, DB: sqlx::Database> sqlx::Encode<'q, DB> for $name where Uuid: sqlx::Encode<'q, DB> {
            fn encode_by_ref(
                &self,
                buffer: &mut DB::ArgumentBuffer,
            ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                self.0.encode_by_ref(buffer)
            }
        }

        impl<'r, DB: sqlx::Database> sqlx::Decode<'r, DB> for $name where Uuid: sqlx::Decode<'r, DB> {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                Uuid::decode(value).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), BASE32.encode(self.0.as_bytes()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse($prefix, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|_| serde::de::Error::custom(concat!("not a ", $prefix, "_ id")))
            }
        }
    )*};
}

typed_id! {
    UserId = "user";
    /// A conversation.
    SessionId = "sess";
    MessageId = "msg";
    MemoryId = "mem";
    /// Two memories that do not go together.
    ConflictId = "conf";
    /// One change of memories, of one or many at once.
    ChangeId = "chg";
    /// Something too large for one row.
    BlobId = "blob";
    /// A file that a user sent.
    FileId = "file";
    /// A file that is on its way.
    UploadId = "upload";
    /// Files that are searched together, of OpenAI's API.
    VectorStoreId = "vs";
    /// Files that were put into one of those at once.
    BatchId = "vsfb";
    /// A part of a file's text.
    PassageId = "psg";
    JobId = "job";
    /// A list of items of OpenAI's API.
    ConversationId = "conv";
    ProjectId = "proj";
    PromptId = "prompt";
    /// A tool that a project describes.
    ToolId = "tool";
    /// An API key.
    KeyId = "key";
    WebhookId = "hook";
    DeliveryId = "dlv";
    AuditId = "aud";
    /// One login: the family its refresh tokens belong to.
    LoginId = "login";
    RefreshId = "ref";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_back(bytes in any::<[u8; 16]>()) {
            let id = JobId(Uuid::from_bytes(bytes));
            prop_assert_eq!(id.to_string().parse::<JobId>(), Ok(id));
        }

        #[test]
        fn text_sorts_as_the_id_does(a in any::<[u8; 16]>(), b in any::<[u8; 16]>()) {
            let (a, b) = (JobId(Uuid::from_bytes(a)), JobId(Uuid::from_bytes(b)));
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
        }

        #[test]
        fn what_parses_prints_the_same(text in "(job_)?[0-9a-zA-Z_]{0,30}") {
            if let Ok(id) = text.parse::<JobId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn another_types_id_is_not_ours() {
        assert_eq!(UserId::new().to_string().parse::<JobId>(), Err(NotAnId));
    }
}
