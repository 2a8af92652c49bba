//! Word that something of a user changed, from whoever changed it to who follows that user, in whichever process.
//!
//! What is rung for within a moment goes out as one message for all users, on one channel: a busy process sends forty a second
//! at most, and one that nobody follows has nothing to read. A message may be lost, so who listens looks for itself now and then.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use uuid::Uuid;

use crate::{
    domain::{
        event::{Event, EventId},
        ids::{JobId, UserId},
    },
    events::{EventLog, Live},
};

/// What is gathered for so long goes out together.
const GATHER: Duration = Duration::from_millis(25);
/// Bells of one message. When there are more, it says that anything may have changed.
const MOST: usize = 10_000;
/// Jobs kept for one listener. When there are more, it looks at everything.
const MOST_HEARD: usize = 500;
/// Before another attempt to listen.
const REST: Duration = Duration::from_secs(1);
/// The channel: a job's that is none.
const CHANNEL: JobId = JobId(Uuid::nil());

type Bell = (UserId, Option<JobId>);

#[derive(Clone)]
pub struct Bells {
    rung: mpsc::Sender<Bell>,
    /// Some bells could not be sent.
    lost: Arc<AtomicBool>,
    listeners: Arc<Listeners>,
    events: Arc<dyn EventLog>,
    /// Runs from the first listener on.
    receiving: Arc<OnceLock<JoinSet<()>>>,
}

#[derive(Default)]
struct Listeners(Mutex<HashMap<UserId, Vec<Arc<Pending>>>>);

#[derive(Default)]
struct Pending {
    heard: Mutex<Heard>,
    bell: Notify,
}

/// What was rung for.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    /// Jobs whose state changed.
    pub jobs: BTreeSet<JobId>,
    /// Other bells may have been missed: look at everything.
    pub missed: bool,
}

impl Bells {
    /// Must be called inside a Tokio runtime: it starts the task that sends.
    pub fn start(events: Arc<dyn EventLog>) -> Self {
        let (rung, waiting) = mpsc::channel(MOST);
        let lost = Arc::new(AtomicBool::new(false));
        tokio::spawn(send(Arc::clone(&events), waiting, Arc::clone(&lost)));
        Self { rung, lost, events, listeners: Arc::default(), receiving: Arc::default() }
    }

    /// Something of the user changed: the state of a job, or with `None` anything else. Call it after the commit.
    pub fn ring(&self, user: UserId, job: Option<JobId>) {
        if self.rung.try_send((user, job)).is_err() {
            self.lost.store(true, Ordering::Relaxed);
        }
    }

    /// The state of a job changed; nobody's has nobody who follows.
    pub fn ring_job(&self, user: Option<UserId>, job: JobId) {
        if let Some(user) = user {
            self.ring(user, Some(job));
        }
    }

    pub fn listen(&self, user: UserId) -> Listener {
        let pending = Arc::new(Pending::default());
        self.listeners.of_users().entry(user).or_default().push(Arc::clone(&pending));
        self.receiving.get_or_init(|| {
            let mut task = JoinSet::new();
            task.spawn(receive(Arc::clone(&self.events), Arc::downgrade(&self.listeners)));
            task
        });
        Listener { user, pending, listeners: Arc::clone(&self.listeners) }
    }
}

impl Listeners {
    fn of_users(&self) -> std::sync::MutexGuard<'_, HashMap<UserId, Vec<Arc<Pending>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring_all(&self) {
        for pending in self.of_users().values().flatten() {
            pending.add(None, true);
        }
    }

    fn ring(&self, bells: &[Bell]) {
        let users = self.of_users();
        for (user, job) in bells {
            for pending in users.get(user).into_iter().flatten() {
                pending.add(*job, false);
            }
        }
    }
}

impl Pending {
    fn add(&self, job: Option<JobId>, missed: bool) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.jobs.extend(job);
        if missed || heard.jobs.len() > MOST_HEARD {
            *heard = Heard { jobs: BTreeSet::new(), missed: true };
        }
        self.bell.notify_one();
    }
}

/// Listens for one user; dropping it ends that.
pub struct Listener {
    user: UserId,
    pending: Arc<Pending>,
    listeners: Arc<Listeners>,
}

impl Listener {
    /// What was rung for since the last call, as soon as there is something. `None`: nothing came within `wait`.
    pub async fn heard(&mut self, wait: Duration) -> Option<Heard> {
        tokio::time::timeout(wait, self.pending.bell.notified()).await.ok()?;
        Some(std::mem::take(&mut *self.pending.heard.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut users = self.listeners.of_users();
        if let Some(all) = users.get_mut(&self.user) {
            all.retain(|one| !Arc::ptr_eq(one, &self.pending));
            if all.is_empty() {
                users.remove(&self.user);
            }
        }
    }
}

async fn send(events: Arc<dyn EventLog>, mut waiting: mpsc::Receiver<Bell>, lost: Arc<AtomicBool>) {
    while let Some(first) = waiting.recv().await {
        tokio::time::sleep(GATHER).await;
        let mut bells = BTreeSet::from([first]);
        while bells.len() < MOST
            && let Ok(bell) = waiting.try_recv()
        {
            bells.insert(bell);
        }
        let all = lost.swap(false, Ordering::Relaxed);
        let data = if all { json!(null) } else { json!(bells) };
        if let Err(error) = events.notify(CHANNEL, &Event::new(EventId::START, "changed", data)).await {
            tracing::debug!(%error, "who follows looks for itself");
            lost.store(true, Ordering::Relaxed);
        }
    }
}

async fn receive(events: Arc<dyn EventLog>, listeners: Weak<Listeners>) {
    loop {
        let mut live = match events.subscribe(CHANNEL).await {
            Ok(live) => live,
            Err(error) => {
                tracing::debug!(%error, "bells are not heard");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        // What was rung for until now.
        let mut next = Live::Reread;
        loop {
            let Some(listeners) = listeners.upgrade() else { return };
            match &next {
                Live::Event(event) => match serde_json::from_value::<Option<Vec<Bell>>>(event.data.clone()) {
                    Ok(Some(bells)) => listeners.ring(&bells),
                    _ => listeners.ring_all(),
                },
                Live::Reread => listeners.ring_all(),
            }
            drop(listeners);
            next = live.next().await;
        }
    }
}
