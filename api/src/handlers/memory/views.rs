//! What is shown of a memory besides its words: the vector to those who ask for it, and less to those it is shared with.

use rapport_common::{
    domain::{
        ids::{MemoryId, UserId},
        memory::{Memory, MemoryView},
    },
    memory::builtin_embedder::from_bytes,
    store::{Querier, terms::Corpus, vectors},
    usecase::memory::uuids,
};

use crate::error::Result;

pub async fn with_vectors(q: &mut impl Querier, user: UserId, views: &mut [MemoryView]) -> Result<()> {
    let ids: Vec<MemoryId> = views.iter().map(|view| view.id).collect();
    for row in vectors::get(q, user, Corpus::Memories, &uuids(&ids)).await? {
        if let Some(view) = views.iter_mut().find(|view| view.id.0 == row.doc_id) {
            view.embedding = Some(from_bytes(&row.vector));
        }
    }
    Ok(())
}

/// What those see with whom a memory is shared: not where it was said, nor who else may read it.
pub fn for_readers(memory: Memory) -> MemoryView {
    let mut view = MemoryView::from(memory);
    view.source.session_id = None;
    view.source.message_id = None;
    view.source.quote = None;
    view.feedback = None;
    view.merged_into = None;
    view
}
