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
    let mut shown = json!({"model": "auto"});
    if events.iter().any(|event| event.data["mcp"].is_object()) {
        shown["tools"] = json!([{"type": "mcp"}]);
    }
    let asked = Asked { job, created_at: clock::now(), shown, queries };
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

/// What an answer says and calls, in order: texts, and after each but the last, calls of one round with what they gave.
type Script = Vec<(String, Vec<(&'static str, bool)>)>;

fn script() -> impl Strategy<Value = Script> {
    let call = (prop::sample::select(vec!["add", "append"]), any::<bool>());
    prop::collection::vec(("[a-zé ]{0,12}", prop::collection::vec(call, 1..3)), 0..3)
        .prop_flat_map(|rounds| ("[a-z]{0,20}", Just(rounds)))
        .prop_map(|(last, mut rounds)| {
            rounds.push((last, Vec::new()));
            rounds
        })
}

/// The events of an attempt that says it, and the answer.
fn attempt(number: u32, script: &Script, cut: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let mut push = |name: &str, data: Value| {
        let id = EventId::new(number, events.len() as u32 + 1);
        events.push(Event::new(id, name, data));
    };
    if number > 1 {
        push("reset", json!({}));
    }
    let list = json!({"server_label": "calc", "tools": [], "error": null});
    push("mcp_list_tools", list.clone());
    let (mut said, mut made) = (String::new(), Vec::new());
    for (text, calls) in script {
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(cut) {
            push("token", json!({"delta": piece.iter().collect::<String>()}));
        }
        said.push_str(text);
        let at = said.chars().count();
        let call = |name: &str| json!({"server_label": "calc", "name": name, "arguments": "{}", "approval_request_id": null, "at": at});
        for (name, _) in calls {
            push("tool_call", json!({"mcp": call(name)}));
        }
        for (name, ok) in calls {
            let ended = if *ok {
                json!({"output": "5", "error": null})
            } else {
                json!({"output": null, "error": {"type": "x"}})
            };
            push("tool_result", json!({"mcp": ended}));
            made.push(json!({"call": call(name), "ended": ended}));
        }
    }
    let mut done = done(&said);
    done.data["mcp"] = json!({"lists": [list], "calls": made, "approvals": []});
    push("done", done.data);
    events
}

proptest! {
    /// Whatever is lost of an attempt, and wherever its log has a hole, lists and calls are told once and in their places.
    #[test]
    fn calls_of_servers_are_told_once_and_in_their_places(script in script(), cut in 1usize..5, lost in 0usize..30, hole in 0usize..30) {
        let job = JobId::new();
        let at_once = woven(job, &attempt(1, &script, 3));
        let items: Vec<&Value> = at_once.iter().filter(|event| event["type"] == "response.output_item.done").map(|event| &event["item"]).collect();
        let output = &at_once.last().unwrap()["response"]["output"];
        prop_assert_eq!(items, output.as_array().unwrap().iter().collect::<Vec<_>>());
        for (number, event) in at_once.iter().enumerate() {
            prop_assert_eq!(event["sequence_number"].as_u64(), Some(number as u64));
        }
        // An attempt that broke off, and another that does the same.
        let whole = attempt(2, &script, cut);
        let mut events = attempt(1, &script, 4);
        events.truncate(lost.min(events.len() - 1));
        events.extend(whole.iter().cloned());
        prop_assert_eq!(timeless(&woven(job, &events)), timeless(&at_once));
        // Some events are lost, and made good by the text so far.
        let hole = hole.min(whole.len() - 1);
        let partial: String = whole[..hole].iter().filter_map(|event| event.data["delta"].as_str()).collect();
        let mut events = whole[..hole / 2].to_vec();
        events.push(Event::new(EventId::JOB, "reset", json!({})));
        events.push(Event::new(EventId::new(2, hole as u32), "token", json!({"delta": partial})));
        events.extend(whole[hole..].iter().cloned());
        prop_assert_eq!(timeless(&woven(job, &events)), timeless(&at_once));
        // From the ledger.
        let done = whole.last().unwrap().clone();
        let text = json!({"delta": done.data["reply"]});
        let events = [Event::new(EventId::JOB, "reset", json!({})), Event::new(EventId::last_of(2), "token", text), done];
        prop_assert_eq!(timeless(&woven(job, &events)), timeless(&at_once));
    }

    /// Another attempt may say and call something else: what it does is told whole, after what was told.
    #[test]
    fn an_attempt_that_calls_something_else_is_told_whole(one in script(), other in script(), lost in 0usize..30) {
        let job = JobId::new();
        let mut events = attempt(1, &one, 3);
        events.truncate(lost.min(events.len() - 1));
        events.extend(attempt(2, &other, 3));
        let all = woven(job, &events);
        let output = all.last().unwrap()["response"]["output"].as_array().unwrap();
        let done: Vec<&Value> = all.iter().filter(|event| event["type"] == "response.output_item.done").map(|event| &event["item"]).collect();
        let added = all.iter().filter(|event| event["type"] == "response.output_item.added").count();
        prop_assert_eq!(added, done.len(), "what begins ends");
        // What a call gave is told once: a call that was told is not made again.
        let what = |item: &Value| (item["name"].clone(), item["content"][0]["text"].clone());
        let told: Vec<_> = done.iter().map(|item| what(item)).collect();
        prop_assert!(output.iter().all(|item| told.contains(&what(item))), "{output:?} of {told:?}");
        let mut ids: Vec<&str> = done.iter().map(|item| item["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), done.len(), "each has its own id");
        let ends = all.iter().filter(|event| event["type"] == "response.output_item.done");
        let numbers: Vec<u64> = ends.map(|event| event["output_index"].as_u64().unwrap()).collect();
        prop_assert_eq!(numbers, (0..done.len() as u64).collect::<Vec<_>>());
    }

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

#[test]
fn calls_that_a_cancelled_answer_cut_off_are_told_as_such() {
    let job = JobId::new();
    let mut script: Script =
        vec![(String::new(), vec![("add", true), ("append", true)]), (String::new(), Vec::new())];
    let mut live = attempt(1, &script, 1);
    let mut done = live.pop().unwrap();
    live.truncate(3); // the list, and both calls
    done.data["finish_reason"] = json!("cancelled");
    for call in done.data["mcp"]["calls"].as_array_mut().unwrap() {
        call["ended"] = Value::Null;
    }
    live.push(done.clone());
    let told = woven(job, &live);
    assert_eq!(timeless(&woven(job, &[done])), timeless(&told));
    let statuses: Vec<&Value> = told.last().unwrap()["response"]["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["status"])
        .collect();
    assert_eq!(statuses[1..], [&json!("incomplete"); 3]);
    let failed = told.iter().filter(|event| event["type"] == "response.mcp_call.failed").count();
    assert_eq!(failed, 2);
    // Nothing is left of an answer that nobody keeps, but what was told of it ends.
    script.truncate(1);
    let mut lost = attempt(1, &script, 1);
    lost.truncate(2);
    lost.push(event("done", json!({"finish_reason": "cancelled"})));
    let told = woven(job, &lost);
    let count = |kind: &str| told.iter().filter(|event| event["type"] == kind).count();
    assert_eq!(count("response.output_item.added"), count("response.output_item.done"), "{told:?}");
}
