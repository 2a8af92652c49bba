//! The threads that compute. They are not the server's: while they are busy, requests are answered as before.
//!
//! Somebody waits for a question, nobody for the vectors of a backlog. So every thread looks for a question first, also
//! between two pieces of a batch, and one thread takes nothing else.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

use tokio::sync::oneshot;

use crate::{Model, ModelError, Purpose};

/// Questions that may wait: more than are answered in a second.
const QUESTIONS_MAX: usize = 256;

/// Why there are no vectors.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Busy {
    #[error("{QUESTIONS_MAX} questions wait for the embedding model")]
    TooMany,
    #[error("{0}")]
    Failed(String),
}

type Vectors = Result<Vec<Vec<f32>>, Busy>;

struct Task {
    texts: Vec<String>,
    answer: oneshot::Sender<Vectors>,
}

#[derive(Default)]
struct Waiting {
    questions: VecDeque<Task>,
    batches: VecDeque<Task>,
    closed: bool,
}

struct Shared {
    model: Model,
    waiting: Mutex<Waiting>,
    came: Condvar,
}

pub struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// So many threads for batches, and one besides for questions.
    pub fn start(model: Model, threads: usize) -> Result<Self, ModelError> {
        let shared = Arc::new(Shared { model, waiting: Mutex::default(), came: Condvar::new() });
        let pool = Self { shared };
        for number in 0..=threads {
            let shared = Arc::clone(&pool.shared);
            let takes_batches = number > 0;
            let thread = thread::Builder::new().name(format!("embedding-{number}"));
            let work = move || {
                while let Some((task, purpose)) = shared.next(takes_batches) {
                    shared.run(task, purpose)
                }
            };
            thread.spawn(work).map_err(ModelError::NoThreads)?;
        }
        Ok(pool)
    }

    pub fn model(&self) -> &Model {
        &self.shared.model
    }

    /// Whoever no longer waits for the answer gives the work up.
    pub async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Vectors {
        let (answer, vectors) = oneshot::channel();
        let task = Task { texts, answer };
        {
            let mut waiting = self.shared.waiting();
            match purpose {
                Purpose::Question if waiting.questions.len() >= QUESTIONS_MAX => return Err(Busy::TooMany),
                Purpose::Question => waiting.questions.push_back(task),
                Purpose::Text => waiting.batches.push_back(task),
            }
        }
        self.shared.came.notify_all();
        vectors.await.unwrap_or_else(|_| Err(Busy::Failed("the embedding model failed".to_owned())))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.waiting().closed = true;
        self.shared.came.notify_all();
    }
}

impl Shared {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does next, and what it is: `None` when there is no more to come.
    fn next(&self, takes_batches: bool) -> Option<(Task, Purpose)> {
        let mut waiting = self.waiting();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(task) = waiting.questions.pop_front() {
                return Some((task, Purpose::Question));
            }
            if takes_batches && let Some(task) = waiting.batches.pop_front() {
                return Some((task, Purpose::Text));
            }
            waiting = self.came.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn answer_questions(&self) {
        loop {
            // Not in the head of the loop: the lock would be held while the question is answered.
            let question = self.waiting().questions.pop_front();
            let Some(question) = question else { return };
            self.run(question, Purpose::Question);
        }
    }

    fn run(&self, task: Task, purpose: Purpose) {
        if task.answer.is_closed() {
            return;
        }
        let between = || {
            if purpose == Purpose::Text {
                self.answer_questions();
            }
            !task.answer.is_closed() && !self.waiting().closed
        };
        // A thread that ends by a fault of ours would leave everybody who comes after waiting.
        let embedded = catch_unwind(AssertUnwindSafe(|| self.model.embed(&task.texts, purpose, between)));
        let vectors = match embedded {
            Ok(Ok(vectors)) if vectors.len() == task.texts.len() => Ok(vectors),
            Ok(Ok(_given_up)) => Err(Busy::Failed("the embedding was given up".to_owned())),
            Ok(Err(error)) => Err(Busy::Failed(error.to_string())),
            Err(_panic) => Err(Busy::Failed("the embedding model panicked".to_owned())),
        };
        // Whoever asked may have gone.
        let _nobody = task.answer.send(vectors);
    }
}
