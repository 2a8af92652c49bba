//! A job that a process died with runs in a process of its own from then on. If that one dies too while this one lives, the
//! job did it; if somebody kills both, it says nothing about the job (docs/decisions/0004-quarantine.md).
//!
//! The worker keeps the job: it claimed it, renews its lease, and hears when it is cancelled. The other process
//! (`rapport isolated-job`) runs the handler and ends the attempt in the ledger, fenced as everywhere. The two talk by
//! standard input and output; when this process dies, the other sees its input end, and stops.

use std::{process::Stdio, sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt};
use rapport_common::{
    Context, Error, Result,
    clock::Clock,
    domain::{event::Event, job::Job},
    error::Code,
    isolated::{Errand, LONGEST_LINE, Message, Pipe},
    store,
    usecase::model_pace,
};
use tokio::{
    io::Stdin,
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::watch,
    time::Instant,
};
use tokio_util::{
    codec::{FramedRead, FramedWrite, LinesCodec},
    sync::CancellationToken,
};

use crate::{
    Runtime,
    crashes::isolated_died,
    ending::{self, persist},
    execute::{self, Claimed, Word},
    outcome::Outcome,
    running::{Stop, StopSignal},
    slot::Slot,
};

/// How many a queue may run at once: each is a process.
pub const AT_ONCE: usize = 8;
/// The command of our binary that runs one job.
pub const COMMAND: &str = "isolated-job";
/// How long the other process may take to start, connect and find the job.
const START: Duration = Duration::from_secs(60);
/// Pause after one could not be started.
const REST: Duration = Duration::from_secs(2);
/// How long one that must stop may take.
const STOP: Duration = Duration::from_secs(10);
/// Who kills both processes does so within this: only a worker that outlives it may say that the job killed its process.
const OUTLIVED: Duration = Duration::from_millis(300);

/// How a process that ran a job came to its end.
enum End {
    /// The attempt is over.
    Said(String),
    /// It had to stop because another worker has the job.
    Lost,
    NotBegun(String),
    Died(String),
}

/// Runs a claimed job in a process of its own; gives the metric's word for how it ended.
pub async fn run(runtime: &Runtime, job: &Job, signal: StopSignal) -> Word {
    let end = match start(runtime, job).await {
        Ok(attempt) => attempt.attend(runtime, signal).await,
        Err(error) => End::NotBegun(error.to_string()),
    };
    match end {
        End::Said(word) => word.into(),
        End::Lost => "lost".into(),
        End::NotBegun(why) => {
            tracing::warn!(why, "no process of its own could be started for the job: it waits");
            let error = Error::new(Code::Unavailable, "No process could be started for this job.");
            ending::end(&runtime.ctx, job, Outcome::Wait(error, REST)).await.into()
        }
        End::Died(how) => {
            tracing::error!(how, "the job's own process died");
            tokio::time::sleep(OUTLIVED).await;
            if persist(|| isolated_died(runtime, job)).await.is_some() {
                "crashed".into()
            } else {
                "lost".into()
            }
        }
    }
}

struct Attempt {
    child: Child,
    to: FramedWrite<ChildStdin, LinesCodec>,
    from: FramedRead<ChildStdout, LinesCodec>,
}

async fn start(runtime: &Runtime, job: &Job) -> std::io::Result<Attempt> {
    // The program as it was started, even if its file was replaced or deleted since.
    let program = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    let mut child = Command::new(program)
        .arg(COMMAND)
        .arg("--data-dir")
        .arg(&runtime.ctx.settings.data_dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Ctrl-C is meant for the worker, which hands the job back.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::Error::other("the process has no standard input or output"));
    };
    let mut to = FramedWrite::new(to, LinesCodec::new());
    let errand = serde_json::to_string(&Errand {
        job: job.id,
        attempt: job.attempt,
        clock: Clock::of_this_process(),
    })?;
    to.send(errand).await.map_err(std::io::Error::other)?;
    Ok(Attempt { child, to, from: FramedRead::new(from, LinesCodec::new_with_max_length(LONGEST_LINE)) })
}

impl Attempt {
    /// Passes on what the process says, and tells it to stop when it must.
    async fn attend(mut self, runtime: &Runtime, mut signal: StopSignal) -> End {
        let (mut begun, mut ended, mut stop) = (false, None, None);
        let mut stopping = std::pin::pin!(runtime.stopping.cancelled());
        let mut told_stopping = false;
        let mut until = Some(Instant::now() + START);
        loop {
            tokio::select! {
                line = self.from.next() => match line {
                    Some(Ok(line)) => match serde_json::from_str(&line) {
                        Ok(Message::Begun) => (begun, until) = (true, None),
                        Ok(Message::Ended(word)) => ended = Some(word),
                        Ok(message) => pass_on(&runtime.ctx, message).await,
                        Err(error) => tracing::warn!(%error, "the job's own process said something strange"),
                    },
                    _ => break,
                },
                changed = signal.changed() => {
                    stop = *signal.borrow_and_update();
                    if let (Ok(()), Some(stop)) = (changed, stop) {
                        let _gone_already = self.to.send(word(stop)).await;
                        // Handing back takes as long as the process that stops allows.
                        until = (stop == Stop::Lost).then(|| Instant::now() + STOP).or(until);
                    }
                }
                () = &mut stopping, if !told_stopping => {
                    told_stopping = true;
                    let _gone_already = self.to.send(STOPPING).await;
                }
                () = passed(until) => break,
            }
        }
        drop(self.to);
        let died = match tokio::time::timeout(STOP, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it did not end".to_owned(),
        };
        match (ended, stop) {
            (Some(word), _) => End::Said(word),
            (None, Some(Stop::Lost)) => End::Lost,
            (None, _) if begun => End::Died(died),
            (None, _) => End::NotBegun(died),
        }
    }
}

async fn passed(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

async fn pass_on(ctx: &Context, message: Message) {
    let told = match message {
        Message::Events(job, events) => {
            let events: Vec<Event> = events.into_iter().map(Event::from).collect();
            ctx.events.append(job, &events).await
        }
        Message::Shown(job, event) => ctx.events.notify(job, &event.into()).await,
        Message::Erased(job) => ctx.events.erase(job).await,
        Message::Ready(ready) => {
            ctx.announce(ready).await;
            Ok(())
        }
        Message::Begun | Message::Ended(_) => Ok(()),
    };
    if let Err(error) = told {
        tracing::debug!(%error, "what an isolated job said was not shown");
    }
}

const STOPPING: &str = "stopping";

fn word(stop: Stop) -> &'static str {
    match stop {
        Stop::Cancelled => "cancelled",
        Stop::Lost => "lost",
        Stop::HandBack => "hand_back",
    }
}

/// The other side: runs the one job that this process was started for.
pub async fn serve(ctx: Context, pipe: Pipe) -> std::result::Result<(), String> {
    let mut from = FramedRead::new(tokio::io::stdin(), LinesCodec::new_with_max_length(1_000));
    let errand = from.next().await.ok_or("nobody says which job")?.map_err(|error| error.to_string())?;
    let errand: Errand = serde_json::from_str(&errand).map_err(|error| error.to_string())?;
    errand.clock.adopt();
    let job = find(&ctx, &errand).await.map_err(|error| error.to_string())?;
    let Some(job) = job else { return say(&pipe, Message::Ended("lost".to_owned())).await };
    model_pace::recall(&ctx).await;
    say(&pipe, Message::Begun).await?;
    let (stop, signal) = watch::channel(None);
    let stopping = CancellationToken::new();
    tokio::spawn(hear(from, stop, stopping.clone()));
    let claimed = Claimed { ctx: ctx.clone(), job: Arc::new(job), signal, slot: Slot::elsewhere(stopping) };
    let word = execute::alone(claimed).await?;
    ctx.touches.write(&ctx.db).await;
    say(&pipe, Message::Ended(word.into_owned())).await
}

async fn find(ctx: &Context, errand: &Errand) -> Result<Option<Job>> {
    let mut conn = ctx.db.read().await?;
    Ok(store::ledger::running(&mut conn, errand.job, errand.attempt).await?)
}

async fn say(pipe: &Pipe, message: Message) -> std::result::Result<(), String> {
    pipe.say(&message).await.map_err(|error| error.to_string())
}

/// Hears when the job must stop. When there is nothing more to hear, the worker is dead and others will take the job.
async fn hear(
    mut from: FramedRead<Stdin, LinesCodec>,
    stop: watch::Sender<Option<Stop>>,
    stopping: CancellationToken,
) {
    while let Some(Ok(line)) = from.next().await {
        let wanted =
            [Stop::Cancelled, Stop::Lost, Stop::HandBack].into_iter().find(|stop| word(*stop) == line);
        match wanted {
            Some(wanted) => drop(stop.send_replace(Some(wanted))),
            None => stopping.cancel(),
        }
    }
    stop.send_replace(Some(Stop::Lost));
    tokio::time::sleep(STOP).await;
    std::process::exit(1);
}
