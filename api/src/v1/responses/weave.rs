//! A job's events as the events of a response, each with its number.
//!
//! The numbers must be the same whoever reads them, whenever, from whichever process: a client comes back with the last one
//! it saw. So they depend on the text alone, not on how it was cut when it was written down: every delta has so many
//! characters, and what comes next is the rest. An answer that begins anew and says the same goes on where it was; one
//! that says something else is a new item, and the first one is left as incomplete.

use chrono::DateTime;
use rapport_common::{clock, domain::event::Event};
use serde_json::{Value, json};

use super::{
    file_search, items,
    object::{Asked, State},
};
use crate::v1::{answer::Said, growing::Growing};

/// The first words go out at once; later ones are given some at a time.
const LONGEST: usize = 8;

pub struct Weave {
    asked: Asked,
    background: bool,
    next: u64,
    started: bool,
    growing: Growing,
    /// Whether the search in files was told: once, however many attempts make it.
    searched: bool,
    /// The output's number, how many of them are messages, and of how many deltas the last one is.
    index: usize,
    messages: usize,
    open: bool,
    deltas: usize,
    /// What of the item's text was given, and what waits to be a delta.
    given: String,
    waiting: String,
}

impl Weave {
    pub fn new(asked: Asked, background: bool) -> Self {
        Self {
            asked,
            background,
            next: 0,
            started: false,
            growing: Growing::default(),
            searched: false,
            index: 0,
            messages: 0,
            open: false,
            deltas: 0,
            given: String::new(),
            waiting: String::new(),
        }
    }

    fn event(&mut self, kind: &str, mut fields: Value) -> Value {
        fields["type"] = json!(kind);
        fields["sequence_number"] = json!(self.next);
        self.next += 1;
        fields
    }

    fn whole(&mut self, kind: &str, state: &State<'_>) -> Value {
        let object = self.asked.object(state, None);
        self.event(kind, json!({"response": object}))
    }

    /// What every stream begins with.
    pub fn begin(&mut self) -> Vec<Value> {
        if self.background {
            let created = self.whole("response.created", &State::Queued);
            return vec![created, self.whole("response.queued", &State::Queued)];
        }
        vec![self.whole("response.created", &State::InProgress)]
    }

    /// What follows from an event of the job.
    pub fn follow(&mut self, event: &Event) -> Vec<Value> {
        let mut all = Vec::new();
        if !std::mem::replace(&mut self.started, true) {
            all.push(self.whole("response.in_progress", &State::InProgress));
        }
        match event.name.as_str() {
            "reset" => self.growing.reset(),
            "file_search" => self.search(&event.data, &mut all),
            "token" => {
                let delta = event.data["delta"].as_str().unwrap_or_default();
                match self.growing.token(delta) {
                    Ok(more) => self.say(&more, &mut all),
                    Err(_) => self.anew(&mut all),
                }
            }
            "done" => {
                match &event.data["file_search"] {
                    // It ended before anything was searched.
                    Value::Null => self.searched = true,
                    told => self.search(told, &mut all),
                }
                if self.growing.end().is_err() {
                    self.anew(&mut all);
                }
                self.end(&Said(event.data.clone()), &mut all);
            }
            "error" => {
                self.close("incomplete", &[], &mut all);
                all.push(self.whole("response.failed", &State::Failed(&event.data)));
            }
            _ => {}
        }
        all
    }

    fn item_id(&self) -> String {
        let id = items::item_id("msg", self.asked.job);
        if self.messages == 0 { id } else { format!("{id}_{}", self.messages) }
    }

    /// Where in the response something happens.
    fn place(&self) -> Value {
        json!({"item_id": self.item_id(), "output_index": self.index, "content_index": 0})
    }

    fn with(mut place: Value, name: &str, value: Value) -> Value {
        place[name] = value;
        place
    }

    fn say(&mut self, text: &str, all: &mut Vec<Value>) {
        if text.is_empty() {
            return;
        }
        self.open(all);
        self.waiting.push_str(text);
        loop {
            let size = (self.deltas + 1).min(LONGEST);
            let end = self.waiting.char_indices().nth(size).map(|(at, _)| at);
            let whole = end.or((self.waiting.chars().count() == size).then_some(self.waiting.len()));
            let Some(end) = whole else { return };
            let delta: String = self.waiting.drain(..end).collect();
            all.push(self.delta(delta));
        }
    }

    fn delta(&mut self, delta: String) -> Value {
        self.deltas += 1;
        self.given.push_str(&delta);
        let fields = Self::with(self.place(), "delta", json!(delta));
        self.event("response.output_text.delta", Self::with(fields, "logprobs", json!([])))
    }

    /// Tells of a search that was made, if it was not told yet: it always comes before the first word.
    fn search(&mut self, told: &Value, all: &mut Vec<Value>) {
        if std::mem::replace(&mut self.searched, true) {
            return;
        }
        let (index, item) = (self.index, file_search::item(self.asked.job, told));
        let begun = json!({"output_index": index, "item": file_search::begun(self.asked.job)});
        all.push(self.event("response.output_item.added", begun));
        for step in ["in_progress", "searching", "completed"] {
            let place = json!({"output_index": index, "item_id": item["id"]});
            all.push(self.event(&format!("response.file_search_call.{step}"), place));
        }
        all.push(self.event("response.output_item.done", json!({"output_index": index, "item": item})));
        self.index += 1;
    }

    fn open(&mut self, all: &mut Vec<Value>) {
        if std::mem::replace(&mut self.open, true) {
            return;
        }
        // The event that told of it is lost.
        if let Some(queries) = self.asked.queries.clone() {
            self.search(&json!({"queries": queries, "results": null}), all);
        }
        let item = json!({"type": "message", "id": self.item_id(), "role": "assistant", "status": "in_progress",
                          "content": []});
        all.push(self.event("response.output_item.added", json!({"output_index": self.index, "item": item})));
        let fields = Self::with(self.place(), "part", items::text_part("", &[]));
        all.push(self.event("response.content_part.added", fields));
    }

    /// Ends the item of the text, if one is open. One that is whole gets what waits.
    fn close(&mut self, status: &str, cited: &[Value], all: &mut Vec<Value>) {
        if !std::mem::replace(&mut self.open, false) {
            return;
        }
        let rest = std::mem::take(&mut self.waiting);
        if !rest.is_empty() {
            all.push(self.delta(rest));
        }
        for (at, annotation) in cited.iter().enumerate() {
            let fields = Self::with(self.place(), "annotation_index", json!(at));
            let fields = Self::with(fields, "annotation", annotation.clone());
            all.push(self.event("response.output_text.annotation.added", fields));
        }
        let text = std::mem::take(&mut self.given);
        let fields = Self::with(self.place(), "text", json!(text));
        all.push(self.event("response.output_text.done", Self::with(fields, "logprobs", json!([]))));
        let part = items::text_part(&text, cited);
        let fields = Self::with(self.place(), "part", part.clone());
        all.push(self.event("response.content_part.done", fields));
        let item = items::message_item(&self.item_id(), part, status);
        all.push(self.event("response.output_item.done", json!({"output_index": self.index, "item": item})));
        self.index += 1;
        self.messages += 1;
        self.deltas = 0;
    }

    /// The answer goes on otherwise than it began: that beginning ends here, and another item begins.
    fn anew(&mut self, all: &mut Vec<Value>) {
        self.waiting.clear();
        self.close("incomplete", &[], all);
        let text = self.growing.anew();
        self.say(&text, all);
    }

    fn end(&mut self, said: &Said, all: &mut Vec<Value>) {
        let at = said.0["created_at"].as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let ended = self.asked.object(&State::Said(said), Some(at.map_or_else(clock::now, |at| at.to_utc())));
        let status = if ended["status"] == "completed" { "completed" } else { "incomplete" };
        let calls = said.0["calls"].as_array().cloned().unwrap_or_default();
        if calls.is_empty() {
            self.open(all); // an answer without a word is a message all the same
        }
        self.close(status, &file_search::citations(said), all);
        for (at, call) in calls.iter().enumerate() {
            self.call(at, call, status, all);
        }
        let kind = if status == "completed" { "response.completed" } else { "response.incomplete" };
        all.push(self.event(kind, json!({"response": ended})));
    }

    fn call(&mut self, at: usize, call: &Value, status: &str, all: &mut Vec<Value>) {
        let item = items::call_item(self.asked.job, at, call, status);
        let mut begun = item.clone();
        begun["arguments"] = json!("");
        begun["status"] = json!("in_progress");
        let index = self.index;
        all.push(self.event("response.output_item.added", json!({"output_index": index, "item": begun})));
        let place = json!({"item_id": item["id"], "output_index": index});
        let delta = Self::with(place.clone(), "delta", item["arguments"].clone());
        all.push(self.event("response.function_call_arguments.delta", delta));
        let done = Self::with(place, "arguments", item["arguments"].clone());
        let done = Self::with(done, "name", item["name"].clone());
        all.push(self.event("response.function_call_arguments.done", done));
        all.push(self.event("response.output_item.done", json!({"output_index": index, "item": item})));
        self.index += 1;
    }
}

#[cfg(test)]
mod tests {
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
        let searches = events.iter().any(|event| event.data["file_search"].is_object());
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
        fn a_search_is_told_once_and_before_the_first_word(text_of in "[a-z \\[\\]1]{0,40}", lost in 0usize..40,
            told_first in any::<bool>(), told_again in any::<bool>()) {
            let job = JobId::new();
            let at_once = woven(job, &[event("file_search", told()), token(&text_of), found(&text_of)]);
            let letters: Vec<char> = text_of.chars().collect();
            let mut events: Vec<Event> = told_first.then(|| event("file_search", told())).into_iter().collect();
            events.push(token(&letters[..lost.min(letters.len())].iter().collect::<String>()));
            events.push(event("reset", json!({})));
            events.extend(told_again.then(|| event("file_search", told())));
            events.extend([token(&text_of), found(&text_of)]);
            let in_pieces = woven(job, &events);
            prop_assert_eq!(timeless(&in_pieces), timeless(&at_once));
            // From the ledger, when all events are gone.
            prop_assert_eq!(timeless(&woven(job, &[found(&text_of)])).last(), timeless(&at_once).last());
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
}
