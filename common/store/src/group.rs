//! Group commit: what arrives while a statement runs goes into the next one, together. Alone, each goes at once; under load many
//! share a round trip, a plan and a commit.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::telemetry::metrics::METRICS;

/// What goes into one statement at most: it must not take much longer than one alone.
const MOST: usize = 32;

/// What came of an item, or the item itself, to be done by its caller alone.
type Outcome<T, O> = Result<O, T>;
type Teller<T, O> = oneshot::Sender<Outcome<T, O>>;

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

    /// Those that go next; when there are none, nobody runs any more.
    fn take(&self) -> Option<(Vec<T>, Vec<Teller<T, O>>)> {
        let mut state = self.state();
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
    /// have to is given back, for its caller to do alone. It goes on when the caller is gone. `None`: it broke off.
    pub async fn join<R>(&self, item: T, run: impl Fn(Vec<T>) -> R + Send + 'static) -> Option<Outcome<T, O>>
    where
        R: Future<Output = Vec<Outcome<T, O>>> + Send,
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
        told.await.ok()
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
                        items.into_iter().map(|item| Ok(item * 10)).collect()
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
        assert_eq!(first.await.unwrap(), Some(Ok(10)));
        for (other, outcome) in others.into_iter().zip([20, 30, 30]) {
            assert_eq!(other.await.unwrap(), Some(Ok(outcome)));
        }
        assert_eq!(
            runs.load(Ordering::Relaxed),
            3,
            "one alone, two together, and the second with the same key"
        );
        assert!(!group.state().is_running);
    }

    #[tokio::test]
    async fn one_that_breaks_off_is_told_and_the_next_runs() {
        let group = group();
        let run = |items: Vec<u128>| async move {
            assert!(!items.contains(&1), "as a statement does that panics");
            items.into_iter().map(Err).collect()
        };
        assert_eq!(group.join(1, run).await, None);
        assert_eq!(group.join(2, run).await, Some(Err(2)), "given back");
    }
}
