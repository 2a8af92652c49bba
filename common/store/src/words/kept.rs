//! What searches keep in memory of each user, up to a budget: sheets, postings, turns in no part, and what was said.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    loose::{self, AllLoose},
    postings::{self, Buckets},
    said::Texts,
    sheets::{self, Sheet},
};
use crate::{db::Querier, domain::ids::UserId};

/// Who has not searched for so long is forgotten at the next change: also somebody whose account another process erased.
const UNUSED: Duration = Duration::from_secs(15 * 60);
/// What an entry takes beside what is in it, about.
const ENTRY: usize = 256;
/// Of the budget, this part is for others whatever one user has.
const OTHERS: usize = 4;

#[derive(Clone)]
pub struct Kept(Arc<Mutex<Users>>);

#[derive(Default)]
struct Users {
    known: HashMap<UserId, Known>,
    bytes: usize,
    budget: usize,
}

#[derive(Clone)]
struct Known {
    used: Instant,
    sheet: Arc<Sheet>,
    buckets: Arc<Buckets>,
    loose: Arc<AllLoose>,
    said: Arc<Texts>,
    /// How much had been deleted of the user's when `loose` was read: what is deleted may come back otherwise, under the same id.
    deletions: i64,
}

impl Known {
    fn new() -> Self {
        Self {
            used: Instant::now(),
            sheet: Arc::default(),
            buckets: Arc::default(),
            loose: Arc::default(),
            said: Arc::default(),
            deletions: 0,
        }
    }

    fn bytes(&self) -> usize {
        ENTRY + self.sheet.bytes() + loose::bytes(&self.loose) + self.besides()
    }

    /// What makes searches quicker, beside the turns without which each reads all again.
    fn besides(&self) -> usize {
        postings::bytes(&self.buckets) + self.said.bytes()
    }

    fn without_said(&self) -> Self {
        Self { said: Arc::default(), ..self.clone() }
    }

    fn without_buckets(&self) -> Self {
        Self { buckets: Arc::default(), ..self.clone() }
    }
}

impl Users {
    fn remove(&mut self, user: UserId) -> Option<Known> {
        let old = self.known.remove(&user)?;
        self.bytes -= old.bytes();
        Some(old)
    }

    /// Forgets who has not searched for long; then what others said, what this user said, others' postings, and then all of others, from
    /// whoever searched longest ago on, until the rest fits. Of this user the turns stay, however many. What is forgotten is given, to be
    /// freed where nobody waits for it.
    fn keep(&mut self, user: UserId, change: impl FnOnce(&mut Known)) -> Vec<Known> {
        let mut known = self.known.get(&user).cloned().unwrap_or_else(Known::new);
        known.used = Instant::now();
        change(&mut known);
        let mut forgotten: Vec<Known> = self.remove(user).into_iter().collect();
        if known.besides() > self.budget {
            known.said = Arc::new(Texts::too_large());
        }
        if known.besides() > self.budget {
            known.buckets = Arc::default();
        }
        let room = self.budget.max(known.bytes() + self.budget / OTHERS);
        self.bytes += known.bytes();
        self.known.insert(user, known);
        while let Some((oldest, used)) = self.oldest(|_, _| true)
            && used.elapsed() > UNUSED
        {
            forgotten.extend(self.remove(oldest));
        }
        self.shrink(
            &mut forgotten,
            room,
            |one, known| one != user && known.said.bytes() > 0,
            Known::without_said,
        );
        self.shrink(
            &mut forgotten,
            room,
            |_, known| known.said.bytes() > 0,
            |known| Known { said: Arc::new(Texts::too_large()), ..known.clone() },
        );
        self.shrink(
            &mut forgotten,
            room,
            |one, known| one != user && !known.buckets.is_empty(),
            Known::without_buckets,
        );
        while self.bytes > room
            && let Some((oldest, _)) = self.oldest(|one, _| *one != user)
        {
            forgotten.extend(self.remove(oldest));
        }
        forgotten
    }

    /// Leaves less of those that are like this, from whoever searched longest ago on, until all fits.
    fn shrink(
        &mut self,
        forgotten: &mut Vec<Known>,
        room: usize,
        is_meant: impl Fn(UserId, &Known) -> bool,
        less: impl Fn(&Known) -> Known,
    ) {
        while self.bytes > room
            && let Some((oldest, _)) = self.oldest(|one, known| is_meant(*one, known))
            && let Some(old) = self.remove(oldest)
        {
            let left = less(&old);
            self.bytes += left.bytes();
            self.known.insert(oldest, left);
            forgotten.push(old);
        }
    }

    /// Of those that are like this, whoever searched longest ago, and when.
    fn oldest(&self, is_meant: impl Fn(&UserId, &Known) -> bool) -> Option<(UserId, Instant)> {
        let some = self.known.iter().filter(|(user, known)| is_meant(user, known));
        some.min_by_key(|(_, known)| known.used).map(|(user, known)| (*user, known.used))
    }
}

impl Kept {
    pub fn new(budget: usize) -> Self {
        Self(Arc::new(Mutex::new(Users { budget, ..Users::default() })))
    }

    fn with<T>(&self, change: impl FnOnce(&mut Users) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known of a user, who asks for it now.
    fn asked<T: Default>(&self, user: UserId, what: impl FnOnce(&Known) -> T) -> T {
        let asked = self.with(|users| {
            let known = users.known.get_mut(&user)?;
            known.used = Instant::now();
            Some(what(known))
        });
        asked.unwrap_or_default()
    }

    fn keep(&self, user: UserId, change: impl FnOnce(&mut Known)) {
        let forgotten = self.with(|users| users.keep(user, change));
        // Not while others wait for the lock.
        drop(forgotten);
    }

    /// The sheet of a user who has these parts, with these stamps.
    pub(super) async fn of(
        &self,
        q: &mut impl Querier,
        user: UserId,
        parts: &[(i64, i64)],
    ) -> Result<Arc<Sheet>, sqlx::Error> {
        let known = self.asked(user, |known| Arc::clone(&known.sheet));
        let Some(new) = sheets::renewed(q, user, &known, parts).await? else { return Ok(known) };
        let new = Arc::new(new);
        self.keep(user, |known| known.sheet = Arc::clone(&new));
        Ok(new)
    }

    /// Those of some buckets that are known.
    pub fn buckets(&self, user: UserId, wanted: &HashSet<u8>) -> Buckets {
        let all = self.with(|users| users.known.get(&user).map(|known| Arc::clone(&known.buckets)));
        let all = all.unwrap_or_default();
        wanted.iter().filter_map(|number| Some((*number, Arc::clone(all.get(number)?)))).collect()
    }

    pub(super) fn keep_buckets(&self, user: UserId, new: &Buckets) {
        self.keep(user, |known| Arc::make_mut(&mut known.buckets).extend(new.clone()));
    }

    /// The turns in no part, if none was deleted since they were read.
    pub(super) fn loose(&self, user: UserId, deletions: i64) -> Arc<AllLoose> {
        self.with(|users| {
            let known = users.known.get(&user).filter(|known| known.deletions == deletions);
            known.map_or_else(Default::default, |known| Arc::clone(&known.loose))
        })
    }

    pub(super) fn keep_loose(&self, user: UserId, deletions: i64, all: &Arc<AllLoose>) {
        self.keep(user, |known| (known.loose, known.deletions) = (Arc::clone(all), deletions));
    }

    /// What is known of what a user said.
    pub(super) fn said(&self, user: UserId) -> Arc<Texts> {
        self.asked(user, |known| Arc::clone(&known.said))
    }

    /// Keeps it, if it fits.
    pub(super) fn keep_said(&self, user: UserId, texts: Texts) -> Arc<Texts> {
        let texts = Arc::new(texts);
        self.keep(user, |known| known.said = Arc::clone(&texts));
        texts
    }

    /// Bytes, of all users together.
    pub(super) fn budget(&self) -> usize {
        self.with(|users| users.budget)
    }

    /// Of someone who is gone.
    pub fn forget(&self, user: UserId) {
        let forgotten = self.with(|users| users.remove(user));
        drop(forgotten);
    }
}
