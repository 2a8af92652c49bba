//! What searches keep in memory of each user, up to a budget: sheets, and turns in no part.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    loose::{self, AllLoose},
    sheets::{self, Sheet},
};
use crate::{db::Querier, domain::ids::UserId};

#[derive(Clone)]
pub struct Kept(Arc<Mutex<Users>>);

#[derive(Default)]
struct Users {
    known: HashMap<UserId, Known>,
    /// Counts searches, to know who was here longest ago.
    clock: u64,
    bytes: usize,
    budget: usize,
}

#[derive(Clone, Default)]
struct Known {
    used: u64,
    sheet: Arc<Sheet>,
    loose: Arc<AllLoose>,
}

impl Known {
    fn bytes(&self) -> usize {
        self.sheet.bytes() + loose::bytes(&self.loose)
    }
}

impl Users {
    fn remove(&mut self, user: UserId) {
        self.bytes -= self.known.remove(&user).map_or(0, |old| old.bytes());
    }

    /// Forgets whoever searched longest ago, until the rest fits.
    fn keep(&mut self, user: UserId, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.get(&user).cloned().unwrap_or_default();
        known.used = self.clock;
        change(&mut known);
        self.remove(user);
        if known.bytes() > self.budget {
            // It would empty the memory for all others, and then go itself.
            return;
        }
        self.bytes += known.bytes();
        self.known.insert(user, known);
        while self.bytes > self.budget {
            let Some(oldest) = self.known.iter().min_by_key(|(_, known)| known.used).map(|(user, _)| *user)
            else {
                break;
            };
            self.remove(oldest);
        }
    }
}

impl Kept {
    pub fn new(budget: usize) -> Self {
        Self(Arc::new(Mutex::new(Users { budget, ..Users::default() })))
    }

    fn with<T>(&self, change: impl FnOnce(&mut Users) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The sheet of a user who has these parts, with these stamps.
    pub(super) async fn of(
        &self,
        q: &mut impl Querier,
        user: UserId,
        parts: &[(i64, i64)],
    ) -> Result<Arc<Sheet>, sqlx::Error> {
        let known = self.with(|users| {
            users.clock += 1;
            let now = users.clock;
            users.known.get_mut(&user).map_or_else(Default::default, |known| {
                known.used = now;
                Arc::clone(&known.sheet)
            })
        });
        let Some(new) = sheets::renewed(q, user, &known, parts).await? else { return Ok(known) };
        let new = Arc::new(new);
        self.with(|users| users.keep(user, |known| known.sheet = Arc::clone(&new)));
        Ok(new)
    }

    pub(super) fn loose(&self, user: UserId) -> Arc<AllLoose> {
        self.with(|users| {
            users.known.get(&user).map_or_else(Default::default, |known| Arc::clone(&known.loose))
        })
    }

    pub(super) fn keep_loose(&self, user: UserId, all: &Arc<AllLoose>) {
        self.with(|users| users.keep(user, |known| known.loose = Arc::clone(all)));
    }

    /// Of someone who is gone.
    pub fn forget(&self, user: UserId) {
        self.with(|users| users.remove(user));
    }
}
