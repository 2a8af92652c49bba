//! Memories of one user: rows in, rows out. Whoever changes one goes through [`crate::usecase::memory::Changes`], which
//! writes the history too.

macro_rules! columns {
    () => {
        "id, user_id, content, norm, memory_type, subject, slot, object, importance, confidence, status, explicit, sensitive, \
         support, valid_from, valid_to, contexts, is_private, session_id, message_id, quote, extractor_version, extracted_at, \
         merged_into, expires_at, access_count, last_accessed, verified_at, feedback, created_at, updated_at"
    };
}

pub(crate) mod change;
pub(crate) mod evidence;
pub(crate) mod find;
pub(crate) mod forgotten;
pub(crate) mod list;
pub(crate) mod shares;

pub use change::{delete, insert, touch, update};
pub use evidence::{add_evidence, by_evidence, copy_evidence, evidence_messages};
pub use find::{
    active, are_any, by_norm, by_session, by_slot, due_to_expire, essential, get, get_many, merged_from,
    without_expiry,
};
pub use forgotten::{forget, is_forgotten, no_longer_forgotten};
pub use list::{Criteria, Filter, Sort, Wanted, list, matching, page, page_by_id};
pub use shares::{Reader, readable, share, shared_with_me, shares};
