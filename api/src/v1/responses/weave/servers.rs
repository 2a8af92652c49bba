//! What MCP servers have, and what they were asked, as a response's events.
//!
//! Lists come before the first word. A call ends the text before it: what is said after it is another item. Calls of one
//! round are told one after the other, each whole, however they ran. Another attempt makes them again, or is told what they
//! gave: what is the same is told once, and what differs begins anew, as with text.
//!
//! A reader whose log has a hole cannot know what was called in it: it is told the rest when the answer is there.

use rapport_common::domain::event::{Event, EventId};
use serde_json::{Value, json};

use super::Weave;
use crate::v1::{answer::Said, responses::mcp};

#[derive(Default)]
pub(super) struct Servers {
    /// Whether the request names any.
    pub are_named: bool,
    /// Whether nothing is told before the answer is there.
    pub held: bool,
    attempt: u32,
    /// Lists that were told, and those of this attempt.
    lists: usize,
    listed: usize,
    told: Vec<Told>,
    /// Calls that this attempt has begun, and ended.
    begun: usize,
    ended: usize,
    /// Calls that were told at all.
    numbered: usize,
}

struct Told {
    number: usize,
    call: Value,
    ended: Option<Value>,
    is_shown: bool,
    is_over: bool,
}

impl Servers {
    pub fn of(shown: &Value) -> Self {
        let are_named = shown["tools"].as_array().into_iter().flatten().any(mcp::is_tool);
        Self { are_named, ..Self::default() }
    }

    /// Another attempt, or another provider, begins.
    pub fn reset(&mut self, event: &Event) {
        if event.id == EventId::JOB {
            self.held = self.are_named;
        } else if event.id.attempt > self.attempt {
            self.held = false;
            self.rewind();
        }
    }

    pub fn note(&mut self, event: &Event) {
        // What is made good stands before all attempts, and what is made from the ledger behind them.
        self.attempt = self.attempt.max(event.id.attempt);
    }

    fn rewind(&mut self) {
        (self.listed, self.begun, self.ended) = (0, 0, 0);
    }

    /// Whether calls were told that this attempt has not made.
    pub fn is_behind(&self) -> bool {
        self.begun < self.told.len()
    }

    /// Where the text begins that follows the last call of this attempt, in characters.
    pub fn since(&self) -> usize {
        let last = self.begun.checked_sub(1).and_then(|last| self.told.get(last));
        last.and_then(|told| told.call["at"].as_u64()).unwrap_or(0) as usize
    }
}

impl Weave {
    pub(super) fn list(&mut self, told: &Value, all: &mut Vec<Value>) {
        self.servers.listed += 1;
        if self.servers.listed <= self.servers.lists {
            return;
        }
        self.servers.lists += 1;
        self.search(all);
        let (index, number) = (self.index, self.servers.lists - 1);
        let item = mcp::list_item(self.asked.job, number, told);
        let mut begun = item.clone();
        (begun["tools"], begun["error"]) = (json!([]), Value::Null);
        let outcome = if told["error"].is_null() { "completed" } else { "failed" };
        all.push(self.event("response.output_item.added", json!({"output_index": index, "item": begun})));
        for step in ["in_progress", outcome] {
            let place = json!({"output_index": index, "item_id": item["id"]});
            all.push(self.event(&format!("response.mcp_list_tools.{step}"), place));
        }
        all.push(self.event("response.output_item.done", json!({"output_index": index, "item": item})));
        self.index += 1;
    }

    /// A call begins.
    pub(super) fn begun(&mut self, call: &Value, all: &mut Vec<Value>) {
        let same = self.servers.told.get(self.servers.begun).is_some_and(|told| told.call == *call);
        if !same {
            if self.servers.is_behind() || self.growing.end().is_err() {
                self.anew(all);
            }
            let number = self.servers.numbered;
            self.servers.numbered += 1;
            let call = call.clone();
            self.servers.told.push(Told { number, call, ended: None, is_shown: false, is_over: false });
        }
        self.servers.begun += 1;
        self.advance(all);
    }

    /// The first call of this attempt that had not ended has.
    pub(super) fn ended(&mut self, ended: &Value, all: &mut Vec<Value>) {
        if let Some(told) = self.servers.told.get_mut(self.servers.ended) {
            told.ended.get_or_insert_with(|| ended.clone());
        }
        self.servers.ended += 1;
        self.advance(all);
    }

    /// Tells of calls in their order, as far as they are known.
    fn advance(&mut self, all: &mut Vec<Value>) {
        while let Some(at) = self.servers.told.iter().position(|told| !told.is_over) {
            self.show(at, all);
            let Some(ended) = self.servers.told[at].ended.clone() else { return };
            self.finish(at, &ended, all);
        }
    }

    fn show(&mut self, at: usize, all: &mut Vec<Value>) {
        let Told { number, call, is_shown, .. } = &mut self.servers.told[at];
        if std::mem::replace(is_shown, true) {
            return;
        }
        let mut item = mcp::call_item(self.asked.job, *number, call, &Value::Null);
        let arguments = item["arguments"].take();
        (item["arguments"], item["status"]) = (json!(""), json!("in_progress"));
        self.search(all);
        self.close("completed", &[], all);
        let index = self.index;
        let place = json!({"item_id": item["id"], "output_index": index});
        all.push(self.event("response.output_item.added", json!({"output_index": index, "item": item})));
        all.push(self.event("response.mcp_call.in_progress", place.clone()));
        let delta = Self::with(place.clone(), "delta", arguments.clone());
        all.push(self.event("response.mcp_call_arguments.delta", delta));
        let done = Self::with(place, "arguments", arguments);
        all.push(self.event("response.mcp_call_arguments.done", done));
    }

    fn finish(&mut self, at: usize, ended: &Value, all: &mut Vec<Value>) {
        let Told { number, call, is_over, .. } = &mut self.servers.told[at];
        *is_over = true;
        let item = mcp::call_item(self.asked.job, *number, call, ended);
        let outcome = if item["status"] == "completed" { "completed" } else { "failed" };
        let index = self.index;
        let place = json!({"item_id": item["id"], "output_index": index});
        all.push(self.event(&format!("response.mcp_call.{outcome}"), place));
        all.push(self.event("response.output_item.done", json!({"output_index": index, "item": item})));
        self.index += 1;
    }

    /// Gives up calls that were told and are not this attempt's: what came of them nobody can tell any more.
    pub(super) fn drop_calls(&mut self, kept: usize, all: &mut Vec<Value>) {
        for at in kept..self.servers.told.len() {
            if self.servers.told[at].is_shown && !self.servers.told[at].is_over {
                self.finish(at, &Value::Null, all);
            }
        }
        self.servers.told.truncate(kept);
    }

    pub(super) fn drop_other_calls(&mut self, all: &mut Vec<Value>) {
        self.drop_calls(self.servers.begun, all);
    }

    /// The whole answer, from its beginning: what was told of it is passed over.
    pub(super) fn replay(&mut self, said: &Said, all: &mut Vec<Value>) {
        self.servers.held = false;
        self.servers.rewind();
        self.growing.reset();
        for told in mcp::lists(said) {
            self.list(told, all);
        }
        let (parts, rest) = mcp::parts(said);
        for (before, call) in parts {
            self.token(before, all);
            self.begun(&call["call"], all);
            self.ended(&call["ended"], all);
        }
        self.token(rest, all);
        if self.growing.end().is_err() {
            self.anew(all);
        }
        self.drop_other_calls(all);
    }

    /// What an answer ends with that waits for its client's consent.
    pub(super) fn ask(&mut self, said: &Said, all: &mut Vec<Value>) {
        for item in mcp::asked(said) {
            for step in ["added", "done"] {
                let fields = json!({"output_index": self.index, "item": item});
                all.push(self.event(&format!("response.output_item.{step}"), fields));
            }
            self.index += 1;
        }
    }
}
