//! What the calls of one request used, however they ended: one that failed, broke off or was given up was made all the
//! same.
//!
//! A call counts from when its request is handed to the provider: there is a connection, and the request is written to it.
//! An address where nobody listens, a name that nobody knows, an open breaker and resting keys cost nothing. A call that
//! was handed over counts its prompt and what came of an answer, as the provider says, else as we estimate.

use std::sync::{Arc, Mutex, PoisonError};

use super::ChatEvent;
use crate::{chat::tokens::Count, domain::message::Usage};

/// One call of a provider.
#[derive(Debug, Clone)]
pub struct Call {
    pub provider: String,
    pub model: String,
    /// It ended without a whole answer.
    pub failed: bool,
    handed: bool,
    prompt: usize,
    came: Count,
    said: Option<Usage>,
}

impl Call {
    pub fn usage(&self) -> Usage {
        self.said.unwrap_or_else(|| Usage::new(self.prompt as i64, self.came.tokens() as i64))
    }
}

/// Shared by who asks, the router and the adapter: who asks may give up at any moment, and must still know.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Vec<Call>>>);

impl Meter {
    fn last<T>(&self, act: impl FnOnce(&mut Call) -> T) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last_mut().map(act)
    }

    /// A call is about to be made, with a prompt of so many tokens.
    pub(super) fn begin(&self, provider: &str, model: &str, prompt: usize) {
        let call = Call {
            provider: provider.to_owned(),
            model: model.to_owned(),
            failed: false,
            handed: false,
            prompt,
            came: Count::default(),
            said: None,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    /// The request is on its way to the provider.
    pub(super) fn hand_over(&self) {
        let _counted = self.last(|call| call.handed = true);
    }

    pub(super) fn was_handed_over(&self) -> bool {
        self.last(|call| call.handed).unwrap_or(false)
    }

    pub(super) fn hear(&self, event: &ChatEvent) {
        let _heard = self.last(|call| match event {
            ChatEvent::Delta(text) => call.came.add(text),
            ChatEvent::Logprobs(_) => {}
            ChatEvent::Usage(usage) => call.said = Some(*usage),
            ChatEvent::ToolCall(_) | ChatEvent::Finish(_) => {}
        });
    }

    pub(super) fn fail(&self) {
        let _failed = self.last(|call| call.failed = true);
    }

    /// The calls that were handed over, in order; they are not given again.
    pub fn take(&self) -> Vec<Call> {
        let mut calls = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        calls.retain(|call| call.handed);
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_handed_over_counts() {
        let meter = Meter::default();
        meter.begin("a", "m", 100);
        meter.fail();
        meter.begin("b", "m", 100);
        meter.hand_over();
        meter.hear(&ChatEvent::Delta("eight ch".to_owned()));
        meter.fail();
        meter.begin("c", "m", 100);
        meter.hand_over();
        meter.hear(&ChatEvent::Delta("more".to_owned()));
        meter.hear(&ChatEvent::Usage(Usage::new(90, 7)));
        let calls: Vec<_> =
            meter.take().into_iter().map(|call| (call.provider.clone(), call.failed, call.usage())).collect();
        let expected =
            [("b".to_owned(), true, Usage::new(100, 2)), ("c".to_owned(), false, Usage::new(90, 7))];
        assert_eq!(calls, expected);
        assert!(meter.take().is_empty());
    }
}
