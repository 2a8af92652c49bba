//! Memories as files: JSON and CSV, a row at a time, so that a hundred thousand need no more memory than one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{slots, text};
use crate::{
    domain::{
        ids::{MemoryId, UserId},
        memory::{CONTENT_MAX, Memory, MemoryStatus, MemoryType},
        texts,
    },
    plain::of_row,
};

/// A memory in a file. Whatever is absent gets the value a memory made by hand has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// In the file's own account; links and merges name it. Another account gives it another id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default)]
    pub content: String,
    #[serde(default = "fact")]
    pub memory_type: String,
    #[serde(default)]
    pub subject: Option<String>,
    #[serde(default)]
    pub slot: Option<String>,
    #[serde(default)]
    pub object: Option<String>,
    #[serde(default = "half")]
    pub importance: f64,
    #[serde(default = "one")]
    pub confidence: f64,
    #[serde(default = "confirmed")]
    pub status: String,
    #[serde(default = "yes")]
    pub explicit: bool,
    #[serde(default)]
    pub sensitive: bool,
    #[serde(default = "once")]
    pub support: i64,
    #[serde(default)]
    pub valid_from: Option<DateTime<Utc>>,
    #[serde(default)]
    pub valid_to: Option<DateTime<Utc>>,
    #[serde(default)]
    pub contexts: Vec<String>,
    #[serde(default)]
    pub is_private: bool,
    #[serde(default)]
    pub quote: Option<String>,
    #[serde(default)]
    pub extractor_version: Option<String>,
    #[serde(default)]
    pub extracted_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub merged_into: Option<String>,
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub verified_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub feedback: Option<String>,
    #[serde(default)]
    pub created_at: Option<DateTime<Utc>>,
}

fn fact() -> String {
    MemoryType::Fact.to_string()
}
fn confirmed() -> String {
    MemoryStatus::Confirmed.to_string()
}
fn half() -> f64 {
    0.5
}
fn one() -> f64 {
    1.0
}
fn yes() -> bool {
    true
}
fn once() -> i64 {
    1
}

impl From<&Memory> for Row {
    fn from(m: &Memory) -> Self {
        let m = m.clone();
        Self {
            id: Some(m.id.to_string()),
            content: m.content,
            memory_type: m.memory_type.to_string(),
            subject: m.subject,
            slot: m.slot,
            object: m.object,
            importance: m.importance,
            confidence: m.confidence,
            status: m.status.to_string(),
            explicit: m.explicit,
            sensitive: m.sensitive,
            support: m.support,
            valid_from: m.valid_from,
            valid_to: m.valid_to,
            contexts: m.contexts,
            is_private: m.is_private,
            quote: m.quote,
            extractor_version: m.extractor_version,
            extracted_at: m.extracted_at,
            merged_into: m.merged_into.map(|id| id.to_string()),
            expires_at: m.expires_at,
            verified_at: m.verified_at,
            feedback: m.feedback,
            created_at: Some(m.created_at),
        }
    }
}

/// The id that a file's id has in an account: always the same, so that a file may be taken in twice.
pub fn local_id(user: UserId, file_id: &str) -> MemoryId {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new().chain_update(user.0.as_bytes()).chain_update(file_id.as_bytes()).finalize();
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    MemoryId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

impl Row {
    /// The memory a row makes, or what is wrong with it.
    pub fn memory(self, user: UserId, now: DateTime<Utc>) -> Result<Memory, String> {
        let content = self.content.trim();
        let length = content.chars().count();
        if text::normalise(content).is_empty() || content.contains('\0') {
            return Err("content must have at least one word".to_owned());
        }
        if length > CONTENT_MAX {
            return Err(format!("content must be at most {CONTENT_MAX} characters, and has {length}"));
        }
        let memory_type = self.memory_type.parse();
        let memory_type = memory_type.map_err(|_| format!("memory_type {}", MemoryType::one_of()))?;
        let status = self.status.parse().map_err(|_| format!("status {}", MemoryStatus::one_of()))?;
        for (name, value) in [("importance", self.importance), ("confidence", self.confidence)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(format!("{name} must be from 0 to 1"));
            }
        }
        let all = [
            &self.subject,
            &self.slot,
            &self.object,
            &self.quote,
            &self.feedback,
            &self.extractor_version,
            &self.id,
        ];
        if all.into_iter().flatten().any(|text| !texts::fits(text, 2_000)) {
            return Err("a text is longer than 2000 characters or holds a NUL".to_owned());
        }
        if self.contexts.len() > 20 || self.contexts.iter().any(|c| c.len() > 100 || c.contains('\0')) {
            return Err("contexts must be at most 20, of up to 100 bytes each".to_owned());
        }
        let mut memory = Memory::new(user, content, memory_type, status, now);
        if let Some(id) = &self.id {
            memory.id = local_id(user, id);
        }
        memory.subject = self.subject.as_deref().map(slots::subject);
        memory.slot = self.slot.as_deref().and_then(slots::canonical);
        memory.object = self.object.as_deref().map(text::normalise).filter(|object| !object.is_empty());
        memory.importance = self.importance;
        memory.confidence = self.confidence;
        memory.explicit = self.explicit;
        memory.sensitive = self.sensitive;
        memory.support = self.support.clamp(0, 1_000_000);
        memory.valid_from = self.valid_from;
        memory.valid_to = self.valid_to;
        memory.contexts = self.contexts;
        memory.is_private = self.is_private;
        memory.quote = self.quote;
        memory.extractor_version = self.extractor_version;
        memory.extracted_at = self.extracted_at;
        memory.expires_at = self.expires_at;
        memory.verified_at = self.verified_at;
        memory.feedback = self.feedback;
        memory.created_at = self.created_at.unwrap_or(now);
        Ok(memory)
    }
}

/// How a memory that is known is treated when a file says it again.
pub fn combine(known: &Memory, from_file: Memory, strategy: &str) -> Memory {
    if strategy == "overwrite" {
        return Memory {
            id: known.id,
            session_id: known.session_id,
            message_id: known.message_id,
            access_count: known.access_count,
            last_accessed: known.last_accessed,
            merged_into: known.merged_into,
            created_at: known.created_at,
            ..from_file
        };
    }
    let mut merged = known.clone();
    merged.importance = merged.importance.max(from_file.importance);
    merged.confidence = merged.confidence.max(from_file.confidence);
    merged.support = merged.support.max(from_file.support);
    merged.subject = merged.subject.or(from_file.subject);
    merged.slot = merged.slot.or(from_file.slot);
    merged.object = merged.object.or(from_file.object);
    merged.valid_from = merged.valid_from.or(from_file.valid_from);
    merged.expires_at = merged.expires_at.or(from_file.expires_at);
    merged.is_private |= from_file.is_private;
    for context in from_file.contexts {
        if !merged.contexts.contains(&context) && merged.contexts.len() < 20 {
            merged.contexts.push(context);
        }
    }
    // A confirmation in either place counts; a rejection here stays one.
    if merged.status == MemoryStatus::Pending && from_file.status == MemoryStatus::Confirmed {
        merged.status = from_file.status;
        merged.verified_at = merged.verified_at.or(from_file.verified_at);
    }
    merged
}

/// The columns of a CSV file.
pub const COLUMNS: [&str; 22] = [
    "id",
    "content",
    "memory_type",
    "subject",
    "slot",
    "object",
    "importance",
    "confidence",
    "status",
    "explicit",
    "sensitive",
    "support",
    "valid_from",
    "valid_to",
    "contexts",
    "is_private",
    "quote",
    "extractor_version",
    "merged_into",
    "expires_at",
    "verified_at",
    "created_at",
];

/// A cell that a spreadsheet would run as a formula is given a leading apostrophe, which [`armed`] takes away again.
pub fn defused(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

pub fn armed(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']) => rest,
        _ => cell,
    }
}

impl Row {
    pub fn cells(&self) -> Vec<String> {
        let time = |time: &Option<DateTime<Utc>>| time.map(|time| time.to_rfc3339()).unwrap_or_default();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let contexts = if self.contexts.is_empty() {
            String::new()
        } else {
            serde_json::json!(self.contexts).to_string()
        };
        [
            text(&self.id),
            self.content.clone(),
            self.memory_type.clone(),
            text(&self.subject),
            text(&self.slot),
            text(&self.object),
            self.importance.to_string(),
            self.confidence.to_string(),
            self.status.clone(),
            self.explicit.to_string(),
            self.sensitive.to_string(),
            self.support.to_string(),
            time(&self.valid_from),
            time(&self.valid_to),
            contexts,
            self.is_private.to_string(),
            text(&self.quote),
            text(&self.extractor_version),
            text(&self.merged_into),
            time(&self.expires_at),
            time(&self.verified_at),
            time(&self.created_at),
        ]
        .iter()
        .map(|cell| defused(cell))
        .collect()
    }

    /// Reads a record whose columns `header` names; unknown columns are left out of account.
    pub fn from_cells(header: &[String], cells: &csv::StringRecord) -> Result<Self, String> {
        if cells.len() != header.len() {
            return Err(format!("has {} cells instead of {}", cells.len(), header.len()));
        }
        let mut object = serde_json::Map::new();
        for (name, cell) in header.iter().zip(cells) {
            let cell = armed(cell);
            if cell.is_empty() {
                continue;
            }
            let value = match name.as_str() {
                "importance" | "confidence" | "support" => {
                    let number: serde_json::Number =
                        cell.parse().map_err(|_| format!("{name} is no number"))?;
                    number.into()
                }
                "explicit" | "sensitive" | "is_private" => match cell.to_lowercase().as_str() {
                    "true" | "1" | "yes" => true.into(),
                    "false" | "0" | "no" => false.into(),
                    _ => return Err(format!("{name} must be true or false")),
                },
                "contexts" if cell.starts_with('[') => {
                    serde_json::from_str(cell).map_err(|_| "contexts is no JSON list".to_owned())?
                }
                "contexts" => cell.split(';').map(|part| serde_json::Value::from(part.trim())).collect(),
                _ => cell.into(),
            };
            object.insert(name.clone(), value);
        }
        serde_json::from_value(object.into()).map_err(|error| of_row(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn csv_and_back_and_no_cell_is_a_formula(content in "['=+@\\-]{0,3}[a-z\",;\n ]{1,20}x", importance in 0.0..=1.0f64) {
            let user = UserId::new();
            let mut memory = Memory::new(user, &content, MemoryType::Fact, MemoryStatus::Confirmed, crate::clock::now());
            memory.importance = importance;
            memory.contexts = vec!["a;b".to_owned(), "c".to_owned()];
            let row = Row::from(&memory);
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(row.cells()).unwrap();
            let bytes = writer.into_inner().unwrap();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
            let record = reader.records().next().unwrap().unwrap();
            prop_assert!(record.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])));
            let header: Vec<String> = COLUMNS.iter().map(|&name| name.to_owned()).collect();
            let back = Row::from_cells(&header, &record).unwrap();
            prop_assert_eq!(back, row);
        }
    }
}
