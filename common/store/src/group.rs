//! Group commit: what arrives while a statement runs goes into the next one, together. Alone, each goes at once; under load many
//! share a round trip, a plan and a commit.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::telemetry::metrics::METRICS;

/// What goes into one statement at most: it must not take much longer than one alone.
const MOST: usize = 32;
/// How long somebody waits for the outcome: a turn, a connection and a statement, each with its own deadline, take as long.
const OUTCOME_PATIENCE: Duration = Duration::from_secs(11);

/// What came of one.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate<T, O> {
    Done(O),
    /// It is its caller's to do, alone.
    Alone(T),
}

type Teller<T, O> = oneshot::Sender<Fate<T, O>>;
/// What goes into one statement, and who is told of each.
type Batch<T, O> = (Vec<T>, Vec<Teller<T, O>>);

struct State<T, O> {
    waiting: Vec<(T, Teller<T, O>)>,
    is_running: bool,
}

/// Things of one kind that are done together.
pub struct Group<T, O> {
    name: &'static str,
    /// Of those with the same key one goes into a statement, in the order in which they came.
    key: fn(&T) -> Uuid,
    state: Arc<Mutex<State<T, O>>>,
}

impl<T, O> Clone for Group<T, O> {
    fn clone(&self) -> Self {
        Self { name: self.name, key: self.key, state: Arc::clone(&self.state) }
    }
}

impl<T, O> Group<T, O> {
    pub fn new(name: &'static str, key: fn(&T) -> Uuid) -> Self {
        let state = State { waiting: Vec::new(), is_running: false };
        Self { name, key, state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State<T, O>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that go next; when there are none, nobody runs any more. What nobody waits for any more is left undone.
    fn take(&self) -> Option<Batch<T, O>> {
        let mut state = self.state();
        state.waiting.retain(|(_, tell)| !tell.is_closed());
        let mut keys = HashSet::new();
        let taken: Vec<_> = state
            .waiting
            .extract_if(.., |(item, _)| keys.len() < MOST && keys.insert((self.key)(item)))
            .collect();
        state.is_running = !taken.is_empty();
        state.is_running.then(|| taken.into_iter().unzip())
    }
}

impl<T: Send + 'static, O: Send + 'static> Group<T, O> {
    /// Does `item` together with what else is there: `run` gives an outcome for each, in order, and waits for nobody's lock: what would
    /// have to is given back, for its caller to do alone. A statement goes on when a caller is gone. `None`: it took too long or broke off,
    /// and may have been done.
    pub async fn join<R>(&self, item: T, run: impl Fn(Vec<T>) -> R + Send + 'static) -> Option<Fate<T, O>>
    where
        R: Future<Output = Vec<Fate<T, O>>> + Send,
    {
        let (tell, told) = oneshot::channel();
        let must_run = {
            let mut state = self.state();
            state.waiting.push((item, tell));
            !std::mem::replace(&mut state.is_running, true)
        };
        if must_run {
            let group = Running(self.clone());
            tokio::spawn(async move {
                while let Some((items, tell)) = group.0.take() {
                    METRICS.groups.with_label_values(&[group.0.name]).inc();
                    METRICS.grouped.with_label_values(&[group.0.name]).inc_by(items.len() as u64);
                    for (tell, outcome) in tell.into_iter().zip(run(items).await) {
                        let _gone = tell.send(outcome);
                    }
                }
            });
        }
        tokio::time::timeout(OUTCOME_PATIENCE, told).await.ok()?.ok()
    }
}

/// Whoever runs a group. One that ends badly lets all that wait know, so that nobody waits for nothing.
struct Running<T, O>(Group<T, O>);

impl<T, O> Drop for Running<T, O> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.0.state();
            (state.waiting, state.is_running) = (Vec::new(), false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    fn group() -> Group<u128, u128> {
        Group::new("test", |item| Uuid::from_u128(*item))
    }

    #[tokio::test]
    async fn what_comes_while_one_runs_goes_together() {
        let (group, gate, runs) = (group(), Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let join = |item: u128| {
            let (group, gate, runs) = (group.clone(), Arc::clone(&gate), Arc::clone(&runs));
            tokio::spawn(async move {
                let run = move |items: Vec<u128>| {
                    let (gate, runs) = (Arc::clone(&gate), Arc::clone(&runs));
                    async move {
                        runs.fetch_add(1, Ordering::Relaxed);
                        gate.acquire().await.unwrap().forget();
                        items.into_iter().map(|item| Fate::Done(item * 10)).collect()
                    }
                };
                group.join(item, run).await
            })
        };
        let first = join(1);
        while runs.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = [2, 3, 3].map(join).into();
        while group.state().waiting.len() < 3 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(3);
        assert_eq!(first.await.unwrap(), Some(Fate::Done(10)));
        for (other, outcome) in others.into_iter().zip([20, 30, 30]) {
            assert_eq!(other.await.unwrap(), Some(Fate::Done(outcome)));
        }
        assert_eq!(
            runs.load(Ordering::Relaxed),
            3,
            "one alone, two together, and the second with the same key"
        );
        assert!(!group.state().is_running);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_any_more_is_not_done() {
        let (group, gate, done) = (group(), Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
        let join = |item: u128| {
            let (group, gate, done) = (group.clone(), Arc::clone(&gate), Arc::clone(&done));
            tokio::spawn(async move {
                let run = move |items: Vec<u128>| {
                    let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
                    async move {
                        gate.acquire().await.unwrap().forget();
                        done.lock().unwrap().extend(items.iter().copied());
                        items.into_iter().map(Fate::Done).collect()
                    }
                };
                group.join(item, run).await
            })
        };
        let first = join(1);
        // It is under way when somebody runs and nobody waits.
        while !(group.state().is_running && group.state().waiting.is_empty()) {
            tokio::task::yield_now().await;
        }
        let second = join(2);
        // Time stands still but for those who wait: both give up.
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (None, None));
        gate.add_permits(2);
        while group.state().is_running {
            tokio::task::yield_now().await;
        }
        assert_eq!(*done.lock().unwrap(), [1], "what ran was done; what waited was not begun");
    }

    #[tokio::test]
    async fn one_that_breaks_off_is_told_and_the_next_runs() {
        let group = group();
        let run = |items: Vec<u128>| async move {
            assert!(!items.contains(&1), "as a statement does that panics");
            items.into_iter().map(Fate::Alone).collect()
        };
        assert_eq!(group.join(1, run).await, None);
        assert_eq!(group.join(2, run).await, Some(Fate::Alone(2)), "given back");
    }
}
