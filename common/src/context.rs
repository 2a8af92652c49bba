//! What every handler and job may reach. Made once, cloned cheaply.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    Result,
    auth::Auth,
    bells::Bells,
    clock,
    depth::Depths,
    domain::{ids::JobId, job::Job},
    embeddings::Embedder,
    events::{EventLog, FinalWatch},
    limits::Limits,
    mail::Mailer,
    providers::Providers,
    sealer::Sealer,
    settings::Settings,
    storage::Storage,
    store::{
        Db,
        answers::{Answered, Ending},
        chats::Question,
        group::Group,
        jobs::Ready,
        words::kept::Kept,
    },
    telemetry::metrics::METRICS,
    tools::Tools,
    usecase::memory::{Sizes, Touches, past_turns::Warming},
    vectors::VectorIndex,
    wire::{Taking, Wire},
};

#[derive(Clone)]
pub struct Context {
    pub settings: Arc<Settings>,
    pub db: Db,
    pub wire: Arc<dyn Wire>,
    pub events: Arc<dyn EventLog>,
    pub bells: Bells,
    pub limits: Arc<dyn Limits>,
    pub providers: Providers,
    pub finals: FinalWatch,
    pub auth: Arc<Auth>,
    pub depths: Depths,
    pub embedder: Embedder,
    pub vectors: Arc<dyn VectorIndex>,
    pub touches: Touches,
    pub groups: Groups,
    pub sizes: Sizes,
    /// What search knows of each turn.
    pub words: Kept,
    pub warming: Warming,
    pub tools: Tools,
    pub mailer: Mailer,
    pub sealer: Sealer,
    /// Bytes of files.
    pub storage: Storage,
    /// Set when the process is to stop: nobody is kept waiting any more.
    pub stopping: CancellationToken,
}

/// What this process writes together with others of its kind, where that pays.
#[derive(Clone)]
pub struct Groups {
    pub questions: Group<Question, Result<()>>,
    pub answers: Group<Ending, Result<Answered>>,
    pub claims: Group<JobId, Job>,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            questions: Group::new("questions", |question| question.session.0),
            answers: Group::new("answers", |ending| ending.session.0),
            claims: Group::new("claims", |job| job.0),
        }
    }
}

impl Context {
    /// Puts ready jobs on the wire: call it after the commit. A failure costs time, not the job: the sweeper announces
    /// what was forgotten. A job that is due later is announced then.
    pub async fn announce(&self, ready: impl IntoIterator<Item = Ready>) {
        let now = clock::now();
        let (due, later): (Vec<Ready>, Vec<Ready>) = ready.into_iter().partition(|ready| ready.run_at <= now);
        for ready in due.iter().chain(&later) {
            self.bells.ring_job(ready.user_id, ready.id);
        }
        self.put_up(&due, Taking::New).await;
        for ready in later {
            let ctx = self.clone();
            let wait = (ready.run_at - now).to_std().unwrap_or_default();
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                ctx.put_up(&[ready], Taking::New).await;
            });
        }
    }

    /// Puts due jobs on the wire that should be there already: all that are, the oldest first.
    pub async fn announce_again(&self, due: &[Ready]) {
        self.put_up(due, Taking::Again).await;
    }

    async fn put_up(&self, due: &[Ready], taking: Taking) {
        if !due.is_empty()
            && let Err(error) = self.wire.announce(due, taking).await
        {
            METRICS.wire_errors.with_label_values(&["announce"]).inc();
            tracing::debug!(%error, "not announced, the sweeper will");
        }
    }
}
