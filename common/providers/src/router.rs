//! Which provider and key is asked, and what follows when it fails.
//!
//! A named provider is asked with each of its keys. `auto`, or a request that allows a fallback, goes on to the next of
//! the configured order. What decides is
//! the error's class alone: a used-up or refused key goes to the next key, an outage is tried again once or twice after
//! a short pause with jitter (no longer than two seconds, and no pause when somebody else can answer), a wrong request
//! is not repeated anywhere. When a provider fails after its first words, [`Said::Restart`] says that they do not count.
//!
//! The last error says whether everybody who could have answered is away ([`ProviderError::away`]): then it was not this
//! request that failed, and whoever asked may wait. Keys that rest or are refused make nobody present.

use std::time::Duration;

use async_stream::stream;
use futures::{Stream, StreamExt, stream::BoxStream};
use rand::Rng;
use serde::Serialize;
use tokio::time::Instant;
use tokio_retry::strategy::ExponentialBackoff;

use super::{
    ChatEvent, ChatRequest, ErrorClass, IMAGES, Opened, Provider, ProviderError, Providers,
    failures::Failures,
};
use crate::telemetry::metrics::METRICS;

/// How often opening an answer is tried again with one provider. The ledger's attempts come on top.
const RETRIES: usize = 2;
/// A provider that asks for a longer rest gets it from the ledger, not from a waiting worker.
const LONGEST_REST: Duration = Duration::from_secs(2);
/// How often an answer is asked for anew because nothing is heard for far longer than usual. After that it is waited for.
const SILENCES: u32 = 3;
/// A key whose rate is used up rests so long when the provider does not say.
const KEY_REST: Duration = Duration::from_secs(10);
/// A key that is not accepted is tried again after so long.
const BAD_KEY_REST: Duration = Duration::from_secs(60);

/// One try that failed: for the job, the metrics and whoever operates this.
#[derive(Debug, Clone, Serialize)]
pub struct Try {
    pub provider: String,
    pub model: String,
    /// Which of its keys, from 0.
    pub key: usize,
    /// The error's class.
    pub error: &'static str,
    /// Whether it had already said something.
    pub in_answer: bool,
    /// Milliseconds.
    pub ms: u64,
    /// Milliseconds that the provider asked us to wait.
    pub retry_after_ms: Option<u64>,
    /// Whether it was asked at all: not while its breaker is open or its keys rest.
    #[serde(skip)]
    pub asked: bool,
}

/// What comes of asking, in order.
#[derive(Debug)]
pub enum Said {
    /// A provider answers: its name, the model, whether it is inside the deployment.
    Started {
        provider: String,
        model: String,
    },
    Event(ChatEvent),
    Failed(Try),
    /// What was said since `Started` does not count: another provider begins anew.
    Restart(ErrorClass),
}

pub fn new_call_id() -> String {
    format!("call_{}", uuid::Uuid::now_v7().simple())
}

/// Pauses that double, each with full jitter.
fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBackoff::from_millis(2)
        .factor(100)
        .max_delay(Duration::from_secs(1))
        .take(RETRIES)
        .map(|cap| Duration::from_millis(rand::rng().random_range(20..=cap.as_millis().max(21) as u64)))
}

/// Whether the model that was named is meant for a candidate: for the first, if that was named too or nobody was.
pub(super) fn is_meant(choice: &str, place: usize, provider: &str) -> bool {
    place == 0 && (choice == "auto" || choice == provider)
}

/// `None`: not ready within `silence`.
async fn unless_silent<T>(silence: Option<Duration>, ready: impl Future<Output = T>) -> Option<T> {
    match silence {
        Some(silence) => tokio::time::timeout(silence, ready).await.ok(),
        None => Some(ready.await),
    }
}

fn silent(provider: &str) -> ProviderError {
    ProviderError::new(provider, ErrorClass::Timeout, "silent for far longer than usual")
}

/// What to do after a failed try.
enum Then {
    SameKey(Duration),
    NextKey,
    NextProvider,
    GiveUp,
}

/// How a try failed, and what stands behind it.
struct Fault<'a> {
    error: &'a ProviderError,
    /// Whether a part of the answer was said.
    said: bool,
    /// Whether the key was the caller's own.
    own: bool,
    key: usize,
    /// Whether another provider can be asked.
    others: bool,
}

impl Providers {
    /// Asks `choice` (a provider's name, or `auto`). Dropping the stream closes the provider's connection. It ends with
    /// the answer's last event, or with the error of the last try.
    pub fn ask(&self, choice: &str, request: ChatRequest) -> BoxStream<'static, Result<Said, ProviderError>> {
        let candidates = self.candidates(choice, &request);
        Box::pin(self.clone().route(candidates, choice.to_owned(), request))
    }

    #[expect(
        clippy::too_many_lines,
        reason = "a stream says what it yields from one body, in the order of the tries"
    )]
    fn route(
        self,
        candidates: Vec<std::sync::Arc<dyn Provider>>,
        choice: String,
        mut request: ChatRequest,
    ) -> impl Stream<Item = Result<Said, ProviderError>> + Send + 'static {
        stream! {
            let deadline = request.within.map(|within| Instant::now() + within);
            let late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            let images = request.images();
            // Whom it is no use to ask: somebody else is not alone because of them, nor is what fails there lasting.
            let sees = match images {
                0 => vec![true; candidates.len()],
                _ => self.seeing(&choice, request.model.as_deref(), &candidates),
            };
            let asked_model = request.model.take();
            let tokens = request.prompt_tokens();
            let mut failures = Failures::default();
            let count = candidates.len();
            for place in 0..count {
                let provider = std::sync::Arc::clone(&candidates[place]);
                let name = provider.name().to_owned();
                // The model that was named is asked for where it was meant; others answer with their own.
                request.model = asked_model.clone().filter(|_| is_meant(&choice, place, &name));
                let model = request.model.clone().unwrap_or_else(|| provider.default_model().to_owned());
                let estimate = tokens + images * self.models.more_for_an_image(&model);
                let tried = |key: usize, error: &ProviderError, in_answer: bool, started: Option<Instant>| {
                    let class = error.class.as_str();
                    METRICS.provider_errors.with_label_values(&[name.as_str(), class]).inc();
                    if started.is_some() {
                        tracing::info!(provider = %name, model = %model, key, in_answer, %error, "a provider failed");
                    } else {
                        tracing::debug!(provider = %name, %error, "a provider was not asked");
                    }
                    Said::Failed(Try {
                        provider: name.clone(),
                        model: model.clone(),
                        key,
                        error: class,
                        in_answer,
                        ms: started.map_or(0, |started| started.elapsed().as_millis() as u64),
                        retry_after_ms: error.retry_after.map(|wait| wait.as_millis() as u64),
                        asked: started.is_some(),
                    })
                };
                if place > 0 && late() {
                    break;
                }
                if !sees[place] {
                    let error = ProviderError::unsupported(&name, IMAGES);
                    yield Ok(tried(0, &error, false, None));
                    failures.note(error);
                    continue;
                }
                // Who came before has failed just now; whether somebody comes after decides how soon this one is tried again.
                let mut next = candidates[place + 1..].iter().zip(&sees[place + 1..]);
                let others = sees[place + 1..].contains(&true);
                let alone =
                    !next.any(|(next, sees)| *sees && self.health.can_be_asked(next.name(), next.keys()));
                let pass = match self.health.admit(&name, alone).await {
                    Ok(pass) => pass,
                    Err(wait) => {
                        let mut error = ProviderError::new(&name, ErrorClass::Unavailable, "its breaker is open");
                        error.retry_after = Some(wait.min(Duration::from_secs(5)));
                        error.away = true;
                        yield Ok(tried(0, &error, false, None));
                        failures.note(error);
                        continue;
                    }
                };
                // The caller's own key is one, and no concern of our counting.
                let own = request.own_key(&name).is_some();
                let keys = if own { Ok(vec![0]) } else { self.health.keys(&name, provider.keys(), estimate) };
                let keys = match keys {
                    Ok(keys) => keys,
                    Err(wait) => {
                        let mut error = ProviderError::new(&name, ErrorClass::RateLimited, "every key rests");
                        error.retry_after = Some(wait);
                        yield Ok(tried(0, &error, false, None));
                        failures.note(error);
                        continue;
                    }
                };
                let mut keys = keys.into_iter();
                let mut key = keys.next().unwrap_or_default();
                let mut pauses = pauses();
                let mut failed;
                let mut silences = 0;
                loop {
                    let started = Instant::now();
                    if !own {
                        self.health.spend(&name, key, estimate);
                    }
                    let mut said = false;
                    request.meter.begin(&name, &model, estimate);
                    let listens = request.stream && silences < SILENCES;
                    let mut lost = false;
                    // How long images are on their way is the line's: it says nothing of the model.
                    let silence = self.usual.silence(&name, &model).filter(|_| listens && images == 0);
                    let opened = unless_silent(silence, provider.chat(&request, key)).await.unwrap_or_else(|| {
                        lost = true;
                        Err(silent(&name))
                    });
                    let mut error = match opened {
                        Err(error) => error,
                        Ok(Opened { mut events, limits }) => {
                            if request.stream && images == 0 {
                                self.usual.began(&name, &model, started.elapsed());
                            }
                            if !own {
                                self.health.note(&name, key, limits);
                            }
                            let mut error = None;
                            let mut begun = false;
                            let mut finished = false;
                            let silence = self.usual.pause(&name, &model).filter(|_| listens);
                            let (mut heard, mut longest) = (Instant::now(), Duration::ZERO);
                            loop {
                                let Some(event) = unless_silent(silence, events.next()).await else {
                                    lost = true;
                                    error = Some(silent(&name));
                                    break;
                                };
                                let Some(event) = event else { break };
                                longest = longest.max(heard.elapsed());
                                match event {
                                    Ok(ChatEvent::Finish("content_filter")) if !said => {
                                        error = Some(ProviderError::new(&name, ErrorClass::Refused, "filtered"));
                                        break;
                                    }
                                    Ok(event) => {
                                        request.meter.hear(&event);
                                        if !std::mem::replace(&mut begun, true) {
                                            if provider.can_break() {
                                                self.health.began(&name);
                                            }
                                            yield Ok(Said::Started { provider: name.clone(), model: model.clone() });
                                        }
                                        said |= matches!(event, ChatEvent::Delta(_) | ChatEvent::ToolCall(_));
                                        finished |= matches!(event, ChatEvent::Finish(_));
                                        yield Ok(Said::Event(event));
                                        heard = Instant::now(); // what the listener took is not the model's
                                    }
                                    Err(failed) => {
                                        error = Some(failed);
                                        break;
                                    }
                                }
                            }
                            // What follows an answer that is whole is nobody's concern.
                            let Some(error) = error.filter(|_| !finished) else {
                                if provider.can_break() {
                                    self.health.succeeded(&name);
                                }
                                if request.stream {
                                    self.usual.paused(&name, &model, longest);
                                }
                                return;
                            };
                            error
                        }
                    };
                    request.meter.fail();
                    if lost {
                        silences += 1;
                        // Dropping the answer has closed its connection; others of the pool may be as silent.
                        self.pool.renew();
                    }
                    yield Ok(tried(key, &error, said, Some(started)));
                    let is_outage = error.class.is_outage() && provider.can_break();
                    if is_outage {
                        self.health.failed(&name, pass).await;
                    } else if provider.can_break()
                        && (error.class != ErrorClass::Unsupported || request.meter.was_handed_over())
                    {
                        self.health.began(&name); // it is there, if only to refuse
                    }
                    // Many were failed like this one: it is the provider, not the request.
                    let is_open = is_outage && self.health.is_open(&name);
                    error.away = (error.away || is_open) && !said;
                    let fault = Fault { error: &error, said, own, key, others };
                    let then = match self.then(&*provider, fault, &mut pauses) {
                        Then::SameKey(_) if is_open => Then::NextProvider,
                        Then::NextProvider if lost && !others && !is_open => Then::SameKey(Duration::ZERO),
                        then => then,
                    };
                    if said && !matches!(then, Then::GiveUp) && (others || !matches!(then, Then::NextProvider)) {
                        yield Ok(Said::Restart(error.class));
                    }
                    let no_tools = error.class == ErrorClass::NoTools && !request.needs_tools;
                    let no_tools = no_tools && !request.tools.is_empty();
                    failed = error;
                    if no_tools {
                        request.tools.clear(); // it can still talk
                        continue;
                    }
                    match then {
                        Then::GiveUp => {
                            yield Err(failed);
                            return;
                        }
                        _ if late() => break,
                        Then::SameKey(pause) => tokio::time::sleep(pause).await,
                        Then::NextKey => match keys.next() {
                            Some(next) => key = next,
                            None => break,
                        },
                        Then::NextProvider => break,
                    }
                }
                failures.note(failed);
            }
            let none = || ProviderError::new(&choice, ErrorClass::Auth, "no provider is configured");
            yield Err(failures.last().unwrap_or_else(none));
        }
    }

    fn then(
        &self,
        provider: &dyn Provider,
        Fault { error, said, own, key, others }: Fault<'_>,
        pauses: &mut impl Iterator<Item = Duration>,
    ) -> Then {
        if !error.class.may_go_elsewhere() {
            return Then::GiveUp;
        }
        match error.class {
            ErrorClass::RateLimited | ErrorClass::Auth => {
                let rest = if error.class == ErrorClass::Auth { BAD_KEY_REST } else { KEY_REST };
                let short = error.class == ErrorClass::RateLimited
                    && error.retry_after.is_some_and(|rest| rest <= LONGEST_REST);
                let alone = !others && provider.keys() == 1;
                if !own && provider.can_break() && !(alone && error.class == ErrorClass::Auth) {
                    self.health.rest(provider.name(), key, error.retry_after.unwrap_or(rest));
                }
                match error.retry_after {
                    Some(rest) if short && alone && !said && provider.can_break() => {
                        pauses.next().map_or(Then::NextProvider, |_| Then::SameKey(rest))
                    }
                    _ => Then::NextKey,
                }
            }
            // Somebody else may have it.
            ErrorClass::Unsupported => Then::NextProvider,
            // A pause that somebody else could use is not made; a failed answer is not begun again at the same place.
            ErrorClass::Timeout => Then::NextProvider,
            _ if said || !provider.can_break() => Then::NextProvider,
            _ if error.retry_after.is_some_and(|rest| rest > LONGEST_REST) => Then::NextProvider,
            _ => match pauses.next() {
                Some(pause) if !others => Then::SameKey(pause.max(error.retry_after.unwrap_or_default())),
                _ => Then::NextProvider,
            },
        }
    }
}
