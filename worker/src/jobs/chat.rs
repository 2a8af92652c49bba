//! Answers a message: context, ask, stream, commit.

use futures::StreamExt;
use rapport_common::{
    Context, Error,
    chat::{tokens, window},
    domain::{job::Job, memory::Memory, message::Usage},
    error::Code,
    jobs::payload::{self, ChatPayload},
    providers::{ChatEvent, ChatMessage, ChatRequest, ChatStream, Provider, ProviderError},
    store,
    telemetry::{metrics::METRICS, trace::TraceContext},
    usecase::{
        finish_chat::{Answer, finish_chat, whose},
        memory::recall::{Recall, recall},
    },
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    answer_log::{AnswerLog, Lost},
    outcome::Outcome,
    runner::persist_for,
    running::{Stop, StopSignal, stopped},
};

/// Turns loaded for the window at most; the token budget usually ends it sooner.
const TURNS: i64 = 200;

pub async fn run(ctx: &Context, job: &Job, signal: StopSignal) -> Outcome {
    let payload: ChatPayload = match payload::read(job) {
        Ok(payload) => payload,
        Err(error) => return Outcome::Fail(error),
    };
    let Some(provider) = ctx.providers.get(&payload.provider) else {
        let detail = format!("The provider {:?} is not configured on this worker.", payload.provider);
        return Outcome::Fail(Error::new(Code::ProviderMisconfigured, detail));
    };
    let (messages, recall) = match context(ctx, job, &payload, provider.is_inside()).await {
        Ok(found) => found,
        Err(error) => return Outcome::Retry(error, None),
    };
    let trace = job.trace.as_deref().and_then(TraceContext::parse).map(|trace| trace.child().to_string());
    let request = ChatRequest {
        model: payload.model.clone(),
        messages,
        temperature: payload.temperature,
        max_tokens: payload.max_tokens,
        schema: None,
        trace,
    };
    match answer(ctx, job, &payload, provider.as_ref(), request, &recall, signal).await {
        Ok(outcome) => outcome,
        Err(Lost) => Outcome::Lost,
    }
}

/// The request's messages, and the memories quoted in them.
async fn context(
    ctx: &Context,
    job: &Job,
    payload: &ChatPayload,
    inside: bool,
) -> Result<(Vec<ChatMessage>, Recall), Error> {
    let (user, session) = whose(job)?;
    let mut conn = ctx.db.read().await?;
    let turns = store::messages::context(&mut conn, user, session, payload.seq, TURNS).await?;
    drop(conn);
    let question = turns.first().map_or("", |turn| turn.content.as_str());
    let recall = match payload.enable_memory {
        Some(false) => Recall::default(),
        _ => recall(ctx, user, question, inside).await,
    };
    let chat = &ctx.settings.chat;
    let mut system = if chat.app_info.is_empty() {
        chat.system_prompt.clone()
    } else {
        format!("{}\n\n{}", chat.system_prompt, chat.app_info)
    };
    if !recall.block.is_empty() {
        system = format!("{system}\n\n{}", recall.block);
    }
    Ok((window::build(&system, &turns, chat.context_tokens), recall))
}

/// What reading a stream came to.
enum Read {
    Whole { finish_reason: String },
    Stopped(Stop),
    Broken(ProviderError),
}

async fn answer(
    ctx: &Context,
    job: &Job,
    payload: &ChatPayload,
    provider: &dyn Provider,
    request: ChatRequest,
    recall: &Recall,
    mut signal: StopSignal,
) -> Result<Outcome, Lost> {
    let prompt_tokens: usize =
        request.messages.iter().map(|message| tokens::estimate(&message.content)).sum();
    let model = request.model.clone().unwrap_or_else(|| provider.default_model().to_owned());
    let mut log = AnswerLog::open(ctx, job).await?;
    if !recall.used.is_empty() {
        let used = |(memory, score): &(Memory, f64)| json!({"id": memory.id, "content": memory.content, "score": score});
        let memories: Vec<_> = recall.used.iter().map(used).collect();
        log.append("memory", json!({"memories": memories})).await?;
    }
    let mut usage = None;
    let started = Instant::now();
    let opened = tokio::select! {
        biased;
        stop = stopped(&mut signal) => Err(Read::Stopped(stop)),
        opened = provider.chat(request) => opened.map_err(Read::Broken),
    };
    let read = match opened {
        Ok(stream) => {
            read_stream(&mut log, stream, &mut signal, &mut usage, provider.name(), started).await?
        }
        Err(read) => read,
    };
    // The stream is dropped here: a stopped answer's connection closes now.
    let (finish_reason, cancelled) = match read {
        Read::Whole { finish_reason } => (finish_reason, false),
        Read::Stopped(Stop::Cancelled) => ("cancelled".to_owned(), true),
        Read::Stopped(Stop::HandBack) => return Ok(Outcome::HandBack),
        Read::Stopped(Stop::Lost) => return Ok(Outcome::Lost),
        Read::Broken(error) => {
            METRICS.provider_errors.with_label_values(&[provider.name(), error.class.as_str()]).inc();
            let public = error.public();
            return Ok(if error.class.is_transient() {
                Outcome::Retry(public, error.retry_after)
            } else {
                Outcome::Fail(public)
            });
        }
    };
    log.flush().await?;
    let estimated = || Usage::new(prompt_tokens as i64, tokens::estimate(&log.text) as i64);
    let usage = usage.unwrap_or_else(estimated);
    count_tokens(provider, &model, usage);
    let answer = Answer {
        content: storable(&log.text),
        provider: provider.name().to_owned(),
        model,
        usage,
        finish_reason,
        cancelled,
        memories_used: recall.used.len(),
    };
    let stored = persist_for(ctx.settings.queue.lease, || finish_chat(ctx, job, payload, &answer)).await;
    let Some(result) = stored.flatten() else { return Err(Lost) };
    // After the commit. Readers that miss it are told by the ledger.
    let _told = log.append("done", result.clone()).await;
    Ok(Outcome::Done(result))
}

async fn read_stream(
    log: &mut AnswerLog<'_>,
    mut stream: ChatStream,
    signal: &mut StopSignal,
    usage: &mut Option<Usage>,
    provider: &str,
    started: Instant,
) -> Result<Read, Lost> {
    let mut finish_reason = None;
    let mut silent = true;
    loop {
        let due = log.due();
        let flush_time = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            stop = stopped(signal) => return Ok(Read::Stopped(stop)),
            event = stream.next() => match event {
                Some(Ok(ChatEvent::Delta(text))) => {
                    if std::mem::take(&mut silent) {
                        let seconds = started.elapsed().as_secs_f64();
                        METRICS.first_token_seconds.with_label_values(&[provider]).observe(seconds);
                    }
                    log.push(&text).await?;
                }
                Some(Ok(ChatEvent::Usage(counted))) => *usage = Some(counted),
                Some(Ok(ChatEvent::Finish(reason))) => finish_reason = Some(reason),
                Some(Err(error)) => return Ok(Read::Broken(error)),
                None => return Ok(Read::Whole { finish_reason: finish_reason.unwrap_or_else(|| "stop".to_owned()) }),
            },
            () = flush_time => log.flush().await?,
        }
    }
}

/// PostgreSQL cannot hold NUL characters; no answer needs them.
fn storable(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "") } else { text.to_owned() }
}

fn count_tokens(provider: &dyn Provider, model: &str, usage: Usage) {
    // Users name models, and labels must be bounded: only the configured one is told apart.
    let label = if model == provider.default_model() { model } else { "other" };
    let count = |direction: &str, tokens: i64| {
        METRICS.tokens.with_label_values(&[provider.name(), label, direction]).inc_by(tokens.max(0) as u64);
    };
    count("prompt", usage.prompt_tokens);
    count("completion", usage.completion_tokens);
}
