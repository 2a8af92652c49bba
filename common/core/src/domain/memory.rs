//! A memory: one thing a user said, with where it came from and what the user thinks of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    ids::{MemoryId, MessageId, SessionId, UserId},
    message::Role,
    words::words,
};
use crate::row;

words! {
    MemoryType as "memory type" {
        Preference = "preference",
        Fact = "fact",
        Topic = "topic",
        Relationship = "relationship",
        Goal = "goal",
        Experience = "experience",
    }

    MemoryStatus as "memory status" {
        /// It awaits its user's word.
        Pending = "pending",
        Confirmed = "confirmed",
        /// It stays, and keeps what it says from coming back.
        Rejected = "rejected",
        /// It was true.
        Superseded = "superseded",
        /// It lives on in what it was merged into.
        Merged = "merged",
        Expired = "expired",
    }

    /// What one memory is to another.
    Relationship as "relationship" {
        RelatesTo = "relates_to",
        Contradicts = "contradicts",
        Supports = "supports",
        CausedBy = "caused_by",
        SimilarTo = "similar_to",
    }

    /// Who changed a memory.
    Actor as "actor" {
        User = "user",
        /// What reads conversations.
        Extractor = "extractor",
        /// What looks memories through.
        Consolidation = "consolidation",
        /// The clock.
        System = "system",
    }

    /// What a change did to a memory.
    Action as "action" {
        Created = "created",
        Extracted = "extracted",
        Imported = "imported",
        Edited = "edited",
        Confirmed = "confirmed",
        Rejected = "rejected",
        Corrected = "corrected",
        Superseded = "superseded",
        Merged = "merged",
        MergeMade = "merge_made",
        Expired = "expired",
        ExpirySet = "expiry_set",
        MadePrivate = "made_private",
        MadePublic = "made_public",
        Undone = "undone",
    }

    /// What reading one window of a conversation came to.
    RunOutcome as "outcome" {
        Facts = "facts",
        NoFacts = "no_facts",
        /// The model's answer could not be read.
        InvalidOutput = "invalid_output",
        ProviderError = "provider_error",
    }

    /// What two memories that are near each other are judged to be.
    Judgement as "judgement" {
        Contradicts = "contradicts",
        Duplicates = "duplicates",
        Refines = "refines",
        Unrelated = "unrelated",
    }

    /// Where the question stands that two memories ask together.
    ConflictStatus as "conflict status" {
        Open = "open",
        Resolved = "resolved",
        /// Nobody needs to answer it any more, or both may stay.
        Dismissed = "dismissed",
    }
}

/// A memory holds at most this many characters.
pub const CONTENT_MAX: usize = 2_000;

impl MemoryStatus {
    /// Whether it counts as known now: awaiting its user, or confirmed.
    pub fn is_active(self) -> bool {
        matches!(self, MemoryStatus::Pending | MemoryStatus::Confirmed)
    }

    /// Whether its user, or who takes its place, has ended it: it does not change any more.
    pub fn is_history(self) -> bool {
        matches!(self, MemoryStatus::Merged | MemoryStatus::Superseded)
    }
}

impl Relationship {
    /// Whether it says the same in both directions.
    pub fn is_symmetric(self) -> bool {
        match self {
            Relationship::RelatesTo | Relationship::Contradicts | Relationship::SimilarTo => true,
            Relationship::Supports | Relationship::CausedBy => false,
        }
    }
}

/// A memory as it is stored, and as the history keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    pub id: MemoryId,
    pub user_id: UserId,
    pub content: String,
    /// `content` in the form that tells duplicates.
    pub norm: String,
    pub memory_type: MemoryType,
    /// Whom it is about: `user`, or a name.
    pub subject: Option<String>,
    /// What of the subject: `home_city`, `likes`, …
    pub slot: Option<String>,
    /// The slot's value.
    pub object: Option<String>,
    pub importance: f64,
    pub confidence: f64,
    pub status: MemoryStatus,
    /// Said in so many words, as opposed to concluded.
    pub explicit: bool,
    pub sensitive: bool,
    /// How many messages said it.
    pub support: i64,
    /// When it held in the world.
    pub valid_from: Option<DateTime<Utc>>,
    pub valid_to: Option<DateTime<Utc>>,
    pub contexts: Vec<String>,
    pub is_private: bool,
    pub session_id: Option<SessionId>,
    pub message_id: Option<MessageId>,
    pub quote: Option<String>,
    pub extractor_version: Option<String>,
    pub extracted_at: Option<DateTime<Utc>>,
    pub merged_into: Option<MemoryId>,
    pub expires_at: Option<DateTime<Utc>>,
    pub access_count: i64,
    pub last_accessed: Option<DateTime<Utc>>,
    pub verified_at: Option<DateTime<Utc>>,
    pub feedback: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

row!(Memory:
    id, user_id, content, norm, memory_type, subject, slot, object, importance, confidence, status, explicit,
    sensitive, support, valid_from, valid_to, contexts as json, is_private, session_id, message_id, quote,
    extractor_version, extracted_at, merged_into, expires_at, access_count, last_accessed, verified_at,
    feedback, created_at, updated_at
);

impl Memory {
    /// Whether it counts as known now: awaiting its user, or confirmed.
    pub fn is_active(&self) -> bool {
        self.status.is_active()
    }

    /// Whether it stays out of prompts until its user confirms it: what is sensitive, and what only a model's tool call
    /// says the user said.
    pub fn awaits_user(&self) -> bool {
        let only_proposed = !self.explicit && self.quote.is_none() && self.extractor_version.is_none();
        self.status == MemoryStatus::Pending && (self.sensitive || only_proposed)
    }

    /// Whether it says what somebody said, as opposed to having been made of other memories.
    pub fn source_is_direct(&self) -> bool {
        self.message_id.is_some() || self.extractor_version.is_some() || self.support <= 1
    }

    /// Whether it held at a moment: by its validity where that is known, else from when it was said.
    pub fn held_at(&self, at: DateTime<Utc>) -> bool {
        let from = self.valid_from.unwrap_or(self.created_at);
        from <= at && self.valid_to.is_none_or(|to| at < to)
    }

    /// A new memory of `user`, with nothing but its words.
    pub fn new(
        user: UserId,
        content: &str,
        memory_type: MemoryType,
        status: MemoryStatus,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id: MemoryId::new(),
            user_id: user,
            content: content.to_owned(),
            norm: super::normal::normalise(content),
            memory_type,
            subject: None,
            slot: None,
            object: None,
            importance: 0.5,
            confidence: 1.0,
            status,
            explicit: true,
            sensitive: false,
            support: 1,
            valid_from: None,
            valid_to: None,
            contexts: Vec::new(),
            is_private: false,
            session_id: None,
            message_id: None,
            quote: None,
            extractor_version: None,
            extracted_at: None,
            merged_into: None,
            expires_at: None,
            access_count: 0,
            last_accessed: None,
            verified_at: None,
            feedback: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Where a memory came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Source {
    #[schema(value_type = Option<String>)]
    pub session_id: Option<SessionId>,
    #[schema(value_type = Option<String>)]
    pub message_id: Option<MessageId>,
    /// Word for word from that message.
    #[schema(example = "I moved to Dhaka last week")]
    pub quote: Option<String>,
    pub extractor_version: Option<String>,
    #[serde(serialize_with = "crate::clock::rfc3339_millis::option::serialize", default)]
    pub extracted_at: Option<DateTime<Utc>>,
}

/// A memory as its owner sees it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct MemoryView {
    #[schema(value_type = String, example = "mem_06dqz6ef8swq1bnx1rc6a2k8t4")]
    pub id: MemoryId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub user_id: UserId,
    #[schema(example = "Lives in Dhaka")]
    pub content: String,
    /// `preference`, `fact`, `topic`, `relationship`, `goal` or `experience`.
    #[schema(value_type = String, example = "fact")]
    pub memory_type: MemoryType,
    #[schema(example = "user")]
    pub subject: Option<String>,
    #[schema(example = "home_city")]
    pub slot: Option<String>,
    #[schema(example = "dhaka")]
    pub object: Option<String>,
    /// 0-1.
    pub importance: f64,
    /// 0-1.
    pub confidence: f64,
    /// `pending`, `confirmed`, `rejected`, `superseded`, `merged` or `expired`.
    #[schema(value_type = String, example = "pending")]
    pub status: MemoryStatus,
    pub explicit: bool,
    pub sensitive: bool,
    /// How many messages said it.
    pub support: i64,
    #[serde(serialize_with = "crate::clock::rfc3339_millis::option::serialize")]
    pub valid_from: Option<DateTime<Utc>>,
    #[serde(serialize_with = "crate::clock::rfc3339_millis::option::serialize")]
    pub valid_to: Option<DateTime<Utc>>,
    pub contexts: Vec<String>,
    pub is_private: bool,
    /// Whom its owner shared it with, by the names they gave, whether or not somebody has them. Empty for those it is shared
    /// with.
    #[schema(example = json!(["ann"]))]
    pub shared_with: Vec<String>,
    pub source: Source,
    #[schema(value_type = Vec<String>)]
    pub merged_from: Vec<MemoryId>,
    #[schema(value_type = Option<String>)]
    pub merged_into: Option<MemoryId>,
    #[serde(serialize_with = "crate::clock::rfc3339_millis::option::serialize")]
    pub expires_at: Option<DateTime<Utc>>,
    pub access_count: i64,
    #[serde(serialize_with = "crate::clock::rfc3339_millis::option::serialize")]
    pub last_accessed: Option<DateTime<Utc>>,
    #[serde(serialize_with = "crate::clock::rfc3339_millis::option::serialize")]
    pub verified_at: Option<DateTime<Utc>>,
    pub feedback: Option<String>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub updated_at: DateTime<Utc>,
    /// With `?include=embedding`, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Vec<f32>>,
}

impl From<Memory> for MemoryView {
    fn from(memory: Memory) -> Self {
        Self {
            id: memory.id,
            user_id: memory.user_id,
            content: memory.content,
            memory_type: memory.memory_type,
            subject: memory.subject,
            slot: memory.slot,
            object: memory.object,
            importance: memory.importance,
            confidence: memory.confidence,
            status: memory.status,
            explicit: memory.explicit,
            sensitive: memory.sensitive,
            support: memory.support,
            valid_from: memory.valid_from,
            valid_to: memory.valid_to,
            contexts: memory.contexts,
            is_private: memory.is_private,
            shared_with: Vec::new(),
            source: Source {
                session_id: memory.session_id,
                message_id: memory.message_id,
                quote: memory.quote,
                extractor_version: memory.extractor_version,
                extracted_at: memory.extracted_at,
            },
            merged_from: Vec::new(),
            merged_into: memory.merged_into,
            expires_at: memory.expires_at,
            access_count: memory.access_count,
            last_accessed: memory.last_accessed,
            verified_at: memory.verified_at,
            feedback: memory.feedback,
            created_at: memory.created_at,
            updated_at: memory.updated_at,
            embedding: None,
        }
    }
}

/// A turn as the extractor reads it.
#[derive(Debug, Clone)]
pub struct Turn {
    pub id: MessageId,
    pub role: Role,
    pub content: String,
    pub name: Option<String>,
    pub seq: i64,
    pub created_at: DateTime<Utc>,
}

row!(Turn: id, role, content, name, seq, created_at);
