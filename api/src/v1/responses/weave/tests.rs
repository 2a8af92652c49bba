use proptest::prelude::*;
use rapport_common::domain::{event::EventId, ids::JobId};

use super::*;

fn event(name: &str, data: Value) -> Event {
    Event::new(EventId::new(1, 1), name, data)
}

fn token(text: &str) -> Event {
    event("token", json!({"delta": text}))
}

fn done(reply: &str) -> Event {
    event("done", json!({"reply": reply, "finish_reason": "stop", "provider": "mock", "model": "m"}))
}

/// The same of an answer for which files were searched.
fn found(reply: &str) -> Event {
    let source = json!({"number": 1, "file_id": "file_1", "file": "a.txt"});
    let mut done = done(reply);
    done.data["file_search"] = told();
    done.data["sources"] = json!([source]);
    done
}

fn told() -> Value {
    json!({"queries": ["why?"], "results": null})
}

fn woven(job: JobId, events: &[Event]) -> Vec<Value> {
    woven_of(job, events, events.iter().any(|event| event.data["file_search"].is_object()))
}

fn woven_of(job: JobId, events: &[Event], searches: bool) -> Vec<Value> {
    let queries = searches.then(|| vec!["why?".to_owned()]);
    let asked = Asked { job, created_at: clock::now(), shown: json!({"model": "auto"}), queries };
    let mut weave = Weave::new(asked, true);
    let mut all = weave.begin();
    all.extend(events.iter().flat_map(|event| weave.follow(event)));
    all
}

fn text(all: &[Value]) -> String {
    let deltas = all.iter().filter(|event| event["type"] == "response.output_text.delta");
    deltas.map(|event| event["delta"].as_str().unwrap()).collect()
}

/// What of an event does not depend on the time it is made.
fn timeless(all: &[Value]) -> Vec<Value> {
    let mut all = all.to_vec();
    for event in &mut all {
        if event["response"].is_object() {
            event["response"]["created_at"] = Value::Null;
            event["response"]["completed_at"] = Value::Null;
        }
    }
    all
}

proptest! {
    #[test]
    fn the_numbers_depend_on_the_text_alone(text_of in "[a-zé \\n]{0,80}", cuts in prop::collection::vec(0usize..80, 0..6),
        lost in 0usize..80) {
        let job = JobId::new();
        let at_once = woven(job, &[token(&text_of), done(&text_of)]);
        let letters: Vec<char> = text_of.chars().collect();
        let mut events: Vec<Event> = Vec::new();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(letters.len())).collect();
        cuts.sort_unstable();
        // An attempt that broke off, and another that says the same, cut otherwise.
        events.push(token(&letters[..lost.min(letters.len())].iter().collect::<String>()));
        events.push(event("reset", json!({})));
        let mut from = 0;
        for cut in cuts.into_iter().chain([letters.len()]) {
            events.push(token(&letters[from..cut].iter().collect::<String>()));
            from = cut;
        }
        events.push(done(&text_of));
        let in_pieces = woven(job, &events);
        prop_assert_eq!(timeless(&in_pieces), timeless(&at_once));
        prop_assert_eq!(text(&in_pieces), text_of);
        for (number, event) in in_pieces.iter().enumerate() {
            prop_assert_eq!(event["sequence_number"].as_u64(), Some(number as u64));
        }
    }

    /// However often a search is made, and whether the events that tell of it are lost or not, it is told once.
    #[test]
    fn a_search_is_told_once_and_before_the_first_word(text_of in "[a-z \\[\\]1]{0,40}", lost in 0usize..40) {
        let job = JobId::new();
        let at_once = woven(job, &[token(&text_of), found(&text_of)]);
        let letters: Vec<char> = text_of.chars().collect();
        let mut events = vec![token(&letters[..lost.min(letters.len())].iter().collect::<String>())];
        events.push(event("reset", json!({})));
        events.extend([token(&text_of), found(&text_of)]);
        let in_pieces = woven(job, &events);
        prop_assert_eq!(timeless(&in_pieces), timeless(&at_once));
        // When the events are gone, the ledger has the text and what was searched.
        let from_ledger = woven(job, &[event("reset", json!({})), token(&text_of), found(&text_of)]);
        prop_assert_eq!(timeless(&from_ledger), timeless(&at_once));
        let kinds: Vec<&str> = at_once.iter().map(|event| event["type"].as_str().unwrap()).collect();
        let of_search = |kind: &str| kinds.iter().position(|one| *one == kind).unwrap();
        let completed = of_search("response.file_search_call.completed");
        prop_assert!(completed < of_search("response.content_part.added"));
        let added = of_search("response.output_text.annotation.added");
        prop_assert!(added < of_search("response.output_text.done"));
        prop_assert_eq!(kinds.iter().filter(|kind| kind.contains("file_search_call")).count(), 3);
        let output = &at_once.last().unwrap()["response"]["output"];
        prop_assert_eq!(&output[0]["type"], "file_search_call");
        prop_assert_eq!(&output[1]["content"][0]["annotations"][0]["filename"], "a.txt");
        let items: Vec<&Value> = at_once.iter().filter(|event| event["type"] == "response.output_item.done").map(|event| &event["item"]).collect();
        prop_assert_eq!(items, output.as_array().unwrap().iter().collect::<Vec<_>>());
    }
}

/// What ends before its search is told by the same events, whoever reads them, and has no search in its output.
#[test]
fn a_search_that_was_not_made_is_not_told() {
    let job = JobId::new();
    let cancelled = event("done", json!({"reply": "", "finish_reason": "cancelled"}));
    let failed = event("error", json!({"code": "provider_unavailable", "detail": "Nobody answers."}));
    for end in [cancelled, failed] {
        let all = woven_of(job, std::slice::from_ref(&end), true);
        assert!(!json!(all).to_string().contains("file_search"), "{all:?}");
        assert_eq!(timeless(&all), timeless(&woven_of(job, &[event("reset", json!({})), end], true)));
    }
}

#[test]
fn an_answer_that_begins_otherwise_is_an_item_of_its_own() {
    let events = [token("one two three"), event("reset", json!({})), token("one four"), done("one four")];
    let all = woven(JobId::new(), &events);
    let ended: Vec<(u64, &str, &str)> = all
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| {
            let item = &event["item"];
            let text = item["content"][0]["text"].as_str().unwrap();
            (event["output_index"].as_u64().unwrap(), item["status"].as_str().unwrap(), text)
        })
        .collect();
    assert_eq!(ended[1], (1, "completed", "one four"));
    assert!(ended[0].1 == "incomplete" && "one two three".starts_with(ended[0].2), "{ended:?}");
    let last = all.last().unwrap();
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "one four");
}
