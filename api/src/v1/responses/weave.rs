//! A job's events as the events of a response, each with its number.
//!
//! The numbers must be the same whoever reads them, whenever, from whichever process: a client comes back with the last one
//! it saw. So they depend on the text alone, not on how it was cut when it was written down: every delta has so many
//! characters, and what comes next is the rest. An answer that begins anew and says the same goes on where it was; one
//! that says something else is a new item, and the first one is left as incomplete.

use chrono::DateTime;
use rapport_common::{clock, domain::event::Event};
use serde_json::{Value, json};

mod servers;

use super::{
    file_search, items, mcp,
    object::{Asked, State},
};
use crate::v1::{answer::Said, growing::Growing};
use servers::Servers;

/// The first words go out at once; later ones are given some at a time.
const LONGEST: usize = 8;

pub struct Weave {
    asked: Asked,
    background: bool,
    next: u64,
    started: bool,
    growing: Growing,
    /// Whether the search in files was told: once, however many attempts make it, and right before the first word or server, since a
    /// reader may have lost the event that told of it. What it found is in the response at its end.
    searched: bool,
    servers: Servers,
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
        let servers = Servers::of(&asked.shown);
        Self {
            asked,
            background,
            next: 0,
            started: false,
            growing: Growing::default(),
            searched: false,
            servers,
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
            "reset" => {
                self.servers.reset(event);
                self.growing.reset();
            }
            _ if self.servers.held && !event.is_final() => {}
            "token" => self.token(event.data["delta"].as_str().unwrap_or_default(), &mut all),
            "mcp_list_tools" => self.list(&event.data, &mut all),
            "tool_call" if event.data["mcp"].is_object() => self.begun(&event.data["mcp"], &mut all),
            "tool_result" if event.data["mcp"].is_object() => self.ended(&event.data["mcp"], &mut all),
            "done" => {
                if event.data["file_search"].is_object() {
                    self.search(&mut all);
                } else {
                    // It ended before anything was searched.
                    self.searched = true;
                }
                let said = Said(event.data.clone());
                if self.servers.are_named {
                    self.replay(&said, &mut all);
                } else if self.growing.end().is_err() {
                    self.anew(&mut all);
                }
                self.end(&said, &mut all);
            }
            "error" => {
                self.close("incomplete", &[], &mut all);
                self.drop_calls(0, &mut all);
                all.push(self.whole("response.failed", &State::Failed(&event.data)));
            }
            _ => {}
        }
        self.servers.note(event);
        all
    }

    fn token(&mut self, delta: &str, all: &mut Vec<Value>) {
        match self.growing.token(delta) {
            Ok(more) if more.is_empty() || !self.servers.is_behind() => self.say(&more, all),
            // It says something else, or says more before a call than it did.
            Ok(_) | Err(_) => self.anew(all),
        }
    }

    fn item_id(&self) -> String {
        items::message_id(self.asked.job, self.messages)
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

    /// Tells of the search in files, if there is one and it was not told yet.
    fn search(&mut self, all: &mut Vec<Value>) {
        let Some(queries) = self.asked.queries.as_ref().filter(|_| !self.searched) else { return };
        self.searched = true;
        let told = json!({"queries": queries, "results": null});
        let (index, item) = (self.index, file_search::item(self.asked.job, &told));
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
        self.search(all);
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
        self.drop_other_calls(all);
        let text: String = self.growing.anew().chars().skip(self.servers.since()).collect();
        self.say(&text, all);
    }

    fn end(&mut self, said: &Said, all: &mut Vec<Value>) {
        let at = said.0["created_at"].as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let ended = self.asked.object(&State::Said(said), Some(at.map_or_else(clock::now, |at| at.to_utc())));
        let status = if ended["status"] == "completed" { "completed" } else { "incomplete" };
        let calls = said.0["calls"].as_array().cloned().unwrap_or_default();
        if calls.is_empty() && mcp::asked(said).is_empty() {
            self.open(all); // an answer without a word is a message all the same
        }
        self.close(status, &file_search::citations(said), all);
        for (at, call) in calls.iter().enumerate() {
            self.call(at, call, status, all);
        }
        self.ask(said, all);
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
mod tests;
