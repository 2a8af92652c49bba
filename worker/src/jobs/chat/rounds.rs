//! The rounds of an answer: the model says something or wants tools called; it hears what they said; and so on, at most
//! eight times and for a minute of tools. After that it must answer with what it has.

mod calls;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use rapport_common::{
    Context, Error,
    domain::{ids::ProjectId, job::Job, message::Usage, prompt::AllowedCall},
    jobs::payload::ChatPayload,
    providers::{
        Call, ChatEvent, ChatMessage, ChatRequest, ErrorClass, IMAGES, Options, ProviderError, Said,
        ToolCall, ToolSpec, Try, logprobs::Kept,
    },
    secret::Secret,
    telemetry::{metrics::METRICS, trace::TraceContext},
    tools::Tool,
    usecase::{budget, finish_chat::owner},
};
use serde_json::Value;
use tokio::{sync::SemaphorePermit, time::Instant};

pub(super) use calls::warn_of_tools;

use super::{
    images,
    patience::{Patience, Waited},
    prompt::{Choice, Prompt},
    servers::Record,
    tools::Calls,
};
use crate::{
    answer_log::{AnswerLog, Lost},
    running::{Stop, StopSignal, stopped},
    slot::Slot,
};

const ROUNDS: usize = 8;
/// For all calls of an answer together.
pub const TOOL_TIME: Duration = Duration::from_secs(60);
/// No further try of a provider is begun after so long.
const NO_TRY_AFTER: Duration = Duration::from_secs(120);

/// Why the rounds ended.
pub enum Stopped {
    /// The answer is there.
    Whole,
    By(Stop),
    Broken(ProviderError),
    /// The budget does not allow it.
    Spent(Error),
}

/// What one round gave.
#[derive(Default)]
struct Round {
    calls: Vec<ToolCall>,
    finish: Option<&'static str>,
}

pub struct Rounds<'a> {
    ctx: &'a Context,
    job: &'a Job,
    payload: &'a ChatPayload,
    tools: Vec<Arc<dyn Tool>>,
    /// The client's own functions, and what else it says of the answer.
    theirs: Vec<ToolSpec>,
    /// Calls that the client has allowed: they come before all else.
    allowed: Vec<AllowedCall>,
    /// What the MCP servers that it names were asked.
    pub record: Record,
    options: Options,
    inside: bool,
    choice: Choice,
    pub project: Option<ProjectId>,
    own_keys: Vec<(String, Secret)>,
    has_budget: bool,
    messages: Arc<Vec<ChatMessage>>,
    /// What their images have of this process' memory, as long as there are some.
    room: Option<SemaphorePermit<'static>>,
    signal: StopSignal,
    slot: &'a Slot,
    patience: Patience<'a>,
    pub provider: String,
    pub model: String,
    /// Of the rounds that were answered, and of the one that its user stopped.
    pub usage: Usage,
    /// Calls that were made and are no part of the answer.
    pub in_vain: Vec<Call>,
    pub finish_reason: &'static str,
    /// For the reply: name, arguments, whether it worked, milliseconds.
    pub called: Vec<Value>,
    /// How likely each token of the answer was, if its client wants to know.
    pub logprobs: Kept,
    /// Calls of the client's functions: making them is up to it, and the answer ends with them.
    pub handed: Vec<ToolCall>,
    pub tries: Vec<Try>,
}

impl<'a> Rounds<'a> {
    pub fn new(
        ctx: &'a Context,
        job: &'a Job,
        payload: &'a ChatPayload,
        (prompt, record): (Prompt, Record),
        signal: StopSignal,
        slot: &'a Slot,
    ) -> Self {
        let Prompt {
            messages,
            room,
            tools,
            theirs,
            servers,
            options,
            inside,
            choice,
            project,
            own_keys,
            has_budget,
            ..
        } = prompt;
        Self {
            ctx,
            job,
            payload,
            tools,
            theirs,
            allowed: servers.allowed,
            record,
            options,
            inside,
            messages: Arc::new(messages),
            room,
            signal,
            slot,
            patience: Patience::new(ctx),
            provider: choice.provider.clone(),
            model: choice.model.clone().unwrap_or_default(),
            choice,
            project,
            own_keys,
            has_budget,
            usage: Usage::default(),
            in_vain: Vec::new(),
            finish_reason: "stop",
            called: Vec::new(),
            logprobs: Kept::default(),
            handed: Vec::new(),
            tries: Vec::new(),
        }
    }

    pub async fn run(&mut self, log: &mut AnswerLog<'_>) -> Result<Stopped, Lost> {
        let mut calls = Calls::new(self.ctx, self.job, self.payload.message_id, self.inside);
        let own = self.tools.iter().map(|tool| tool.spec().clone());
        let specs: Vec<ToolSpec> = own.chain(self.theirs.iter().cloned()).collect();
        // What is not paid for changes nothing either.
        if self.has_budget
            && !self.allowed.is_empty()
            && let Err(error) = self.hold_budget(&self.request(specs.clone())).await
        {
            return Ok(Stopped::Spent(error));
        }
        if let Err(stop) = self.call_allowed(log, &mut calls).await? {
            return Ok(Stopped::By(stop));
        }
        for round in 0..=ROUNDS {
            let may_call = round < ROUNDS && calls.time_left() > Duration::ZERO;
            let begins = log.text.len();
            let said = match self.one_round(log, if may_call { &specs } else { &[] }).await? {
                Ok(said) => said,
                Err(stopped) => return Ok(stopped),
            };
            let text = log.text[begins..].to_owned();
            self.finish_reason = said.finish.unwrap_or("stop");
            let own = self.own_calls(said.calls);
            // A model that calls what it was not offered has its say ended here.
            if own.is_empty() || !may_call {
                return Ok(Stopped::Whole);
            }
            if let Err(stop) = self.call(log, &mut calls, own, Some(text)).await? {
                return Ok(Stopped::By(stop));
            }
            if !self.handed.is_empty() || self.record.has_asked() {
                return Ok(Stopped::Whole);
            }
        }
        Ok(Stopped::Whole)
    }

    fn request(&self, tools: Vec<ToolSpec>) -> ChatRequest {
        let trace = self.job.trace.as_deref().and_then(TraceContext::parse);
        ChatRequest {
            model: self.choice.model.clone(),
            messages: Arc::clone(&self.messages),
            tools,
            temperature: self.choice.temperature,
            max_tokens: self.choice.max_tokens,
            options: self.options.clone(),
            needs_tools: !self.theirs.is_empty() || self.tools.iter().any(|tool| tool.on_server().is_some()),
            own_keys: self.own_keys.clone(),
            stream: true,
            trace: trace.map(|trace| trace.child().to_string()),
            // Who called the tools hears what they said.
            prefer: (!self.called.is_empty()).then(|| self.provider.clone()),
            fallback: self.choice.fallback,
            within: Some(NO_TRY_AFTER),
            ..ChatRequest::default()
        }
    }

    /// Asks, and once more without the images of earlier turns if it is them that cannot be shown.
    async fn one_round(
        &mut self,
        log: &mut AnswerLog<'_>,
        tools: &[ToolSpec],
    ) -> Result<Result<Round, Stopped>, Lost> {
        loop {
            let request = self.request(tools.to_vec());
            if self.has_budget
                && let Err(error) = self.hold_budget(&request).await
            {
                return Ok(Err(Stopped::Spent(error)));
            }
            let begins = log.text.len();
            let meter = request.meter.clone();
            let said = self.one_patiently(log, request).await;
            self.add_usage(meter.take(), &said);
            match said? {
                Err(Stopped::Broken(error)) if log.text.len() == begins && self.look_away(&error) => {}
                said => return Ok(said),
            }
        }
    }

    /// A conversation that had images before goes on without them when nobody sees them, or when a provider does not take what may
    /// be them: the model is told. Else one image would end it for good.
    fn look_away(&mut self, error: &ProviderError) -> bool {
        let sentence = match error.class {
            _ if error.field.as_deref() == Some(IMAGES) => images::UNSEEN,
            ErrorClass::BadRequest | ErrorClass::Refused => images::REJECTED,
            // Who sees does not let us in: another may answer who does not.
            ErrorClass::Auth => images::UNSEEN,
            _ => return false,
        };
        let changed = self.job.session_id.is_some()
            && images::leave_out(Arc::<Vec<_>>::make_mut(&mut self.messages), sentence);
        if changed {
            self.room = None;
        }
        changed
    }

    async fn hold_budget(&self, request: &ChatRequest) -> Result<(), Error> {
        let user = owner(self.job)?;
        let in_vain: i64 = self.in_vain.iter().map(|call| call.usage().total_tokens).sum();
        let used = self.usage.total_tokens + in_vain;
        let model = if self.model.is_empty() {
            self.ctx.providers.likely_model(&self.choice.provider, request).unwrap_or_default()
        } else {
            self.model.clone()
        };
        let images = request.images() * self.ctx.providers.models.more_for_an_image(&model);
        let prompt = (request.prompt_tokens() + images) as i64;
        let call = budget::Call {
            user,
            project: self.project,
            api_key: self.payload.api_key.as_deref(),
            prompt: used + prompt,
            model: &model,
            max_tokens: self.choice.max_tokens,
        };
        budget::hold(self.ctx, self.job, call).await
    }

    /// The last call is the answer, unless it failed or nobody keeps what it said.
    fn add_usage(&mut self, mut calls: Vec<Call>, said: &Result<Result<Round, Stopped>, Lost>) {
        let kept = matches!(said, Ok(Ok(_) | Err(Stopped::By(Stop::Cancelled))));
        if let Some(answer) = calls.pop_if(|call| kept && !call.failed) {
            let (so_far, usage) = (self.usage, answer.usage());
            self.usage = Usage::new(
                so_far.prompt_tokens + usage.prompt_tokens,
                so_far.completion_tokens + usage.completion_tokens,
            );
            (self.provider, self.model) = (answer.provider, answer.model);
        }
        self.in_vain.extend(calls);
    }

    /// Asks, and while everybody is away waits and asks again.
    async fn one_patiently(
        &mut self,
        log: &mut AnswerLog<'_>,
        request: ChatRequest,
    ) -> Result<Result<Round, Stopped>, Lost> {
        // The last that came of asking: that nobody was asked says less.
        let mut told: Option<ProviderError> = None;
        loop {
            let error = match self.one(log, request.clone()).await? {
                Err(Stopped::Broken(error)) if error.away => error,
                other => {
                    self.patience.renew();
                    return Ok(other);
                }
            };
            if error.class != ErrorClass::Unavailable || told.is_none() {
                told = Some(error.clone());
            }
            let asked = (self.choice.provider.as_str(), &request);
            let waited = self.patience.wait(log, asked, &error, &mut self.signal, self.slot);
            match waited.await? {
                Waited::AskAgain => {}
                Waited::Stopped(stop) => return Ok(Err(Stopped::By(stop))),
                Waited::InVain => return Ok(Err(Stopped::Broken(told.unwrap_or(error)))),
            }
        }
    }

    /// Asks once, through whoever answers; what is said goes into the log.
    async fn one(
        &mut self,
        log: &mut AnswerLog<'_>,
        request: ChatRequest,
    ) -> Result<Result<Round, Stopped>, Lost> {
        let begins = log.text.len();
        let (told, wanted) = (self.logprobs.all.len(), request.options.logprobs == Some(true));
        let started = Instant::now();
        let mut said = self.ctx.providers.ask(&self.choice.provider, request);
        let mut round = Round::default();
        let mut silent = true;
        loop {
            let due = log.due();
            let flush_time = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let next = tokio::select! {
                biased;
                stop = stopped(&mut self.signal) => return Ok(Err(Stopped::By(stop))),
                next = said.next() => next,
                () = flush_time => {
                    log.flush().await?;
                    continue;
                }
            };
            match next {
                Some(Ok(Said::Started { provider, model })) => {
                    (self.provider, self.model) = (provider, model)
                }
                Some(Ok(Said::Event(ChatEvent::Delta(text)))) => {
                    if std::mem::take(&mut silent) {
                        let seconds = started.elapsed().as_secs_f64();
                        METRICS
                            .first_token_seconds
                            .with_label_values(&[self.provider.as_str()])
                            .observe(seconds);
                    }
                    log.push(&text).await?;
                }
                Some(Ok(Said::Event(ChatEvent::Logprobs(more)))) => {
                    self.logprobs.add(more.into_iter().filter(|_| wanted));
                }
                Some(Ok(Said::Event(ChatEvent::ToolCall(call)))) => round.calls.push(call),
                // Counted by the request's meter.
                Some(Ok(Said::Event(ChatEvent::Usage(_)))) => {}
                Some(Ok(Said::Event(ChatEvent::Finish(reason)))) => round.finish = Some(reason),
                // Who waits looks often: only the first of these tells something.
                Some(Ok(Said::Failed(failed))) => {
                    if failed.asked || !self.patience.is_tried() {
                        self.tries.push(failed);
                    }
                }
                Some(Ok(Said::Restart(class))) => {
                    log.restart(class.as_str(), begins).await?;
                    self.logprobs.truncate(told);
                    round = Round::default();
                }
                Some(Err(error)) => return Ok(Err(Stopped::Broken(error))),
                // The stream is dropped here: a stopped answer's connection closes now.
                None => return Ok(Ok(round)),
            }
        }
    }
}
