//! The tool `file_search`: what it asks for, and what of a search is shown in a response.

use rapport_common::{
    Context, Result,
    attributes::Filter,
    domain::{
        ids::{JobId, UserId, VectorStoreId},
        prompt::FileSearch,
    },
    error::{Error, Wrong},
    problems::Problems,
    providers::{ChatMessage, Role},
    store,
    usecase::files::search::QUESTION,
};
use serde_json::{Value, json};

use super::{items::item_id, mcp};
use crate::v1::{
    answer::Said,
    body::only,
    ranking::{ranking, read_limit},
};

/// Stores that one response searches.
const STORES: usize = 10;
const RESULTS: i64 = 20;
/// What `include` may hold to see what was found.
pub const INCLUDED: &str = "file_search_call.results";

pub fn is_tool(tool: &Value) -> bool {
    tool["type"] == "file_search"
}

/// Reads the tool, if it is there: once at most. What is searched for is known later ([`complete`]).
pub fn read(tools: &[Value], include: &[String], problems: &mut Problems) -> Option<FileSearch> {
    let mut found = None;
    for (at, tool) in tools.iter().enumerate().filter(|(_, tool)| is_tool(tool)) {
        let field = format!("tools[{at}]");
        problems.unless(found.is_none(), &field, Wrong::GivenTwice);
        let known = ["type", "vector_store_ids", "max_num_results", "filters", "ranking_options"];
        only(tool, &known, &field, problems);
        let name = |name: &str| format!("{field}.{name}");
        let limit = &tool["max_num_results"];
        problems.unless(limit.is_null() || limit.is_i64(), &name("max_num_results"), Wrong::NotWhole);
        let filters = Some(tool["filters"].clone()).filter(|filters| !filters.is_null());
        if let Some(filters) = &filters {
            Filter::read(filters, &name("filters"), problems);
        }
        found = Some(FileSearch {
            stores: stores(&tool["vector_store_ids"], &name("vector_store_ids"), problems),
            queries: Vec::new(),
            limit: read_limit(limit.as_i64(), RESULTS, &name("max_num_results"), problems),
            filters,
            threshold: ranking(Some(&tool["ranking_options"]), &name("ranking_options"), problems),
            shows_results: include.iter().any(|one| one == INCLUDED),
        });
    }
    found
}

fn stores(given: &Value, field: &str, problems: &mut Problems) -> Vec<VectorStoreId> {
    let count = given.as_array().map_or(0, Vec::len);
    if !(1..=STORES).contains(&count) {
        problems.add(field, Wrong::Count { min: 1, max: STORES });
        return Vec::new();
    }
    let ids: Vec<VectorStoreId> = given
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|id| id.as_str().and_then(|id| id.parse().ok()))
        .collect();
    problems.unless(ids.len() == count, field, NOT_YOURS);
    ids
}

const NOT_YOURS: Wrong = Wrong::Unfit("names a vector store that is not yours");

/// What is searched for: the last thing that a user said. The stores must be there, and the user's; a request that is sent again
/// does not ask for it, since it makes nothing new.
pub async fn complete(
    ctx: &Context,
    user: UserId,
    mut search: FileSearch,
    messages: &[ChatMessage],
    is_repeat: bool,
) -> Result<FileSearch> {
    search.stores.sort_unstable();
    search.stores.dedup();
    let found = store::vector_stores::some(&mut ctx.db.read().await?, user, &search.stores).await?;
    if found.len() < search.stores.len() && !is_repeat {
        return Err(Error::field("tools.vector_store_ids", NOT_YOURS));
    }
    let last = messages.iter().rev().find(|message| message.role == Role::User);
    let question: String = last.map_or("", |message| message.content.trim()).chars().take(QUESTION).collect();
    search.queries = Some(question).filter(|question| !question.is_empty()).into_iter().collect();
    Ok(search)
}

fn search_id(job: JobId) -> String {
    item_id("fs", job)
}

/// A search that is over, as an item. `told`: as its answer has it.
pub fn item(job: JobId, told: &Value) -> Value {
    json!({"type": "file_search_call", "id": search_id(job), "status": "completed", "queries": told["queries"],
           "results": told["results"]})
}

/// The same when it begins.
pub fn begun(job: JobId) -> Value {
    json!({"type": "file_search_call", "id": search_id(job), "status": "in_progress", "queries": [], "results": null})
}

/// What an answer rests on, as annotations of its text, by their place in it.
pub fn citations(said: &Said) -> Vec<Value> {
    if !said.0["file_search"].is_object() {
        return Vec::new();
    }
    let end = said.text().chars().count() as u64;
    // They stand in the last message, which begins behind the calls of servers.
    let begins = end - mcp::parts(said).1.chars().count() as u64;
    let mut all: Vec<(u64, Value)> = Vec::new();
    for source in said.0["sources"].as_array().into_iter().flatten() {
        // What it says again without naming it has its place at the end.
        let index = source["at"].as_u64().unwrap_or(end).saturating_sub(begins);
        let annotation = json!({"type": "file_citation", "file_id": source["file_id"], "filename": source["file"], "index": index});
        all.push((index, annotation));
    }
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, annotation)| annotation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_stand_where_their_numbers_do() {
        let source = |at: Option<u64>, file: &str| json!({"number": 1, "at": at, "file_id": format!("file_{file}"), "file": file});
        let said = |text: &str, sources: Value| {
            Said(
                json!({"reply": text, "file_search": {"queries": ["q"], "results": null}, "sources": sources}),
            )
        };
        let places = |said: &Said| -> Vec<(String, u64)> {
            let all = citations(said);
            assert!(all.iter().all(|one| one["type"] == "file_citation"));
            all.iter()
                .map(|one| (one["filename"].as_str().unwrap().to_owned(), one["index"].as_u64().unwrap()))
                .collect()
        };
        let text = "Œ stops [2]. It starts [1, 2].";
        let found =
            places(&said(text, json!([source(Some(23), "b"), source(None, "c"), source(Some(8), "a")])));
        assert_eq!(found, [("a".to_owned(), 8), ("b".to_owned(), 23), ("c".to_owned(), 30)]);
        let without = Said(json!({"reply": text, "sources": [source(Some(8), "b")]}));
        assert!(citations(&without).is_empty(), "chats have sources of their own");
    }
}
