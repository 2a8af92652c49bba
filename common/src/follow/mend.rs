//! Making good what a reader missed, so that what a client has put together (with every `reset` obeyed) equals `done.reply`.
//!
//! Two rules do it. An event is given only when it directly follows the last one given. And before a `done`, what the client
//! has is compared with what the answer says: if it differs, or nobody can know, the client gets a `reset` and the whole
//! answer first.

use std::time::Duration;

use serde_json::json;

use crate::{
    Context,
    domain::{
        event::{Event, EventId},
        ids::JobId,
    },
    last_event::{FALLBACK, is_fallback},
    store,
    telemetry::metrics::METRICS,
};

/// What was given to a client so far.
pub struct Given {
    /// The last event.
    pub last: EventId,
    /// The text the client has put together; `None` when it came back in the middle of an answer.
    text: Option<String>,
}

impl Given {
    /// To a client that has seen everything up to `after`.
    pub fn up_to(after: EventId) -> Self {
        let last = after.max(EventId::JOB);
        Self { last, text: (last == EventId::JOB).then(String::new) }
    }

    /// Notes what is given.
    pub fn note(&mut self, event: &Event) {
        self.last = self.last.max(event.id);
        match event.name.as_str() {
            "reset" => self.text = Some(String::new()),
            "token" => {
                if let Some(text) = &mut self.text {
                    text.push_str(event.data["delta"].as_str().unwrap_or_default());
                }
            }
            _ => {}
        }
    }

    /// A final event, and before it what must be given so that the client has its text.
    pub fn ending(&self, event: Event) -> Vec<Event> {
        let mut all = self.before_final(&event);
        all.push(event);
        all
    }

    fn before_final(&self, event: &Event) -> Vec<Event> {
        // Handed back by a worker that stopped, and cancelled before another took it up: what was said does not count.
        let kept_nothing = || (event.data["finish_reason"] == "cancelled").then_some("");
        let reply = event.data["reply"].as_str().or_else(kept_nothing);
        let (Some(reply), true) = (reply, event.name == "done") else { return Vec::new() };
        let has_it = match &self.text {
            Some(text) => text == reply,
            // It has seen what came before, and nothing is missing since.
            None => event.id.follows(self.last) && !is_fallback(&event.data),
        };
        if has_it {
            return Vec::new();
        }
        METRICS.events.with_label_values(&["made_good"]).inc();
        let reason = if is_fallback(&event.data) { FALLBACK } else { "events_lost" };
        whole(EventId::new(event.id.attempt, event.id.n.saturating_sub(1)).max(self.last), reply, reason)
    }
}

/// A `reset` and a text. The `reset` has the number of the stream's beginning: a client that is cut off right after it has no
/// text, and asks for all from there.
fn whole(id: EventId, text: &str, reason: &str) -> Vec<Event> {
    // Without words the token still says how far the client is.
    vec![
        Event::new(EventId::JOB, "reset", json!({"reason": reason})),
        Event::new(id, "token", json!({"delta": text, "index": id.n})),
    ]
}

/// What becomes of an event that does not follow the last one given.
pub enum Mended {
    /// These come first.
    By(Vec<Event>),
    /// It is of no use: a later attempt begins anew, or the end brings the whole text.
    Skipped,
}

/// Closes the hole before `first` from the ledger's checkpoint. Waits for one that reaches `first`.
pub async fn fill_hole(ctx: &Context, job: JobId, first: EventId) -> Mended {
    METRICS.events.with_label_values(&["lost"]).inc();
    loop {
        let read = async { store::jobs::partial(&mut ctx.db.read().await?, job).await };
        match read.await {
            Ok(Some(partial)) if !partial.status.is_final() && partial.attempt == first.attempt => {
                if partial.partial_n + 1 >= first.n {
                    let id = EventId::new(partial.attempt, partial.partial_n);
                    return Mended::By(whole(id, &partial.partial, "events_lost"));
                }
            }
            // Deleted, ended, or in another attempt.
            Ok(_) => return Mended::Skipped,
            Err(error) => tracing::debug!(%error, "a hole cannot be filled yet"),
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(n: u32, text: &str) -> Event {
        Event::new(EventId::new(1, n), "token", json!({"delta": text}))
    }

    fn done(n: u32, reply: &str) -> Event {
        Event::new(EventId::new(1, n), "done", json!({"reply": reply}))
    }

    /// What a client that obeys every `reset` has.
    fn put_together(before: &str, events: &[Event]) -> String {
        let mut text = before.to_owned();
        for event in events {
            match event.name.as_str() {
                "reset" => text.clear(),
                "token" => text.push_str(event.data["delta"].as_str().unwrap()),
                _ => {}
            }
        }
        text
    }

    proptest! {
        #[test]
        fn whatever_is_lost_the_client_has_the_reply(words in prop::collection::vec("[a-z]{1,3}", 0..8),
            lost in prop::collection::vec(any::<bool>(), 8), seen in 0usize..9) {
            let reply = words.concat();
            let seen = seen.min(words.len());
            // The client has seen the first few; of the rest, some are lost.
            let mut given = Given::up_to(if seen == 0 { EventId::START } else { EventId::new(1, seen as u32) });
            let mut stream = Vec::new();
            for (at, word) in words.iter().enumerate().skip(seen) {
                let event = token(at as u32 + 1, word);
                if !lost[at] && event.id.follows(given.last) {
                    given.note(&event);
                    stream.push(event);
                }
            }
            let end = done(words.len() as u32 + 1, &reply);
            for made in given.before_final(&end) {
                prop_assert!(made.id < end.id);
                given.note(&made);
                stream.push(made);
            }
            prop_assert_eq!(put_together(&words[..seen].concat(), &stream), reply);
        }
    }

    #[test]
    fn words_that_were_given_and_not_kept_are_taken_back() {
        let cancelled = Event::new(EventId::last_of(2), "done", json!({"finish_reason": "cancelled"}));
        let mut given = Given::up_to(EventId::START);
        assert!(given.before_final(&cancelled).is_empty(), "nothing was said");
        given.note(&token(1, "a"));
        let made = given.before_final(&cancelled);
        assert_eq!(made[0].name, "reset");
        assert_eq!(put_together("a", &made), "");
        let back = Given::up_to(EventId::new(1, 2));
        assert_eq!(put_together("ab", &back.before_final(&cancelled)), "");
    }

    #[test]
    fn nothing_is_made_good_where_nothing_is_missing() {
        let mut given = Given::up_to(EventId::START);
        given.note(&token(1, "a"));
        given.note(&token(2, "b"));
        assert!(given.before_final(&done(3, "ab")).is_empty());
        assert!(given.before_final(&done(u32::MAX, "ab")).is_empty(), "made from the ledger");
        assert!(!given.before_final(&done(3, "abc")).is_empty());
        let back = Given::up_to(EventId::new(1, 2));
        assert!(back.before_final(&done(3, "ab")).is_empty());
        assert!(!back.before_final(&done(u32::MAX, "ab")).is_empty(), "nobody knows what was missed");
    }
}
