//! The mock provider: deterministic, offline, streaming word by word, with faults on demand.
//!
//! It runs in process (`provider: mock`), and its [`plan`] also drives `rapport mock-provider`, which serves it over
//! HTTP in OpenAI's form.

mod directives;
mod eyes;
mod memory;
pub mod plan;
mod shape;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_stream::try_stream;
use async_trait::async_trait;

use super::{ChatEvent, ChatRequest, ErrorClass, Opened, Provider, ProviderError, RateHeaders};
use crate::{
    domain::message::Usage,
    telemetry::trace::TraceContext,
    wanted::{Choice, Wanted},
};
use plan::{Plan, plan};

pub struct Mock {
    delay: Duration,
    calls: Calls,
}

impl Mock {
    pub fn new(delay: Duration) -> Self {
        Self { delay, calls: Calls::default() }
    }
}

pub const NAME: &str = "mock";

/// Whether the mock answers under this name: never under that of another's model.
pub fn has_model(name: &str) -> bool {
    name == "mock" || name.starts_with("mock-")
}

/// Counts calls that belong together, for `/fail CODE xN`.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<HashMap<u128, u32>>>);

impl Calls {
    /// How many calls of the same trace came before this one.
    pub fn before(&self, trace: Option<&str>) -> u32 {
        let Some(trace) = trace.and_then(TraceContext::parse) else { return 0 };
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() > 100_000 {
            calls.clear();
        }
        let count = calls.entry(trace.trace_id).or_default();
        *count += 1;
        *count - 1
    }
}

#[async_trait]
impl Provider for Mock {
    fn name(&self) -> &str {
        NAME
    }

    fn default_model(&self) -> &str {
        "mock-1"
    }

    fn is_inside(&self) -> bool {
        true
    }

    fn keys(&self) -> usize {
        1
    }

    fn can_break(&self) -> bool {
        false
    }

    async fn chat(&self, request: &ChatRequest, _: usize) -> Result<Opened, ProviderError> {
        let model = request.model.as_deref().unwrap_or("mock-1");
        if !has_model(model) {
            let detail = format!("there is no model {model:?}: the mock has mock-1");
            return Err(ProviderError::new(NAME, ErrorClass::BadRequest, detail));
        }
        let wanted = Wanted { provider: NAME, request };
        shape::check(wanted)?;
        request.meter.hand_over();
        let tools = if wanted.choice()? == Some(Choice::None) { &[][..] } else { &request.tools };
        let planned = shape::shape(wanted, plan(&request.messages, tools, model))?;
        let Plan { words, delay, fail, calls } = planned;
        if let Some(fail) = fail
            && fail.times.is_none_or(|times| self.calls.before(request.trace.as_deref()) < times)
        {
            let class = ErrorClass::of_status(fail.status);
            return Err(ProviderError::new(NAME, class, format!("/fail {}", fail.status)));
        }
        let delay = delay.unwrap_or(self.delay);
        let limit = request.max_tokens.map_or(usize::MAX, |max| max as usize);
        let prompt_tokens = request.prompt_tokens();
        let (wants_logprobs, others) = (request.options.logprobs == Some(true), request.options.top_logprobs);
        let events = Box::pin(try_stream! {
            let finish = match (calls.is_empty(), words.len() > limit) {
                (false, _) => "tool_calls",
                (true, true) => "length",
                (true, false) => "stop",
            };
            let mut said = 0;
            for word in words.into_iter().take(limit) {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                let likely = wants_logprobs.then(|| plan::logprobs(&word, said, others.unwrap_or(0)));
                said += 1;
                yield ChatEvent::Delta(word);
                if let Some(likely) = likely {
                    yield ChatEvent::Logprobs(vec![likely]);
                }
            }
            for call in calls {
                yield ChatEvent::ToolCall(call);
            }
            yield ChatEvent::Usage(Usage::new(prompt_tokens as i64, said));
            yield ChatEvent::Finish(finish);
        });
        Ok(Opened { events, limits: RateHeaders::default() })
    }
}
