//! What a prompt is given of the user's earlier conversations: the turns that bear on the question, within a budget and a deadline. A
//! fact is there so from the moment it is said, long before a model has read it; and what no memory was made of is there too.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::search::{
    Query,
    messages::{self, Place, Seen},
};
use crate::{
    Context, Result,
    domain::ids::{MessageId, ProjectId, SessionId, UserId},
    memory::{
        past::{PastTurn, frame},
        rank::Mode,
        text,
    },
    store::{
        messages::Found,
        past_turns::{self, Reader},
    },
    telemetry::metrics::METRICS,
    usecase::settings::MemorySettings,
};

/// Search that takes longer is not waited for: the answer does without.
const DEADLINE: Duration = Duration::from_millis(300);
/// But it goes on for so long, so that the next one finds in memory what it needs; of so many users at once in a process.
const WARM: Duration = Duration::from_secs(30);
const WARMED: usize = 2;
/// Turns looked at, and those that a prompt has at most.
const FOUND: usize = 32;
const MOST: usize = 8;
/// How much the best of them must bear on the question. Chosen on three conversations of LoCoMo's development half and tried on the
/// other two (docs/benchmarks.md): from here on, of eight questions about somebody else's life seven find nothing.
const FLOOR: f64 = 0.40;
/// With the built-in vectors, which are like each other for a word in common; and without vectors.
const FLOOR_LEXICAL: f64 = 0.35;
const FLOOR_WORDS: f64 = 0.25;
/// Characters of a question that are searched for.
const QUESTION: usize = 2_000;

/// What goes into a prompt.
#[derive(Debug, Default)]
pub struct PastTurns {
    /// For the system prompt; empty when nothing bears on the question.
    pub block: String,
    /// What is in it, with its score, in the order of the block.
    pub used: Vec<(Found, f64)>,
}

/// Whose prompt it is.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    pub user: UserId,
    pub session: SessionId,
    /// Conversations of other projects stay there.
    pub project: Option<ProjectId>,
    pub settings: MemorySettings,
    /// The provider is part of this deployment; what is private goes to no other unless its user allows it.
    pub inside: bool,
    /// Tokens that they may take.
    pub budget: usize,
    /// Where the window of this conversation begins, and how many turns stand in it: they are there anyway.
    pub oldest: i64,
    pub window: usize,
}

impl Asking {
    /// What no model has read, or is private, must not be in it.
    pub fn without_private(&self) -> bool {
        self.settings.without_private(self.inside)
    }
}

/// The turns for a question, in a task of its own: of somebody who said much it computes for some milliseconds, in which nothing
/// else goes on in its task. Never fails: without them, the answer is given without them. Ends when it is dropped.
pub async fn past_turns(ctx: &Context, asking: Asking, question: &str) -> PastTurns {
    let question: String = question.chars().take(QUESTION).collect();
    if asking.budget == 0 || text::terms(&question).is_empty() {
        return PastTurns::default();
    }
    let ctx = ctx.clone();
    let found = async move { found(&ctx, asking, question).await };
    let task = AbortOnDropHandle::new(tokio::spawn(found.in_current_span()));
    task.await.unwrap_or_else(|error| {
        METRICS.past_turns.with_label_values(&["failed"]).inc();
        tracing::warn!(%error, "answering without earlier conversations");
        PastTurns::default()
    })
}

async fn found(ctx: &Context, asking: Asking, question: String) -> PastTurns {
    let started = tokio::time::Instant::now();
    let outcome = |word: &str| METRICS.past_turns.with_label_values(&[word]).inc();
    let found = tokio::time::timeout(DEADLINE, find(ctx, asking, &question)).await;
    METRICS.past_turns_seconds.with_label_values::<&str>(&[]).observe(started.elapsed().as_secs_f64());
    match found {
        Ok(Ok(found)) => {
            outcome(if found.used.is_empty() { "empty" } else { "used" });
            found
        }
        Ok(Err(error)) => {
            outcome("failed");
            tracing::warn!(%error, "answering without earlier conversations");
            PastTurns::default()
        }
        Err(_) => {
            outcome("late");
            tracing::warn!("answering without earlier conversations: search took too long");
            warm(ctx, asking, question);
            PastTurns::default()
        }
    }
}

/// Searches again, for nobody: what was given up had mostly begun to read what the user has into memory, and each one after it would
/// begin anew and be given up too.
fn warm(ctx: &Context, asking: Asking, question: String) {
    let Some(turn) = ctx.warming.begin(asking.user) else { return };
    let (ctx, user, query, seen) = (ctx.clone(), asking.user, query(asking, &question), seen(asking));
    tokio::spawn(async move {
        let _turn = turn;
        tokio::select! {
            () = ctx.stopping.cancelled() => {}
            found = tokio::time::timeout(WARM, messages::places(&ctx, user, &query, seen)) => {
                if !matches!(found, Ok(Ok(_))) {
                    tracing::warn!("what a user said in earlier conversations could not be read into memory");
                }
            }
        }
    });
}

/// Whose words are read into memory at this moment though nobody waits for it: one for each user, and few in all.
#[derive(Clone, Default)]
pub struct Warming(Arc<Mutex<HashSet<UserId>>>);

/// Ends when it is dropped.
pub(crate) struct Turn {
    warming: Warming,
    user: UserId,
}

impl Warming {
    fn users(&self) -> MutexGuard<'_, HashSet<UserId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, user: UserId) -> Option<Turn> {
        let mut users = self.users();
        (users.len() < WARMED && users.insert(user)).then(|| Turn { warming: self.clone(), user })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.warming.users().remove(&self.user);
    }
}

fn mode(asking: Asking) -> Mode {
    if asking.settings.enable_semantic_search { Mode::Hybrid } else { Mode::Keyword }
}

fn query(asking: Asking, question: &str) -> Query {
    // Of a branch, the window also has turns of those it branched from: they are found, and not shown.
    let most = FOUND + asking.window;
    Query { memories: false, messages: true, ..Query::memories(question, most, mode(asking)) }
}

/// What stands in the prompt anyway.
fn seen(asking: Asking) -> Seen {
    Seen { session: asking.session, oldest: asking.oldest }
}

async fn find(ctx: &Context, asking: Asking, question: &str) -> Result<PastTurns> {
    let places = messages::places(ctx, asking.user, &query(asking, question), seen(asking)).await?;
    let floor = floor(ctx, mode(asking));
    // To most questions nothing bears: then it need not be asked what may be shown.
    if !places.iter().any(|place| place.bearing >= floor) {
        return Ok(PastTurns::default());
    }
    let told = best(ctx, asking, &places).await?;
    // One that bears on the question vouches for what was found beside it: most evidence shares few words with its question.
    if !told.iter().any(|(_, place)| place.bearing >= floor) {
        return Ok(PastTurns::default());
    }
    let told: Vec<(Found, f64)> = told.into_iter().map(|(found, place)| (found, place.score)).collect();
    let turns: Vec<PastTurn> = told.iter().map(|(found, _)| turn(found)).collect();
    let (block, used) = frame(&turns, asking.budget);
    Ok(PastTurns { block, used: used.into_iter().filter_map(|at| told.get(at).cloned()).collect() })
}

/// The first of those that may be shown, as many as a prompt has. Mostly they are among the first that are asked about.
async fn best(ctx: &Context, asking: Asking, places: &[Place]) -> Result<Vec<(Found, Place)>> {
    let reader = Reader {
        session: asking.session,
        project: asking.project,
        oldest: asking.oldest,
        without_private: asking.without_private(),
    };
    let mut best = Vec::with_capacity(MOST);
    let (first, rest) = places.split_at(places.len().min(MOST * 2));
    for some in [first, rest] {
        if some.is_empty() || best.len() >= MOST {
            break;
        }
        let ids: Vec<MessageId> = some.iter().map(|place| place.id).collect();
        let may = past_turns::may_be_shown(&mut ctx.db.read().await?, asking.user, &ids, reader).await?;
        let mut may: HashMap<MessageId, Found> = may.into_iter().map(|found| (found.id, found)).collect();
        best.extend(some.iter().filter_map(|place| Some((may.remove(&place.id)?, *place))));
    }
    best.truncate(MOST);
    Ok(best)
}

fn floor(ctx: &Context, mode: Mode) -> f64 {
    match mode {
        Mode::Keyword => FLOOR_WORDS,
        Mode::Semantic | Mode::Hybrid if ctx.embedder.is_local() => FLOOR_LEXICAL,
        Mode::Semantic | Mode::Hybrid => FLOOR,
    }
}

fn turn(found: &Found) -> PastTurn {
    PastTurn { at: found.created_at, name: found.name.clone(), said: found.content.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::new_uuid;

    #[test]
    fn one_search_goes_on_for_each_user() {
        let warming = Warming::default();
        let [one, other, third] = [(); 3].map(|()| UserId(new_uuid()));
        let first = warming.begin(one);
        assert!(first.is_some() && warming.begin(one).is_none());
        let second = warming.begin(other);
        assert!(second.is_some() && warming.begin(third).is_none(), "two at once");
        drop(first);
        assert!(warming.begin(one).is_some());
    }
}
